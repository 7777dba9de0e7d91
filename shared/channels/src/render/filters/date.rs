//! `value | date("long")`: an instant in the reader's time zone, or a calendar date as it is, in the form of the
//! locale. Takes RFC 3339 text; the template prints what comes out.

use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{Fault, Words};

/// The form of a `date` without a format.
pub(super) const DEFAULT: &str = "long";

/// `2026-11-20`.
const DATE_CHARS: usize = 10;

const FRENCH_MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// The value in the format: one of the styles, or strftime where there is a `%`.
pub(super) fn date(words: Words, value: &str, format: &str, zone: Option<&str>) -> Result<String, Fault> {
    if value.len() == DATE_CHARS {
        let date: Date = value.parse().map_err(|_| NOT_A_DATE)?;
        return match format {
            "short" => Ok(short(words, date)),
            "long" => Ok(long(words, date)),
            "time" | "datetime" => Err(Fault("is a date without a time; use the style short or long")),
            format if format.contains('%') => strtime::format(format, date).map_err(|_| BAD_FORMAT),
            _ => Err(UNKNOWN_STYLE),
        };
    }
    let instant: Timestamp = value.parse().map_err(|_| NOT_A_DATE)?;
    let local = instant.to_zoned(time_zone(zone));
    match format {
        "short" => Ok(short(words, local.date())),
        "long" => Ok(long(words, local.date())),
        "time" => Ok(time(words, &local)),
        "datetime" => Ok(datetime(words, &local)),
        format if format.contains('%') => strtime::format(format, &local).map_err(|_| BAD_FORMAT),
        _ => Err(UNKNOWN_STYLE),
    }
}

const NOT_A_DATE: Fault =
    Fault("is neither a date like 2026-11-20 nor a time with its offset like 2026-11-20T16:30:00Z");
const UNKNOWN_STYLE: Fault = Fault("knows the styles short, long, time and datetime, and strftime formats");
const BAD_FORMAT: Fault = Fault("cannot write the value in this strftime format");

/// UTC where the zone is missing or not known: an hour off is better than no message.
fn time_zone(name: Option<&str>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}

/// CLDR's medium date: its short one, `11/12/26`, is read as two different days.
fn short(words: Words, date: Date) -> String {
    match words {
        Words::AmericanEnglish => date.strftime("%b %-d, %Y").to_string(),
        Words::English => date.strftime("%-d %b %Y").to_string(),
        Words::French => date.strftime("%d/%m/%Y").to_string(),
        Words::Other => date.to_string(),
    }
}

fn long(words: Words, date: Date) -> String {
    match words {
        Words::AmericanEnglish => date.strftime("%B %-d, %Y").to_string(),
        Words::English => date.strftime("%-d %B %Y").to_string(),
        Words::French => {
            let ordinal = if date.day() == 1 { "er" } else { "" };
            let months = usize::try_from(date.month() - 1).ok().and_then(|at| FRENCH_MONTHS.get(at));
            format!("{}{ordinal} {} {}", date.day(), months.unwrap_or(&""), date.year())
        }
        Words::Other => date.to_string(),
    }
}

fn time(words: Words, local: &Zoned) -> String {
    match words {
        Words::AmericanEnglish => local.strftime("%-I:%M\u{a0}%p").to_string(),
        Words::English | Words::French | Words::Other => local.strftime("%H:%M").to_string(),
    }
}

fn datetime(words: Words, local: &Zoned) -> String {
    let between = match words {
        Words::AmericanEnglish | Words::English => " at ",
        Words::French => " à ",
        Words::Other => " ",
    };
    long(words, local.date()) + between + &time(words, local)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENING: &str = "2026-11-20T22:30:00Z";

    #[test]
    fn an_instant_is_told_in_the_readers_zone_and_words() {
        for (words, zone, format, is) in [
            (Words::AmericanEnglish, "America/New_York", "short", "Nov 20, 2026"),
            (Words::AmericanEnglish, "America/New_York", "long", "November 20, 2026"),
            (Words::AmericanEnglish, "America/New_York", "time", "5:30\u{a0}PM"),
            (Words::AmericanEnglish, "America/New_York", "datetime", "November 20, 2026 at 5:30\u{a0}PM"),
            (Words::English, "Africa/Harare", "datetime", "21 November 2026 at 00:30"),
            (Words::English, "Africa/Harare", "short", "21 Nov 2026"),
            (Words::French, "Europe/Paris", "short", "20/11/2026"),
            (Words::French, "Europe/Paris", "datetime", "20 novembre 2026 à 23:30"),
            (Words::Other, "Europe/Berlin", "datetime", "2026-11-20 23:30"),
            (Words::French, "Europe/Paris", "%Y-%m-%d %H h %M", "2026-11-20 23 h 30"),
        ] {
            assert_eq!(date(words, EVENING, format, Some(zone)).unwrap(), is, "{words:?} {format}");
        }
    }

    #[test]
    fn a_zone_that_nobody_knows_is_utc() {
        for zone in [None, Some("Mars/Olympus"), Some("")] {
            assert_eq!(date(Words::Other, EVENING, "time", zone).unwrap(), "22:30");
        }
        let offset = "2026-11-20T22:30:00+02:00";
        assert_eq!(date(Words::Other, offset, "time", None).unwrap(), "20:30");
    }

    #[test]
    fn a_calendar_date_is_the_same_day_everywhere() {
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            assert_eq!(date(Words::French, "2026-12-01", "long", Some(zone)).unwrap(), "1er décembre 2026");
            assert_eq!(date(Words::Other, "2026-12-01", "%d.%m.", Some(zone)).unwrap(), "01.12.");
        }
        assert!(date(Words::French, "2026-12-01", "time", None).is_err());
        assert!(date(Words::French, "2026-12-01", "%H:%M", None).is_err());
    }

    #[test]
    fn what_is_not_a_time_or_a_format_is_refused() {
        for bad in ["", "soon", "2026-02-30", "2026-11-20T22:30:00", "20/11/2026", "20 novembre"] {
            assert!(date(Words::English, bad, "long", None).is_err(), "{bad:?}");
        }
        for bad in ["", "medium", "%", "%!", "yyyy-MM-dd"] {
            assert!(date(Words::English, EVENING, bad, None).is_err(), "{bad:?}");
        }
    }
}
