//! When a reminder is due, seen from its deadline: an exact distance (`-2h`, `+72h`), or a time of a day in the reader's
//! own zone (`day -2 at 08:00`). Pure; [`crate::reminder`] says which of them a deadline owes.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How far from its deadline a reminder may lie, in days.
const FARTHEST_DAYS: i32 = 366;

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A day's time somewhere on Earth is at most so much before the same time counted from the instant of the deadline: a
/// day, and what clocks are changed by.
const EARLIER: SignedDuration = SignedDuration::from_hours(24 + 3);

/// What clocks are changed by, and more.
const CLOCK_CHANGE: SignedDuration = SignedDuration::from_hours(3);

/// When a reminder is due, seen from its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Offset {
    /// So long after it; before it when negative. The same instant everywhere.
    Exact(SignedDuration),
    /// At a time of the day, so many calendar days after the day of the deadline, both in the reader's zone.
    Day {
        /// Days after it; before it when negative.
        days: i32,
        /// The time there.
        at: Time,
    },
}

/// Between which instants a reminder falls due, whatever the zone. Both are the same when it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// No zone is earlier.
    pub opens_at: Timestamp,
    /// No zone is later.
    pub closes_at: Timestamp,
}

impl Offset {
    /// When it is due in a zone; in the week that is `week` weeks after the first, at the same local time. A local time
    /// that a clock change skips moves forward by as much, of one that comes twice the first counts. None beyond the
    /// calendar's end.
    #[must_use]
    pub fn instant(self, due_at: Timestamp, week: u32, zone: &TimeZone) -> Option<Timestamp> {
        let weeks = Span::new().try_weeks(i64::from(week)).ok()?;
        let local = match self {
            Self::Exact(distance) => {
                let first = due_at.checked_add(distance).ok()?;
                if week == 0 {
                    return Some(first);
                }
                zone.to_datetime(first)
            }
            Self::Day { days, at } => {
                let day = zone.to_datetime(due_at).date();
                day.checked_add(Span::new().try_days(days).ok()?).ok()?.to_datetime(at)
            }
        };
        // Of a gap the later instant, of a fold the earlier: jiff calls it compatible.
        zone.to_timestamp(local.checked_add(weeks).ok()?).ok()
    }

    /// Between which instants it is due in any zone: what is known without knowing who reads it.
    #[must_use]
    pub fn bounds(self, due_at: Timestamp, week: u32) -> Option<Bounds> {
        let after_week = |at: Timestamp| at.checked_add(WEEK.checked_mul(i32::try_from(week).ok()?)?).ok();
        let (opens_at, closes_at) = match self {
            Self::Exact(distance) => {
                let at = due_at.checked_add(distance).ok()?;
                if week == 0 {
                    return Some(Bounds { opens_at: at, closes_at: at });
                }
                (
                    after_week(at)?.checked_sub(CLOCK_CHANGE).ok()?,
                    after_week(at)?.checked_add(CLOCK_CHANGE).ok()?,
                )
            }
            Self::Day { days, at } => {
                let since_midnight = at.duration_since(Time::midnight());
                let days = SignedDuration::from_hours(24).checked_mul(days)?;
                let latest = after_week(due_at.checked_add(days).ok()?.checked_add(since_midnight).ok()?)?;
                (latest.checked_sub(EARLIER).ok()?, latest.checked_add(CLOCK_CHANGE).ok()?)
            }
        };
        Some(Bounds { opens_at, closes_at })
    }

    /// The first week whose span opens after an instant.
    pub(crate) fn week_after(self, due_at: Timestamp, after: Timestamp) -> Option<u32> {
        let first = self.bounds(due_at, 0)?;
        let weeks = after.duration_since(first.opens_at).as_secs().div_euclid(WEEK.as_secs());
        let mut week = u32::try_from(weeks.max(1) - 1).ok()?;
        // A span opens at most a clock change away from its week: two steps are enough.
        while self.bounds(due_at, week)?.opens_at <= after {
            week = week.checked_add(1)?;
        }
        Some(week)
    }

    fn is_near(self) -> bool {
        match self {
            Self::Exact(distance) => {
                distance.abs() <= SignedDuration::from_hours(i64::from(FARTHEST_DAYS) * 24)
            }
            Self::Day { days, .. } => (-FARTHEST_DAYS..=FARTHEST_DAYS).contains(&days),
        }
    }
}

