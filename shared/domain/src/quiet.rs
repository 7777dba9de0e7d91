//! When a message may be sent, by the clock on its reader's wall: quiet hours keep it back, a send window lets it through.
//! Pure: planning asks it, and so does the last look before a provider call.
//!
//! Local times become instants as everywhere: one that a clock change leaves out moves forward with the clock, and of one
//! that happens twice the first counts.

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::problem::FieldError;

/// Two times of the day; across midnight if the second is not after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// `22:00`.
    pub from: String,
    /// `07:00`.
    pub to: String,
    /// An IANA zone; the recipient's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// When a route's messages are sent, in the recipient's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendWindow {
    /// `08:00`.
    pub from: String,
    /// `20:00`; `24:00` is the end of the day.
    pub to: String,
    /// The days on which it opens; every day when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Day>>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn is(self, weekday: Weekday) -> bool {
        self as i8 == weekday.to_monday_zero_offset()
    }
}

/// Whether a message may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// It may.
    Now,
    /// From this instant on.
    From(Timestamp),
    /// Quiet hours and send window leave no instant.
    Never,
}

impl QuietHours {
    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = faults_of_hours(&self.from, &self.to);
        if self.time_zone.as_ref().is_some_and(|zone| TimeZone::get(zone).is_err()) {
            let detail = "is not an IANA time zone; write it like Europe/Paris";
            faults.push(FieldError::new("/time_zone", detail));
        }
        faults
    }

    fn hours(&self) -> Option<Hours> {
        Hours::parse(&self.from, &self.to)
    }
}

impl SendWindow {
    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = faults_of_hours(&self.from, &self.to);
        if let Some(days) = &self.days {
            if days.is_empty() {
                faults.push(FieldError::new("/days", "names no day; leave it out for every day"));
            }
            for (i, _) in days.iter().enumerate().filter(|(i, day)| days[..*i].contains(day)) {
                faults.push(FieldError::new(format!("/days/{i}"), "is named twice"));
            }
        }
        faults
    }

    fn opens_on(&self, date: Date) -> bool {
        self.days.as_ref().is_none_or(|days| days.iter().any(|day| day.is(date.weekday())))
    }
}

fn faults_of_hours(from: &str, to: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if minutes(from).is_none_or(|at| at == DAY) {
        faults.push(FieldError::new("/from", "must be a time of the day such as 22:00"));
    }
    if minutes(to).is_none() {
        faults.push(FieldError::new("/to", "must be a time of the day such as 07:00"));
    }
    if from == to {
        faults.push(FieldError::new("/to", "must not be the same as from"));
    }
    faults
}

/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// `HH:MM` as minutes since midnight; `24:00` is a day.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u16>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let at = hours * 60 + minutes;
    (minutes < 60 && at <= DAY).then_some(at)
}

/// A part of each day, in minutes since its midnight.
#[derive(Debug, Clone, Copy)]
struct Hours {
    from: u16,
    to: u16,
}

impl Hours {
    /// None for what validation would have refused: then there are no such hours.
    fn parse(from: &str, to: &str) -> Option<Self> {
        Some(Self { from: minutes(from)?, to: minutes(to)? })
    }

    /// The instants between which these hours of a date lie.
    fn on(self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let last = if self.to <= self.from { date.tomorrow().ok()? } else { date };
        Some((instant(date, self.from, zone)?, instant(last, self.to, zone)?))
    }
}

fn instant(date: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (date, minutes) = if minutes == DAY { (date.tomorrow().ok()?, 0) } else { (date, minutes) };
    let time = Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
    // jiff's default: a time in a gap moves forward by the gap, of a fold the first counts.
    Some(zone.to_zoned(date.to_datetime(time)).ok()?.timestamp())
}

/// The end of the quiet hours that an instant lies in.
fn quiet_until(at: Timestamp, quiet: &QuietHours, zone: &TimeZone) -> Option<Timestamp> {
    let own = quiet.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let zone = own.as_ref().unwrap_or(zone);
    let hours = quiet.hours()?;
    let today = at.to_zoned(zone.clone()).date();
    let dates = [today.yesterday().ok(), Some(today)].into_iter().flatten();
    let around = dates.filter_map(|date| hours.on(date, zone));
    around.filter(|(from, to)| *from <= at && at < *to).map(|(_, to)| to).max()
}

/// The first instant from here on in which a send window is open; none when it never opens.
fn open_from(at: Timestamp, window: &SendWindow, zone: &TimeZone) -> Option<Timestamp> {
    let Some(hours) = Hours::parse(&window.from, &window.to) else { return Some(at) };
    let mut date = at.to_zoned(zone.clone()).date().yesterday().ok()?;
    // Yesterday's window may still be open; a week later every day has come.
    for _ in 0..9 {
        if window.opens_on(date)
            && let Some((from, to)) = hours.on(date, zone)
            && at < to
            && from < to
        {
            return Some(from.max(at));
        }
        date = date.tomorrow().ok()?;
    }
    None
}

