//! When sweeps run by themselves: a schedule names a sweep and how often. Pure; the ports register schedules with whatever
//! fires them, and everybody asks [`Cadence::next_runs`] what that means.

mod fields;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use self::fields::Fields;
use crate::Timestamp;
use crate::ids::{InvalidId, Lane};
use crate::problem::FieldError;

/// Time-driven work over an interval, by the name of its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sweep {
    /// Moves on what is due, of all tenants.
    #[serde(rename = "sweep-due")]
    Due,
    /// Plans the reminders of open deadlines.
    #[serde(rename = "sweep-reminders")]
    Reminders,
    /// Removes what is older than its tenant keeps it.
    #[serde(rename = "sweep-cleanup")]
    Cleanup,
    /// Looks after the health of every tenant.
    #[serde(rename = "sweep-health")]
    Health,
}

impl Sweep {
    /// Every sweep.
    pub const ALL: [Self; 4] = [Self::Due, Self::Reminders, Self::Cleanup, Self::Health];

    /// The sweep's name in JSON, which is its function's and that of the deployment's own schedule of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "sweep-due",
            Self::Reminders => "sweep-reminders",
            Self::Cleanup => "sweep-cleanup",
            Self::Health => "sweep-health",
        }
    }

    /// How often the deployment runs it by itself, whatever tenants declare. `template.yaml` says the same.
    #[must_use]
    pub fn deployment_cadence(self) -> Cadence {
        match self {
            Self::Due => Cadence::of_minutes(1),
            Self::Reminders => Cadence::of_minutes(15),
            Self::Health => Cadence::of_minutes(5),
            Self::Cleanup => {
                Cadence { text: "daily 02:00".to_owned(), fields: Fields::daily(2, 0), in_utc: true }
            }
        }
    }
}

impl std::str::FromStr for Sweep {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|sweep| sweep.as_str() == text).ok_or(())
    }
}

impl std::fmt::Display for Sweep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tenant's schedule, as it is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What it runs.
    pub sweep: Sweep,
    /// Which classes of deadlines `sweep-reminders` plans; `overdue` is what comes after the due time. All when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<Lane>>,
    /// When it runs.
    pub cadence: Cadence,
    /// The IANA zone of its local times, where it is not the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Whether it runs at all.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl Schedule {
    /// What is wrong beyond the shape.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if self.sweep == Sweep::Health {
            faults.push(FieldError::new("/sweep", "runs for every tenant by the deployment's own schedule"));
        }
        if let Some(classes) = &self.classes {
            if self.sweep != Sweep::Reminders {
                faults.push(FieldError::new("/classes", "only sweep-reminders has classes"));
            } else if classes.is_empty() {
                faults.push(FieldError::new("/classes", "names no class; leave it out for all of them"));
            }
            for (i, class) in classes.iter().enumerate() {
                if classes[..i].contains(class) {
                    faults.push(FieldError::new(format!("/classes/{i}"), "is there twice"));
                }
            }
        }
        if self.time_zone.as_deref().is_some_and(|zone| TimeZone::get(zone).is_err()) {
            faults
                .push(FieldError::new("/time_zone", "is not an IANA time zone; write it like Europe/Paris"));
        }
        faults
    }
}

/// How often something runs: `30m`, `12h`, `daily 02:00`, `weekly mon 08:00`, or a cron expression of five fields. Minutes
/// and hours count from midnight UTC, whatever clocks do; local times are of a zone: one that a clock change skips comes
/// as much later, one that comes twice counts once, the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cadence {
    text: String,
    fields: Fields,
    /// Whether the fields are of UTC, and not of the zone that is asked for.
    in_utc: bool,
}

/// What a cadence may be, for whoever wrote something else.
const ALLOWED: &str = "give \"30m\" or \"12h\" (a part of an hour or of a day), \"daily 02:00\", \"weekly mon 08:00\", or \
     cron's five fields: minute hour day month weekday, such as \"0 2 * * mon-fri\"";

/// How many days are looked through for the next run: a 29th of February can be eight years away.
const DAYS_AHEAD: u32 = 3_000;

/// More than clocks are ever put forward: a local time that was skipped comes at most so much later.
const LONGEST_GAP: jiff::SignedDuration = jiff::SignedDuration::from_hours(3);

impl Cadence {
    /// Every so many minutes, a part of an hour.
    fn of_minutes(minutes: u8) -> Self {
        Self { text: format!("{minutes}m"), fields: Fields::each_minutes(minutes), in_utc: true }
    }