/// Why a text is no offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an offset from the deadline; write it like \"-2h\", \"+30m\", \"+7d\" or \"day -2 at 08:00\", at most 366 days away"
)]
pub struct InvalidOffset;

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, InvalidOffset> {
        let offset = match text.strip_prefix("day ") {
            Some(rest) => {
                let (days, at) = rest.split_once(" at ").ok_or(InvalidOffset)?;
                let at = (at.len() == 5).then_some(at).ok_or(InvalidOffset)?;
                Self::Day {
                    days: days.parse().map_err(|_| InvalidOffset)?,
                    at: at.parse().map_err(|_| InvalidOffset)?,
                }
            }
            None => Self::Exact(distance(text).ok_or(InvalidOffset)?),
        };
        if offset.is_near() { Ok(offset) } else { Err(InvalidOffset) }
    }
}

/// `-2h`: a sign, a number, and m, h or d; a day has 24 hours here.
fn distance(text: &str) -> Option<SignedDuration> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => return None,
    };
    let unit = match rest.as_bytes().last()? {
        b'm' => SignedDuration::from_mins(1),
        b'h' => SignedDuration::from_hours(1),
        b'd' => SignedDuration::from_hours(24),
        _ => return None,
    };
    let digits = &rest[..rest.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    unit.checked_mul(digits.parse::<i32>().ok()?.checked_mul(sign)?)
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(distance) => {
                let sign = if distance.is_negative() { '-' } else { '+' };
                let minutes = distance.abs().as_mins();
                if minutes % 60 == 0 {
                    write!(f, "{sign}{}h", minutes / 60)
                } else {
                    write!(f, "{sign}{minutes}m")
                }
            }
            Self::Day { days, at } => write!(f, "day {days} at {:02}:{:02}", at.hour(), at.minute()),
        }
    }
}

impl TryFrom<String> for Offset {
    type Error = InvalidOffset;

