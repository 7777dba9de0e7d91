//! A throttle: how many notifications of a category a recipient gets within a time. Pure; the pipeline keeps the instants
//! that are taken.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::problem::FieldError;

/// At most `count` notifications in any `per_s` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub per_s: u32,
    /// What becomes of one too many.
    #[serde(default)]
    pub mode: ThrottleMode,
}

/// What becomes of a notification that is one too many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleMode {
    /// It waits until there is room.
    #[default]
    Defer,
    /// It is not sent.
    Drop,
}

impl Throttle {
    /// The most that one may count: each instant is kept in one item of the table.
    pub const MOST: u32 = 100;

    /// The longest time that one may count over, 30 days in seconds.
    pub const LONGEST_S: u32 = 30 * 86_400;

    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if !(1..=Self::MOST).contains(&self.count) {
            faults.push(FieldError::new("/count", "must be 1 to 100 notifications"));
        }
        if !(1..=Self::LONGEST_S).contains(&self.per_s) {
            faults.push(FieldError::new("/per_s", "must be 1 to 2,592,000 seconds, which are 30 days"));
        }
        faults
    }

    /// The first instant from `due` on at which one more fits between those that are taken, which are in order.
    #[must_use]
    pub fn room(&self, taken: &[Timestamp], due: Timestamp) -> Timestamp {
        let per = SignedDuration::from_secs(self.per_s.into());
        let after = |at: &Timestamp| at.checked_add(per).unwrap_or(Timestamp::MAX);
        // Room comes when something that is taken has been long enough ago.
        let candidates = std::iter::once(due).chain(taken.iter().map(after).filter(|at| *at > due));
        let fits = |at: &Timestamp| self.fits(taken, *at, per);
        candidates.filter(fits).min().unwrap_or(Timestamp::MAX)
    }

    fn fits(&self, taken: &[Timestamp], at: Timestamp, per: SignedDuration) -> bool {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let place = taken.partition_point(|other| *other <= at);
        let mut all = taken.to_vec();
        all.insert(place, at);
        // Of any count + 1 in a row that it is one of, the last comes at least so long after the first.
        let first = place.saturating_sub(count);
        all[first..].windows(count + 1).take(count + 1).all(|row| {
            row.first().zip(row.last()).is_none_or(|(first, last)| last.duration_since(*first) >= per)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    fn room(count: u32, per_s: u32, taken: &[i64], due: i64) -> i64 {
        let taken: Vec<Timestamp> = taken.iter().map(|s| at(*s)).collect();
        Throttle { count, per_s, mode: ThrottleMode::Defer }.room(&taken, at(due)).as_second()
    }

    #[test]
    fn one_more_goes_when_there_is_room_and_not_before() {
        assert_eq!(room(1, 60, &[], 100), 100);
        assert_eq!(room(1, 60, &[100], 100), 160);
        assert_eq!(room(1, 60, &[100], 160), 160);
        assert_eq!(room(1, 60, &[100, 160], 101), 220);
        assert_eq!(room(3, 60, &[100, 110], 120), 120);
        assert_eq!(room(3, 60, &[100, 110, 120], 130), 160);
        // What is taken for later keeps its place, and what fits before it goes before it.
        assert_eq!(room(1, 60, &[1_000], 100), 100);
        assert_eq!(room(1, 60, &[1_000], 950), 1_060);
        assert_eq!(room(2, 60, &[1_000, 1_010], 950), 950);
        assert_eq!(room(2, 60, &[1_000, 1_010], 951), 1_060);
    }

    /// Whatever the order, no window ever has more than its count.
    #[test]
    fn no_window_has_more_than_its_count() {
        for (count, per_s) in [(1_u32, 7_u32), (2, 10), (3, 25), (5, 60)] {
            let mut taken: Vec<i64> = Vec::new();
            for n in 0..60_i64 {
                let due = (n * 37) % 101;
                let found = room(count, per_s, &taken, due);
                assert!(found >= due);
                taken.push(found);
                taken.sort_unstable();
            }
            for first in &taken {
                let within = taken.iter().filter(|s| (*first..first + i64::from(per_s)).contains(s)).count();
                assert!(within <= usize::try_from(count).unwrap(), "{count} in {per_s}: {taken:?}");
            }
        }
    }

    #[test]
    fn a_throttle_that_lets_nothing_through_is_refused() {
        let faults = |count, per_s| -> Vec<String> {
            let throttle = Throttle { count, per_s, mode: ThrottleMode::Drop };
            throttle.faults().into_iter().map(|fault| fault.pointer).collect()
        };
        assert!(faults(1, 1).is_empty() && faults(100, 2_592_000).is_empty());
        assert_eq!(faults(0, 0), ["/count", "/per_s"]);
        assert_eq!(faults(101, 2_592_001), ["/count", "/per_s"]);
    }
}