/// How many times a message is moved on at most: twice a day for more than two weeks.
const MOVES: usize = 32;

/// Whether a message may be sent at an instant, to a reader in a zone.
#[must_use]
pub fn allowed(
    at: Timestamp,
    zone: &TimeZone,
    quiet: Option<&QuietHours>,
    window: Option<&SendWindow>,
) -> Allowed {
    let mut next = at;
    // The window may open while it is quiet, and close before that ends.
    for _ in 0..MOVES {
        let calm = quiet.and_then(|quiet| quiet_until(next, quiet, zone)).unwrap_or(next);
        let open = window.map_or(Some(calm), |window| open_from(calm, window, zone));
        match open {
            None => return Allowed::Never,
            Some(open) if open > next => next = open,
            Some(_) if next == at => return Allowed::Now,
            Some(_) => return Allowed::From(next),
        }
    }
    Allowed::Never
}

/// The zone of these names that is known first; UTC when none is.
#[must_use]
pub fn zone_of(names: &[Option<&str>]) -> TimeZone {
    names.iter().flatten().find_map(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(from: &str, to: &str) -> QuietHours {
        QuietHours { from: from.to_owned(), to: to.to_owned(), time_zone: None }
    }

    fn window(from: &str, to: &str, days: Option<Vec<Day>>) -> SendWindow {
        SendWindow { from: from.to_owned(), to: to.to_owned(), days }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// Now where it is the same instant.
    fn expect(found: Allowed, from: &str, now: &str) {
        let wanted = if from == now { Allowed::Now } else { Allowed::From(at(from)) };
        assert_eq!(found, wanted, "at {now}");
    }

    #[test]
    fn quiet_hours_hold_across_midnight_and_end_on_time() {
        for (now, from) in [
            ("2026-11-20T21:59:59Z", "2026-11-20T21:59:59Z"),
            ("2026-11-20T22:00:00Z", "2026-11-21T07:00:00Z"),
            ("2026-11-21T00:00:00Z", "2026-11-21T07:00:00Z"),
            ("2026-11-21T06:59:59.999Z", "2026-11-21T07:00:00Z"),
            ("2026-11-21T07:00:00Z", "2026-11-21T07:00:00Z"),
        ] {
            expect(allowed(at(now), &TimeZone::UTC, Some(&quiet("22:00", "07:00")), None), from, now);
        }
        // Within a day, and up to its end.
        let noon = quiet("12:00", "14:00");
        expect(
            allowed(at("2026-11-20T12:00:00Z"), &TimeZone::UTC, Some(&noon), None),
            "2026-11-20T14:00:00Z",
            "",
        );
        let evening = quiet("18:00", "24:00");
        let now = "2026-11-20T23:59:00Z";
        expect(allowed(at(now), &TimeZone::UTC, Some(&evening), None), "2026-11-21T00:00:00Z", now);
    }

    #[test]
    fn quiet_hours_are_the_readers_unless_they_name_a_zone() {
        let night = quiet("22:00", "07:00");
        let now = "2026-11-20T21:30:00Z";
        for (name, from) in [
            ("Europe/Paris", "2026-11-21T06:00:00Z"),
            ("America/New_York", now),
            ("Asia/Kolkata", "2026-11-21T01:30:00Z"),
        ] {
            expect(allowed(at(now), &zone(name), Some(&night), None), from, now);
        }
        let named = QuietHours { time_zone: Some("Europe/Paris".to_owned()), ..night };
        expect(allowed(at(now), &zone("America/New_York"), Some(&named), None), "2026-11-21T06:00:00Z", now);
    }

    #[test]
    fn quiet_hours_end_at_their_local_time_on_both_clock_changes_in_three_zones() {
        let night = quiet("22:00", "07:00");
        for (name, now, from) in [
            // Clocks go forward: the night is an hour shorter.
            ("Europe/Paris", "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"),
            ("America/New_York", "2026-03-08T04:00:00Z", "2026-03-08T11:00:00Z"),
            ("Australia/Sydney", "2026-10-03T13:00:00Z", "2026-10-03T20:00:00Z"),
            // And back: it is an hour longer.
            ("Europe/Paris", "2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"),
            ("America/New_York", "2026-11-01T03:00:00Z", "2026-11-01T12:00:00Z"),
            ("Australia/Sydney", "2026-04-04T12:00:00Z", "2026-04-04T21:00:00Z"),
        ] {
            expect(allowed(at(now), &zone(name), Some(&night), None), from, now);
        }
    }

    #[test]
    fn a_bound_that_a_clock_change_leaves_out_or_doubles_counts_once() {
        for (name, hours, now, from) in [
            // 02:30 does not exist: it moves forward to 03:30.
            ("Europe/Paris", quiet("22:00", "02:30"), "2026-03-29T00:59:00Z", "2026-03-29T01:30:00Z"),
            ("America/New_York", quiet("22:00", "02:30"), "2026-03-08T06:59:00Z", "2026-03-08T07:30:00Z"),
            ("Australia/Sydney", quiet("22:00", "02:30"), "2026-10-03T15:59:00Z", "2026-10-03T16:30:00Z"),
            // 02:30 (in New York 01:30) comes twice: the first ends it, for good.
            ("Europe/Paris", quiet("22:00", "02:30"), "2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z"),
            ("Europe/Paris", quiet("22:00", "02:30"), "2026-10-25T01:15:00Z", "2026-10-25T01:15:00Z"),
            ("America/New_York", quiet("22:00", "01:30"), "2026-11-01T05:29:00Z", "2026-11-01T05:30:00Z"),
            ("America/New_York", quiet("22:00", "01:30"), "2026-11-01T06:15:00Z", "2026-11-01T06:15:00Z"),
            ("Australia/Sydney", quiet("22:00", "02:30"), "2026-04-04T15:29:00Z", "2026-04-04T15:30:00Z"),
            ("Australia/Sydney", quiet("22:00", "02:30"), "2026-04-04T16:15:00Z", "2026-04-04T16:15:00Z"),
        ] {
            expect(allowed(at(now), &zone(name), Some(&hours), None), from, now);
        }
    }

    #[test]
    fn a_send_window_opens_on_its_days_only() {
        let office = window("08:00", "20:00", Some(vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri]));
        // 20 November 2026 is a Friday.
        for (now, from) in [
            ("2026-11-20T07:59:59Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20T19:59:59Z", "2026-11-20T19:59:59Z"),
            ("2026-11-20T20:00:00Z", "2026-11-23T08:00:00Z"),
            ("2026-11-21T12:00:00Z", "2026-11-23T08:00:00Z"),
        ] {
            expect(allowed(at(now), &TimeZone::UTC, None, Some(&office)), from, now);
        }
        // A window across midnight belongs to the day on which it opens.
        let night = window("22:00", "02:00", Some(vec![Day::Fri]));
        for (now, from) in [
            ("2026-11-21T01:59:00Z", "2026-11-21T01:59:00Z"),
            ("2026-11-21T02:00:00Z", "2026-11-27T22:00:00Z"),
        ] {
            expect(allowed(at(now), &TimeZone::UTC, None, Some(&night)), from, now);
        }
        // Whole days.
        let weekend = window("00:00", "24:00", Some(vec![Day::Sat, Day::Sun]));
        let now = "2026-11-20T09:00:00Z";
        expect(allowed(at(now), &zone("Asia/Kolkata"), None, Some(&weekend)), "2026-11-20T18:30:00Z", now);
    }

    #[test]
    fn a_send_window_opens_at_its_local_time_on_both_clock_changes_in_three_zones() {
        let day = window("08:00", "20:00", None);
        for (name, now, from) in [
            ("Europe/Paris", "2026-03-28T19:00:00Z", "2026-03-29T06:00:00Z"),
            ("Europe/Paris", "2026-10-24T18:00:00Z", "2026-10-25T07:00:00Z"),
            ("America/New_York", "2026-03-08T01:00:00Z", "2026-03-08T12:00:00Z"),
            ("America/New_York", "2026-11-01T00:00:00Z", "2026-11-01T13:00:00Z"),
            ("Australia/Sydney", "2026-10-03T10:00:00Z", "2026-10-03T21:00:00Z"),
            ("Australia/Sydney", "2026-04-04T09:00:00Z", "2026-04-04T22:00:00Z"),
        ] {
            expect(allowed(at(now), &zone(name), None, Some(&day)), from, now);
        }
    }

    #[test]
    fn both_together_leave_what_each_allows() {
        let night = quiet("22:00", "09:00");
        let early = window("06:00", "10:00", None);
        let now = "2026-11-20T21:00:00Z";
        expect(allowed(at(now), &TimeZone::UTC, Some(&night), Some(&early)), "2026-11-21T09:00:00Z", now);
        // No instant is left: nothing is sent, and nothing loops.
        let night_only = window("23:00", "05:00", None);
        assert_eq!(allowed(at(now), &TimeZone::UTC, Some(&night), Some(&night_only)), Allowed::Never);
    }

    #[test]
    fn hours_that_cannot_be_are_pointed_at() {
        let pointers = |faults: Vec<FieldError>| faults.into_iter().map(|f| f.pointer).collect::<Vec<_>>();
        for (from, to, wanted) in [
            ("22:00", "07:00", vec![]),
            ("00:00", "24:00", vec![]),
            ("24:00", "07:00", vec!["/from"]),
            ("25:00", "7:00", vec!["/from", "/to"]),
            ("22:60", "+7:00", vec!["/from", "/to"]),
            ("22:00", "22:00", vec!["/to"]),
        ] {
            assert_eq!(pointers(quiet(from, to).faults()), wanted, "{from} {to}");
        }
        assert_eq!(pointers(window("08:00", "20:00", Some(vec![])).faults()), ["/days"]);
        assert_eq!(pointers(window("08:00", "20:00", Some(vec![Day::Mon, Day::Mon])).faults()), ["/days/1"]);
    }
}
