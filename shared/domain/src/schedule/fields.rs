//! The five fields of cron as sets: minutes, hours, days, months, weekdays. Every cadence is one of these.

use jiff::civil::Date;

/// What each field allows, one bit for each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// From Sunday, 0.
    weekdays: u64,
}

/// The days of a week as cron and EventBridge write them, from 0.
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The months, from 1.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const ALL_MINUTES: u64 = (1 << 60) - 1;
const ALL_HOURS: u64 = (1 << 24) - 1;
/// 1 to 31.
const ALL_DAYS: u64 = (1 << 32) - 2;
/// 1 to 12.
const ALL_MONTHS: u64 = (1 << 13) - 2;
const ALL_WEEKDAYS: u64 = (1 << 7) - 1;

/// Which values a field has, and what they may be called.
struct Field {
    what: &'static str,
    first: u8,
    last: u8,
    names: &'static [&'static str],
}

impl Fields {
    /// Every day, at every minute of an hour that this number divides.
    pub(super) fn each_minutes(step: u8) -> Self {
        Self { minutes: multiples(step, 60), hours: ALL_HOURS, ..Self::any_day() }
    }

    /// Every day, at every hour that this number divides.
    pub(super) fn each_hours(step: u8) -> Self {
        Self { minutes: 1, hours: multiples(step, 24), ..Self::any_day() }
    }

    /// Once a day.
    pub(super) fn daily(hour: i8, minute: i8) -> Self {
        Self { minutes: 1 << minute, hours: 1 << hour, ..Self::any_day() }
    }

    /// Once a week.
    pub(super) fn weekly(weekday: u8, hour: i8, minute: i8) -> Self {
        Self { weekdays: 1 << weekday, ..Self::daily(hour, minute) }
    }

    /// Minute, hour, day, month, weekday as cron writes them.
    pub(super) fn cron(texts: [&str; 5]) -> Result<Self, String> {
        let [minute, hour, day, month, weekday] = texts;
        let field = |what, first, last, names| Field { what, first, last, names };
        let mut read = Self {
            minutes: field("minute", 0, 59, &[]).set(minute)?,
            hours: field("hour", 0, 23, &[]).set(hour)?,
            days: field("day", 1, 31, &[]).set(day)?,
            months: field("month", 1, 12, &MONTHS).set(month)?,
            weekdays: field("weekday", 0, 7, &WEEKDAYS).set(weekday)?,
        };
        // Both 0 and 7 are Sunday.
        read.weekdays = (read.weekdays | (read.weekdays >> 7)) & ALL_WEEKDAYS;
        if read.days != ALL_DAYS && read.weekdays != ALL_WEEKDAYS {
            // Cron means either of them, which nobody expects, and EventBridge refuses.
            return Err("give days or weekdays, and * for the other".to_owned());
        }
        if !read.exists() {
            return Err("none of these months has such a day".to_owned());
        }
        Ok(read)
    }

    fn any_day() -> Self {
        Self { minutes: 0, hours: 0, days: ALL_DAYS, months: ALL_MONTHS, weekdays: ALL_WEEKDAYS }
    }

    /// Whether there is such a day in some year.
    fn exists(&self) -> bool {
        let longest = |month: u8| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=12).any(|month| has(self.months, month) && (1..=longest(month)).any(|day| has(self.days, day)))
    }

    /// Whether something runs on a day.
    pub(super) fn has_day(&self, day: Date) -> bool {
        let number = |n: i8| u8::try_from(n).unwrap_or_default();
        has(self.months, number(day.month()))
            && has(self.days, number(day.day()))
            && has(self.weekdays, number(day.weekday().to_sunday_zero_offset()))
    }

    /// Hour and minute of each run of a day, in order.
    pub(super) fn times(&self) -> impl Iterator<Item = (i8, i8)> {
        let (minutes, hours) = (self.minutes, self.hours);
        let of = |set: u64, end: i8| (0..end).filter(move |n| set >> n & 1 == 1);
        of(hours, 24).flat_map(move |hour| of(minutes, 60).map(move |minute| (hour, minute)))
    }

    /// `cron(minute hour day month weekday year)`; a day that says nothing is `?`.
    pub(super) fn eventbridge(&self) -> String {
        let minutes = listed(self.minutes, ALL_MINUTES, |n| n.to_string());
        let hours = listed(self.hours, ALL_HOURS, |n| n.to_string());
        let months = listed(self.months, ALL_MONTHS, |n| n.to_string());
        let (days, weekdays) = if self.days == ALL_DAYS {
            let name = |n: u8| WEEKDAYS.get(usize::from(n)).unwrap_or(&"").to_uppercase();
            ("?".to_owned(), listed(self.weekdays, ALL_WEEKDAYS, name))
        } else {
            (listed(self.days, ALL_DAYS, |n| n.to_string()), "?".to_owned())
        };
        format!("cron({minutes} {hours} {days} {months} {weekdays} *)")
    }
}

impl Field {
    /// `*`, `*/5`, `1,3`, `1-5`, `mon-fri`, `10-50/20`.
    fn set(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, text: &str) -> Result<u64, String> {
        let wrong = || {
            let Self { what, first, last, .. } = self;
            format!("{text:?} is no {what}; it is {first} to {last}, a range, a list, * or */n")
        };
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => {
                (range, step.parse::<u8>().ok().filter(|step| *step > 0).ok_or_else(wrong)?)
            }
            None => (text, 1),
        };
        let (from, to) = match range.split_once('-') {
            None if range == "*" => (self.first, self.last - u8::from(self.last == 7)),
            // A single value with a step means nothing that everybody agrees on.
            None if step > 1 => return Err(wrong()),
            None => {
                let value = self.value(range).ok_or_else(wrong)?;
                (value, value)
            }
            Some((from, to)) => (self.value(from).ok_or_else(wrong)?, self.value(to).ok_or_else(wrong)?),
        };
        if from > to {
            return Err(wrong());
        }
        Ok((from..=to).step_by(step.into()).fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u8> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return u8::try_from(at).ok().map(|at| at + self.first);
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| digits && (self.first..=self.last).contains(n))
    }
}

/// A weekday by its name, from Sunday, 0.
pub(super) fn weekday(text: &str) -> Result<u8, String> {
    let at = WEEKDAYS.iter().position(|name| *name == text.to_ascii_lowercase());
    let at = at.and_then(|at| u8::try_from(at).ok());
    at.ok_or_else(|| format!("{text:?} is no weekday; they are {}", WEEKDAYS.join(", ")))
}

fn has(set: u64, value: u8) -> bool {
    set >> value & 1 == 1
}

fn multiples(step: u8, below: u8) -> u64 {
    (0..below).step_by(step.max(1).into()).fold(0, |set, value| set | 1 << value)
}

/// The values of a set as EventBridge lists them, with ranges; `*` for all there are.
fn listed(set: u64, all: u64, name: impl Fn(u8) -> String) -> String {
    if set == all {
        return "*".to_owned();
    }
    let mut parts = Vec::new();
    let mut value = 0;
    while value < 64 {
        if has(set, value) {
            let end = (value..63).take_while(|n| has(set, n + 1)).last().map_or(value, |n| n + 1);
            parts.push(if end > value { format!("{}-{}", name(value), name(end)) } else { name(value) });
            value = end;
        }
        value += 1;
    }
    parts.join(",")
}
