//! When something is tried again: the schedule itself is data (`carillon_domain::policy`); here is what of it is slept and
//! what is stored.

use carillon_domain::{Channel, Timestamp};
use jiff::SignedDuration;

/// Waits up to this long are slept in the worker; a longer one is a state with its time in the table.
pub const SLEPT_MS: u64 = 5_000;

/// How long an in-doubt delivery waits for a receipt before policy decides, where the tenant says nothing.
#[must_use]
pub fn grace(channel: Channel) -> SignedDuration {
    match channel {
        Channel::Whatsapp => SignedDuration::from_secs(120),
        Channel::Email | Channel::InApp => SignedDuration::from_secs(300),
    }
}

/// An instant some milliseconds later; the far end of time if there is none.
#[must_use]
pub fn later(at: Timestamp, ms: u64) -> Timestamp {
    let wait = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}
