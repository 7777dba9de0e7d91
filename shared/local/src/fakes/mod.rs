//! The providers of `carillon dev`: the Graph API and SES behind the same HTTP interfaces as the real ones. A fake makes
//! a message durable in the outbox before it answers, and sends the receipts that the real provider would, a moment
//! later. [`crate::outbox`] shows what they received.

pub mod faults;
pub mod graph;
pub(crate) mod receipts;
pub mod ses;
pub(crate) mod ses_events;
#[cfg(test)]
mod tests;

use std::time::Duration;

use carillon_pipeline::ports::Entropy;

pub use graph::{FakeGraph, GraphSettings};
pub use ses::{EventSink, FakeSes};

/// How long after the acceptance of a message the world reacts to it.
#[derive(Debug, Clone, Copy)]
pub struct Delays {
    /// Until the provider says that it sent the message.
    pub sent: Duration,
    /// Until it says that the message was delivered, or bounced. A complaint takes twice as long.
    pub delivered: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self { sent: Duration::from_millis(50), delivered: Duration::from_millis(100) }
    }
}

/// So many unpredictable bytes, for ids.
fn random_bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}
