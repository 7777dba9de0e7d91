//! How fast a channel may send: what the providers allow, what a tenant sets, and the clock by which slots are given out.
//! Pure; the pipeline keeps the clocks in the table and holds what has to wait for its slot.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::channel::Channel;
use crate::problem::FieldError;
use crate::route::Priority;

/// Meta's default throughput of a business phone number, in messages a second (November 2026).
pub const WHATSAPP_PER_S: u32 = 80;

/// SES's sending rate of a new production account, in messages a second (November 2026); `GetAccount` says an account's
/// own as `MaxSendRate`.
pub const EMAIL_PER_S: u32 = 14;

/// How many messages Meta takes for one recipient before it counts them one by one (November 2026).
pub const PAIR_BURST: u32 = 45;

/// The rate of a channel, as a tenant sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPace {
    /// Messages a second.
    pub per_s: u32,
    /// WhatsApp only: one message to one recipient in so many seconds. Not counted here when absent: Meta's own refusal
    /// lets that recipient wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair_every_s: Option<u32>,
    /// How many may go to one recipient at once before that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair_burst: Option<u32>,
}

impl ChannelPace {
    /// The rate of a channel whose tenant says nothing; the feed has none.
    #[must_use]
    pub fn default_of(channel: Channel) -> Option<Self> {
        let per_s = match channel {
            Channel::Whatsapp => WHATSAPP_PER_S,
            Channel::Email => EMAIL_PER_S,
            Channel::InApp => return None,
        };
        Some(Self { per_s, pair_every_s: None, pair_burst: None })
    }

    /// What is wrong with it, for a channel.
    #[must_use]
    pub fn faults(&self, channel: Channel) -> Vec<FieldError> {
        if channel == Channel::InApp {
            return vec![FieldError::new("", "the feed has no rate")];
        }
        let pair = |given: Option<u32>, most: u32| {
            given.is_none_or(|n| channel == Channel::Whatsapp && (1..=most).contains(&n))
        };
        let rules = [
            ("/per_s", (1..=5_000).contains(&self.per_s), "must be 1 to 5,000"),
            ("/pair_every_s", pair(self.pair_every_s, 3_600), "must be 1 to 3,600, for whatsapp"),
            ("/pair_burst", pair(self.pair_burst, 1_000), "must be 1 to 1,000, for whatsapp"),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken.map(|(pointer, _, detail)| FieldError::new(pointer, detail)).collect()
    }
}

/// Which part of a channel's rate: a large audience must not delay what is urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A fifth, for high and critical.
    Urgent,
    /// Four fifths.
    Normal,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Self; 2] = [Self::Urgent, Self::Normal];

    /// The lane of a priority.
    #[must_use]
    pub fn of(priority: Priority) -> Self {
        match priority {
            Priority::High | Priority::Critical => Self::Urgent,
            Priority::Low | Priority::Normal => Self::Normal,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
        }
    }

    /// Microseconds between two slots.
    #[must_use]
    pub fn every_us(self, per_s: u32) -> i64 {
        let per_s = i64::from(per_s.max(1));
        match self {
            Self::Urgent => 5_000_000 / per_s,
            Self::Normal => 5_000_000 / (4 * per_s),
        }
    }
}

/// Slots in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    first_us: i64,
    every_us: i64,
}

impl Slots {
    /// The next slots of a clock that is free from `free_us` on (microseconds since 1970). Never in the past: what was not
    /// used is gone.
    #[must_use]
    pub fn next(free_us: Option<i64>, now: Timestamp, every_us: i64) -> Self {
        let now_us = now.as_microsecond();
        Self { first_us: free_us.map_or(now_us, |free| free.max(now_us)), every_us }
    }

    /// From when on the clock is free again after so many slots.
    #[must_use]
    pub fn free_after_us(&self, slots: usize) -> i64 {
        let slots = i64::try_from(slots).unwrap_or(i64::MAX);
        self.first_us.saturating_add(self.every_us.saturating_mul(slots))
    }

    /// The n-th slot, from 0, in whole milliseconds, not before it begins.
    #[must_use]
    pub fn at(&self, n: usize) -> Timestamp {
        let ms = self.free_after_us(n).saturating_add(999).div_euclid(1_000);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + ms).unwrap()
    }

    #[test]
    fn slots_follow_each_other_at_the_lanes_share_of_the_rate() {
        for (lane, per_s, share) in
            [(Lane::Normal, 80, 64), (Lane::Urgent, 80, 16), (Lane::Normal, 10, 8), (Lane::Urgent, 10, 2)]
        {
            let slots = Slots::next(None, at(0), lane.every_us(per_s));
            assert_eq!(slots.at(0), at(0));
            assert_eq!(slots.at(share), at(1_000), "{lane:?} of {per_s}");
            // Whoever comes next begins where these end, or now when that is over.
            let next = Slots::next(Some(slots.free_after_us(share)), at(200), lane.every_us(per_s));
            assert_eq!(next.at(0), at(1_000));
            let later = Slots::next(Some(slots.free_after_us(share)), at(5_000), lane.every_us(per_s));
            assert_eq!(later.at(0), at(5_000));
        }
    }

    #[test]
    fn both_lanes_together_never_have_more_than_the_rate_in_any_second() {
        for per_s in [1, 7, 14, 80, 1_000] {
            let mut all: Vec<i64> = Vec::new();
            for lane in Lane::ALL {
                let slots = Slots::next(None, at(0), lane.every_us(per_s));
                all.extend((0..3 * per_s as usize).map(|n| slots.at(n).as_millisecond()));
            }
            all.sort_unstable();
            for (from, start) in all.iter().enumerate() {
                let within = all[from..].iter().take_while(|slot| **slot < start + 1_000).count();
                // One for each lane, whose slots need not begin together.
                assert!(within <= per_s as usize + 2, "{within} of {per_s}");
            }
        }
    }

    #[test]
    fn a_rate_fits_its_channel() {
        let pace = |per_s, pair_every_s| ChannelPace { per_s, pair_every_s, pair_burst: None };
        for (channel, pace, wrong) in [
            (Channel::Whatsapp, pace(80, Some(6)), 0),
            (Channel::Whatsapp, pace(0, Some(0)), 2),
            (Channel::Email, pace(14, None), 0),
            (Channel::Email, pace(14, Some(6)), 1),
            (Channel::InApp, pace(14, None), 1),
        ] {
            assert_eq!(pace.faults(channel).len(), wrong, "{channel} {pace:?}");
        }
    }
}