    /// The cadence as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first `count` runs after an instant; fewer when there are no more in eight years.
    #[must_use]
    pub fn next_runs(&self, zone: &TimeZone, after: Timestamp, count: usize) -> Vec<Timestamp> {
        self.runs(zone, after, Timestamp::MAX, count)
    }

    /// The last run after an instant and up to another, if there is one; of the last eight days before that.
    #[must_use]
    pub fn last_run(&self, zone: &TimeZone, after: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let week = jiff::SignedDuration::from_hours(8 * 24);
        let after = to.checked_sub(week).map_or(after, |from| from.max(after));
        self.runs(zone, after, to, usize::MAX).last().copied()
    }

    fn runs(&self, zone: &TimeZone, after: Timestamp, to: Timestamp, count: usize) -> Vec<Timestamp> {
        let zone = if self.in_utc { &TimeZone::UTC } else { zone };
        let mut runs = Vec::new();
        let since = after.checked_sub(LONGEST_GAP).unwrap_or(after).to_zoned(zone.clone()).datetime();
        let until = to.to_zoned(zone.clone()).datetime();
        let mut day = since.date();
        for _ in 0..DAYS_AHEAD {
            if runs.len() >= count || day > until.date() {
                break;
            }
            if self.fields.has_day(day) {
                let times = self.fields.times().map(|(hour, minute)| day.at(hour, minute, 0, 0));
                let later = times.filter(|local| *local >= since);
                let instants = later.filter_map(|local| zone.to_ambiguous_timestamp(local).compatible().ok());
                let mut today: Vec<Timestamp> = instants.filter(|at| *at > after && *at <= to).collect();
                today.sort();
                // Two local times can be one instant, and one moved over midnight may have come already.
                today.retain(|at| runs.last().is_none_or(|last| at > last));
                today.dedup();
                runs.extend(today);
            }
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => break,
            }
        }
        runs.truncate(count);
        runs
    }

    /// The same as an expression of EventBridge Scheduler, and the zone that it is read in.
    #[must_use]
    pub fn on_eventbridge<'a>(&self, zone: &'a str) -> (String, &'a str) {
        (self.fields.eventbridge(), if self.in_utc { "UTC" } else { zone })
    }
}

impl std::fmt::Display for Cadence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Cadence> for String {
    fn from(cadence: Cadence) -> Self {
        cadence.text
    }
}

impl TryFrom<String> for Cadence {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let read = match words[..] {
            [every] => each(every).map(|fields| (fields, true)),
            ["daily", at] => clock_time(at).map(|(hour, minute)| (Fields::daily(hour, minute), false)),
            ["weekly", day, at] => clock_time(at)
                .and_then(|(hour, minute)| Ok((Fields::weekly(fields::weekday(day)?, hour, minute), false))),
            [minute, hour, day, month, weekday] => {
                Fields::cron([minute, hour, day, month, weekday]).map(|fields| (fields, false))
            }
            _ => Err("is no cadence".to_owned()),
        };
        match read {
            Ok((fields, in_utc)) => Ok(Self { text: words.join(" "), fields, in_utc }),
            Err(fault) => Err(InvalidId::rule(&format!("{text:?}: {fault}; {ALLOWED}"))),
        }
    }
}

impl std::str::FromStr for Cadence {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::try_from(text.to_owned())
    }
}

/// `30m` or `12h`.
fn each(text: &str) -> Result<Fields, String> {
    let wrong = || "is no cadence".to_owned();
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let number: u8 = number.parse().map_err(|_| wrong())?;
    let divides = |whole: u8| number > 0 && whole.is_multiple_of(number);
    match unit {
        "m" if divides(60) => Ok(Fields::each_minutes(number)),
        "m" => {
            Err("an hour has no such part; minutes are 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60".to_owned())
        }
        "h" if divides(24) => Ok(Fields::each_hours(number)),
        "h" => Err("a day has no such part; hours are 1, 2, 3, 4, 6, 8, 12 or 24".to_owned()),
        _ => Err(wrong()),
    }
}

/// `02:00`.
fn clock_time(text: &str) -> Result<(i8, i8), String> {
    let wrong = || format!("{text:?} is no time of day; write it like 08:00");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let two = |part: &str, below: i8| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<i8>().ok().filter(|n| digits && *n < below).ok_or_else(wrong)
    };
    Ok((two(hour, 24)?, two(minute, 60)?))
}

#[cfg(test)]
mod tests;
