//! From when on a tenant's admins are told. Data: a tenant's settings change them.

use serde::{Deserialize, Serialize};

use super::fault_of_range;
use crate::problem::FieldError;

/// The thresholds of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    /// Below this share of messages that went out, in percent, there is a warning.
    pub success_rate_percent: u32,
    /// The period that the share is of, in seconds.
    pub success_rate_s: u32,
    /// Of so few messages there is no share.
    pub success_rate_least: u32,
    /// More failed messages than this in 24 hours are critical.
    pub failed: u32,
    /// More stuck messages than this are a warning.
    pub stuck: u32,
    /// How long a message is on its way before it is stuck, in seconds.
    pub stuck_after_s: u32,
    /// More messages than this on a channel's queue are a warning.
    pub queue: u32,
    /// More messages in doubt than this are a warning.
    pub in_doubt: u32,
    /// More dead letters than this are a warning.
    pub dead_letters: u32,
    /// This share of the credits, in percent, or less is a warning.
    pub credits_warning_percent: u32,
    /// This share of the credits, in percent, or less is critical.
    pub credits_critical_percent: u32,
    /// Fewer credits than this, whatever their share, are a warning.
    pub credits_left: u32,
    /// A table that answers slower than this, in milliseconds, is a warning.
    pub database_ms: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            success_rate_percent: 80,
            success_rate_s: 3_600,
            // One message alone is no share.
            success_rate_least: 2,
            failed: 50,
            stuck: 10,
            stuck_after_s: 900,
            queue: 10_000,
            in_doubt: 10,
            dead_letters: 0,
            credits_warning_percent: 25,
            credits_critical_percent: 10,
            credits_left: 100,
            database_ms: 1_000,
        }
    }
}

impl Thresholds {
    /// What is wrong with them.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        const MANY: (u32, u32) = (0, 1_000_000_000);
        const PERCENT: (u32, u32) = (0, 100);
        // Readings are kept for a day, those of the last hour in full.
        let fields = [
            ("/success_rate_percent", self.success_rate_percent, PERCENT),
            ("/success_rate_s", self.success_rate_s, (300, 86_400)),
            ("/success_rate_least", self.success_rate_least, (1, 1_000_000)),
            ("/failed", self.failed, MANY),
            ("/stuck", self.stuck, MANY),
            ("/stuck_after_s", self.stuck_after_s, (300, 3_600)),
            ("/queue", self.queue, MANY),
            ("/in_doubt", self.in_doubt, MANY),
            ("/dead_letters", self.dead_letters, MANY),
            ("/credits_warning_percent", self.credits_warning_percent, PERCENT),
            ("/credits_critical_percent", self.credits_critical_percent, PERCENT),
            ("/credits_left", self.credits_left, MANY),
            ("/database_ms", self.database_ms, (1, 60_000)),
        ];
        fields
            .into_iter()
            .filter_map(|(pointer, value, range)| fault_of_range(pointer, value, range))
            .collect()
    }
}
