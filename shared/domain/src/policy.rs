//! What is done when something does not go as planned, as data: in-doubt policy, fallback, retry schedule. A route or a
//! tenant's settings carry them; the pipeline acts on them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::problem::FieldError;
use crate::route::Category;

/// What becomes of a delivery when nobody knows whether its call was accepted and the grace is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubtPolicy {
    /// It is left so: never a second copy, perhaps none at all.
    Park,
    /// It is sent again, counted and marked: perhaps a second copy.
    Resend,
    /// It counts as failed, and the route's fallback follows.
    Fallback,
}

/// What a tenant does about deliveries in doubt, where a route says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDoubtSettings {
    /// For every category that is not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<InDoubtPolicy>,
    /// By category; comes before `policy`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<Category, InDoubtPolicy>,
    /// How long a receipt is waited for, in seconds, by channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grace_s: BTreeMap<Channel, u32>,
}

impl InDoubtSettings {
    /// The policy: the route's, else the category's, else the tenant's, else: marketing is not worth a duplicate, and
    /// everything else is not worth a loss.
    #[must_use]
    pub fn policy(&self, route: Option<InDoubtPolicy>, category: Category) -> InDoubtPolicy {
        let by_category = || match (self.categories.get(&category), category) {
            (Some(policy), _) => Some(*policy),
            (None, Category::Marketing) => Some(InDoubtPolicy::Park),
            (None, _) => None,
        };
        route.or_else(by_category).or(self.policy).unwrap_or(InDoubtPolicy::Resend)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let out = |(channel, s): (&Channel, &u32)| {
            (!(10..=86_400).contains(s) || *channel == Channel::InApp).then(|| {
                let detail = "must be 10 to 86,400 seconds, for whatsapp or email";
                FieldError::new(format!("/grace_s/{channel}"), detail)
            })
        };
        self.grace_s.iter().filter_map(out).collect()
    }
}

/// Other channels for a recipient whom the first ones did not reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// When nothing has been delivered this long after it was due; only on failure when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_s: Option<u32>,
    /// The first of these that works.
    pub channels: Vec<Channel>,
}

impl Fallback {
    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if self.channels.is_empty() {
            faults.push(FieldError::new(
                "/channels",
                "names no channel; give at least one of whatsapp, email, in_app",
            ));
        }
        if self.after_s.is_some_and(|s| !(60..=604_800).contains(&s)) {
            faults.push(FieldError::new("/after_s", "must be 60 to 604,800 seconds"));
        }
        faults
    }
}

/// How often a failed call is repeated, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySchedule {
    /// Tries that count before the delivery fails.
    pub tries: u32,
    /// The longest first wait, in milliseconds.
    pub base_ms: u64,
    /// How much longer each next wait may be.
    pub factor: u64,
    /// The longest wait at all, in milliseconds.
    pub cap_ms: u64,
}

impl RetrySchedule {
    /// The schedule of whoever says nothing: about 2 s and 30 s.
    pub const DEFAULT: Self = Self { tries: 3, base_ms: 2_000, factor: 15, cap_ms: 3_600_000 };

    /// The wait after the n-th try (from 1): a random part, `dice` of 2^32, of the exponential bound.
    #[must_use]
    pub fn wait_ms(&self, tries: u32, dice: u32) -> u64 {
        // The cap ends the growth: nobody waits for a million multiplications.
        let bound = (1..tries.min(64)).fold(self.base_ms, |ms, _| ms.saturating_mul(self.factor));
        (bound.min(self.cap_ms).saturating_mul(u64::from(dice))) >> 32
    }

    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let rules = [
            ("/tries", (1..=10).contains(&self.tries), "must be 1 to 10"),
            ("/base_ms", (100..=600_000).contains(&self.base_ms), "must be 100 to 600,000 milliseconds"),
            ("/factor", (1..=100).contains(&self.factor), "must be 1 to 100"),
            (
                "/cap_ms",
                (self.base_ms..=86_400_000).contains(&self.cap_ms),
                "must be base_ms to 86,400,000 milliseconds",
            ),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken.map(|(pointer, _, detail)| FieldError::new(pointer, detail)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_the_factor_and_jitter_takes_any_part_of_them() {
        for (tries, bound) in [(1, 2_000), (2, 30_000), (3, 450_000), (4, 3_600_000), (40, 3_600_000)] {
            assert_eq!(RetrySchedule::DEFAULT.wait_ms(tries, 0), 0);
            let longest = RetrySchedule::DEFAULT.wait_ms(tries, u32::MAX);
            assert!(longest < bound && longest >= bound - 1, "{longest}");
        }
    }

    #[test]
    fn the_in_doubt_policy_is_the_routes_then_the_categorys_then_the_tenants() {
        use InDoubtPolicy::{Fallback, Park, Resend};
        let categories = BTreeMap::from([(Category::Reminder, Fallback)]);
        let settings = InDoubtSettings { policy: Some(Park), categories, ..InDoubtSettings::default() };
        let silent = InDoubtSettings::default();
        for (settings, route, category, policy) in [
            (&settings, Some(Resend), Category::Reminder, Resend),
            (&settings, None, Category::Reminder, Fallback),
            (&settings, None, Category::Transactional, Park),
            (&silent, None, Category::Transactional, Resend),
            (&silent, None, Category::Marketing, Park),
            (&silent, Some(Resend), Category::Marketing, Resend),
        ] {
            assert_eq!(settings.policy(route, category), policy, "{route:?} {category:?}");
        }
    }
}
