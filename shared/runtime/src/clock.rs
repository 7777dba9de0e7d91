//! The one place that asks the operating system for the time and for random bits; everybody else is given them.

use carillon_domain::Timestamp;
use carillon_pipeline::ports::{Clock, Entropy};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The system's source of random bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the source of random bits")]
    fn fill(&self, buffer: &mut [u8]) {
        // Without random bits no key and no lease is safe, and there is nothing a caller could do about it.
        if let Err(error) = getrandom::fill(buffer) {
            tracing::error!(error = %error, "the system has no random bits; stopping");
            std::process::abort();
        }
    }
}
