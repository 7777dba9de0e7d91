//! When a failed call is tried again: exponential backoff with full jitter, bounded by tries that count.

use carillon_domain::{Channel, Timestamp};
use jiff::SignedDuration;

/// The default schedule of every channel.
pub const DEFAULT: RetrySchedule = RetrySchedule { tries: 3, base_ms: 2_000, factor: 15, cap_ms: 3_600_000 };

/// How often and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySchedule {
    /// Tries that count before the delivery fails.
    pub tries: u32,
    /// The longest first wait.
    pub base_ms: u64,
    /// How much longer each next wait may be.
    pub factor: u64,
    /// The longest wait at all.
    pub cap_ms: u64,
}

/// Waits up to this long are slept in the worker; a longer one is a state with its time in the table.
pub const SLEPT_MS: u64 = 5_000;

impl RetrySchedule {
    /// The wait after the n-th try (from 1): a random part, `dice` of 2^32, of the exponential bound.
    #[must_use]
    pub fn wait_ms(&self, tries: u32, dice: u32) -> u64 {
        let bound = (1..tries).fold(self.base_ms, |ms, _| ms.saturating_mul(self.factor)).min(self.cap_ms);
        (bound.saturating_mul(u64::from(dice))) >> 32
    }
}

/// How long an in-doubt delivery waits for a receipt before policy decides.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_the_factor_and_jitter_takes_any_part_of_them() {
        for (tries, bound) in [(1, 2_000), (2, 30_000), (3, 450_000), (4, 3_600_000), (40, 3_600_000)] {
            assert_eq!(DEFAULT.wait_ms(tries, 0), 0);
            let longest = DEFAULT.wait_ms(tries, u32::MAX);
            assert!(longest < bound && longest >= bound - 1, "{longest}");
        }
    }
}