    fn try_from(text: String) -> Result<Self, InvalidOffset> {
        text.parse()
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        offset.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn an_offset_is_read_and_written_back() {
        for (text, written) in [
            ("-2h", "-2h"),
            ("+0h", "+0h"),
            ("-0m", "+0h"),
            ("+90m", "+90m"),
            ("+3d", "+72h"),
            ("day -2 at 08:00", "day -2 at 08:00"),
            ("day +1 at 23:59", "day 1 at 23:59"),
            ("day 0 at 00:00", "day 0 at 00:00"),
        ] {
            assert_eq!(text.parse::<Offset>().unwrap().to_string(), written);
            assert_eq!(written.parse::<Offset>().unwrap(), text.parse().unwrap());
        }
        for bad in [
            "",
            "-",
            "2h",
            "-2",
            "-h",
            "- 2h",
            "-2.5h",
            "--2h",
            "-2w",
            "+400d",
            "-99999999999h",
            "day",
            "day 1",
            "day 1 at 8:00",
            "day 1 at 24:00",
            "day x at 08:00",
            "day 400 at 08:00",
            "+é",
        ] {
            assert!(bad.parse::<Offset>().is_err(), "{bad}");
        }
    }

    /// R7, R8, R9, R10: exact distances are exact, and days are counted on the reader's calendar, over both clock changes of
    /// three zones.
    #[test]
    fn days_are_counted_on_the_readers_calendar_over_both_clock_changes() {
        for (zone_name, due_at, offset, expected) in [
            // Clocks go forward on 29 March 2026 in Paris and back on 25 October.
            ("Europe/Paris", "2026-03-30T15:00:00Z", "day -2 at 08:00", "2026-03-28T07:00:00Z"),
            ("Europe/Paris", "2026-03-30T15:00:00Z", "day -1 at 08:00", "2026-03-29T06:00:00Z"),
            ("Europe/Paris", "2026-03-30T15:00:00Z", "-48h", "2026-03-28T15:00:00Z"),
            ("Europe/Paris", "2026-10-26T15:00:00Z", "day -2 at 08:00", "2026-10-24T06:00:00Z"),
            ("Europe/Paris", "2026-10-26T15:00:00Z", "day -1 at 08:00", "2026-10-25T07:00:00Z"),
            // 02:30 is skipped on the first and comes twice on the second.
            ("Europe/Paris", "2026-03-29T15:00:00Z", "day 0 at 02:30", "2026-03-29T01:30:00Z"),
            ("Europe/Paris", "2026-10-25T15:00:00Z", "day 0 at 02:30", "2026-10-25T00:30:00Z"),
            // 8 March and 1 November in New York.
            ("America/New_York", "2026-03-08T20:00:00Z", "day 0 at 02:30", "2026-03-08T07:30:00Z"),
            ("America/New_York", "2026-03-08T20:00:00Z", "day 0 at 08:00", "2026-03-08T12:00:00Z"),
            ("America/New_York", "2026-03-08T20:00:00Z", "day -1 at 08:00", "2026-03-07T13:00:00Z"),
            ("America/New_York", "2026-11-01T20:00:00Z", "day 0 at 01:30", "2026-11-01T05:30:00Z"),
            ("America/New_York", "2026-11-01T20:00:00Z", "day 1 at 08:00", "2026-11-02T13:00:00Z"),
            // Half an hour on Lord Howe Island: 5 April back, 4 October forward. The day there is the next one.
            ("Australia/Lord_Howe", "2026-04-04T20:00:00Z", "day 0 at 01:45", "2026-04-04T14:45:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T20:00:00Z", "day 0 at 08:00", "2026-04-04T21:30:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T20:00:00Z", "day 0 at 02:15", "2026-10-03T15:45:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T20:00:00Z", "day -1 at 08:00", "2026-10-02T21:30:00Z"),
        ] {
            let found = offset.parse::<Offset>().unwrap().instant(at(due_at), 0, &zone(zone_name));
            assert_eq!(found, Some(at(expected)), "{zone_name} {due_at} {offset}");
        }
    }

    /// R17, R38: a weekly ladder keeps its local time over both clock changes.
    #[test]
    fn weekly_keeps_the_local_time() {
        for (zone_name, due_at, week, expected) in [
            ("Europe/Paris", "2026-03-20T16:00:00Z", 0, "2026-03-23T16:00:00Z"),
            ("Europe/Paris", "2026-03-20T16:00:00Z", 1, "2026-03-30T15:00:00Z"),
            ("Europe/Paris", "2026-10-16T15:00:00Z", 1, "2026-10-26T16:00:00Z"),
            ("America/New_York", "2026-03-01T17:00:00Z", 1, "2026-03-11T16:00:00Z"),
            ("America/New_York", "2026-10-26T16:00:00Z", 1, "2026-11-05T17:00:00Z"),
            ("Australia/Lord_Howe", "2026-03-30T00:00:00Z", 1, "2026-04-09T00:30:00Z"),
        ] {
            let found =
                Offset::Exact(SignedDuration::from_hours(72)).instant(at(due_at), week, &zone(zone_name));
            assert_eq!(found, Some(at(expected)), "{zone_name} {due_at} {week}");
        }
    }

    #[test]
    fn no_zone_is_outside_the_bounds() {
        let zones = [
            "Pacific/Kiritimati",
            "Pacific/Pago_Pago",
            "Europe/Paris",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Pacific/Chatham",
            "America/St_Johns",
            "UTC",
        ];
        for offset in ["-2h", "day -2 at 08:00", "day 0 at 00:00", "day 1 at 23:59", "+72h"] {
            let offset: Offset = offset.parse().unwrap();
            for hour in 0..(370 * 3) {
                let due_at = at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(8 * hour + hour % 7);
                for week in [0, 1, 30] {
                    let span = offset.bounds(due_at, week).unwrap();
                    for zone in zones.map(zone) {
                        let found = offset.instant(due_at, week, &zone).unwrap();
                        assert!(
                            span.opens_at <= found && found <= span.closes_at,
                            "{offset} {due_at} {week}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_next_week_is_found_at_once_and_there_is_an_end_to_time() {
        let offset = Offset::Exact(SignedDuration::from_hours(72));
        let due_at = at("2026-01-01T00:00:00Z");
        for (after, week) in [
            ("2000-01-01T00:00:00Z", 0),
            ("2026-01-03T23:59:59Z", 0),
            ("2026-01-04T00:00:00Z", 1),
            ("2026-01-10T20:59:59Z", 1),
            ("2026-01-10T21:00:00Z", 2),
            ("2126-01-05T00:00:00Z", 5218),
        ] {
            assert_eq!(offset.week_after(due_at, at(after)), Some(week), "{after}");
        }
        assert_eq!(offset.week_after(due_at, Timestamp::MAX), None);
        assert_eq!(offset.instant(Timestamp::MAX, 1, &TimeZone::UTC), None);
        assert_eq!(offset.bounds(Timestamp::MAX, 0), None);
    }
}
