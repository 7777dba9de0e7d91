//! What cadences mean, in zones and over clock changes, and what is refused.

use super::*;

fn runs(cadence: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let zone = TimeZone::get(zone).unwrap();
    let cadence: Cadence = cadence.parse().unwrap();
    cadence.next_runs(&zone, after.parse().unwrap(), count).iter().map(ToString::to_string).collect()
}

#[test]
fn minutes_and_hours_count_from_midnight_utc_whatever_the_zone() {
    for zone in ["UTC", "Asia/Kathmandu", "America/New_York"] {
        assert_eq!(
            runs("30m", zone, "2026-11-20T09:10:00Z", 3),
            ["2026-11-20T09:30:00Z", "2026-11-20T10:00:00Z", "2026-11-20T10:30:00Z"]
        );
        assert_eq!(
            runs("12h", zone, "2026-11-20T12:00:00Z", 2),
            ["2026-11-21T00:00:00Z", "2026-11-21T12:00:00Z"]
        );
    }
    assert_eq!(runs("1m", "UTC", "2026-12-31T23:59:00Z", 1), ["2027-01-01T00:00:00Z"]);
    assert_eq!(runs("60m", "UTC", "2026-11-20T09:00:00Z", 1), ["2026-11-20T10:00:00Z"]);
    assert_eq!(runs("24h", "UTC", "2026-11-20T09:00:00Z", 1), ["2026-11-21T00:00:00Z"]);
}

#[test]
fn days_and_weeks_are_of_the_zone() {
    assert_eq!(
        runs("daily 02:00", "Europe/Paris", "2026-11-20T09:00:00Z", 2),
        ["2026-11-21T01:00:00Z", "2026-11-22T01:00:00Z"]
    );
    assert_eq!(
        runs("weekly mon 08:00", "Australia/Sydney", "2026-11-20T09:00:00Z", 2),
        ["2026-11-22T21:00:00Z", "2026-11-29T21:00:00Z"]
    );
}

/// A local time that is skipped comes an hour later; what the clock change does not touch stays where it is.
#[test]
fn when_clocks_go_forward_a_time_that_is_skipped_comes_later() {
    for (zone, after, expected) in [
        (
            "Europe/Paris",
            "2026-03-28T12:00:00Z",
            ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"],
        ),
        (
            "America/New_York",
            "2026-03-07T12:00:00Z",
            ["2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z", "2026-03-10T06:30:00Z"],
        ),
        (
            "Australia/Sydney",
            "2026-10-03T00:00:00Z",
            ["2026-10-03T16:30:00Z", "2026-10-04T15:30:00Z", "2026-10-05T15:30:00Z"],
        ),
    ] {
        assert_eq!(runs("daily 02:30", zone, after, 3), expected, "{zone}");
    }
    // Every half hour, on both sides of the gap, none twice.
    assert_eq!(
        runs("*/30 * * * *", "Europe/Paris", "2026-03-29T00:00:00Z", 4),
        ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"]
    );
    // A gap of half an hour: the two times of it come after it, in their order.
    assert_eq!(
        runs("15,40 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
        ["2026-10-03T15:40:00Z", "2026-10-03T15:45:00Z"]
    );
}

#[test]
fn when_clocks_go_back_a_time_that_comes_twice_counts_the_first_time() {
    for (cadence, zone, after, expected) in [
        (
            "daily 02:30",
            "Europe/Paris",
            "2026-10-24T12:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "daily 01:30",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        (
            "daily 02:30",
            "Australia/Sydney",
            "2026-04-04T00:00:00Z",
            ["2026-04-04T15:30:00Z", "2026-04-05T16:30:00Z"],
        ),
    ] {
        assert_eq!(runs(cadence, zone, after, 2), expected, "{zone}");
    }
    // Between the two of them nothing runs by local time, and minutes do not care.
    assert_eq!(
        runs("0 * * * *", "Europe/Paris", "2026-10-25T00:00:00Z", 1),
        ["2026-10-25T02:00:00Z"],
        "02:00 came at midnight UTC already; the next is 03:00"
    );
    assert_eq!(runs("30m", "Europe/Paris", "2026-10-25T00:00:00Z", 1), ["2026-10-25T00:30:00Z"]);
}

#[test]
fn the_last_run_before_an_instant_is_found() {
    let last = |cadence: &str, after: &str, to: &str| {
        let cadence: Cadence = cadence.parse().unwrap();
        let run = cadence.last_run(&TimeZone::UTC, after.parse().unwrap(), to.parse().unwrap());
        run.map(|at| at.to_string())
    };
    let (start, end) = ("2026-11-20T09:00:00Z", "2026-11-22T09:20:00Z");
    assert_eq!(last("15m", start, end).as_deref(), Some("2026-11-22T09:15:00Z"));
    assert_eq!(last("daily 02:00", start, end).as_deref(), Some("2026-11-22T02:00:00Z"));
    assert_eq!(last("weekly mon 08:00", start, end), None);
    assert_eq!(last("15m", start, "2026-11-20T09:10:00Z"), None);
}

#[test]
fn cron_has_lists_ranges_steps_and_names() {
    let after = "2026-11-20T09:00:00Z";
    assert_eq!(
        runs("0 8 * * mon-fri", "UTC", after, 2),
        ["2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z"],
        "Friday's has been"
    );
    assert_eq!(
        runs("10-50/20 9,17 * * *", "UTC", after, 4),
        ["2026-11-20T09:10:00Z", "2026-11-20T09:30:00Z", "2026-11-20T09:50:00Z", "2026-11-20T17:10:00Z"]
    );
    assert_eq!(runs("0 0 29 feb *", "UTC", after, 1), ["2028-02-29T00:00:00Z"]);
    assert_eq!(runs("0 0 31 * *", "UTC", after, 2), ["2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z"]);
    for sunday in ["0", "7", "sun"] {
        assert_eq!(runs(&format!("0 6 * * {sunday}"), "UTC", after, 1), ["2026-11-22T06:00:00Z"]);
    }
    assert_eq!(runs("*  *  *  * *", "UTC", after, 1), ["2026-11-20T09:01:00Z"]);
}

#[test]
fn a_cadence_that_means_nothing_is_refused_with_what_is_allowed() {
    for (wrong, says) in [
        ("", "is no cadence"),
        ("hourly", "is no cadence"),
        ("7m", "minutes are 1, 2, 3"),
        ("0m", "minutes are 1, 2, 3"),
        ("90m", "minutes are 1, 2, 3"),
        ("5h", "hours are 1, 2, 3"),
        ("300h", "is no cadence"),
        ("30s", "is no cadence"),
        ("-30m", "is no cadence"),
        ("daily", "is no cadence"),
        ("daily 24:00", "is no time of day"),
        ("daily 8:00", "is no time of day"),
        ("daily +8:00", "is no time of day"),
        ("weekly monday 08:00", "is no weekday"),
        ("60 * * * *", "is no minute"),
        ("* 24 * * *", "is no hour"),
        ("* * 0 * *", "is no day"),
        ("* * * 13 *", "is no month"),
        ("* * * * 8", "is no weekday"),
        ("*/0 * * * *", "is no minute"),
        ("5/10 * * * *", "is no minute"),
        ("9-5 * * * *", "is no minute"),
        ("0 0 30 2 *", "none of these months"),
        ("0 0 1 * mon", "days or weekdays"),
        ("0 0 * * * *", "is no cadence"),
    ] {
        let fault = wrong.parse::<Cadence>().unwrap_err().to_string();
        assert!(fault.contains(says) && fault.contains("daily 02:00"), "{wrong:?}: {fault}");
    }
}

#[test]
fn eventbridge_is_told_the_same() {
    for (cadence, expression, zone) in [
        ("1m", "cron(* * ? * * *)", "UTC"),
        ("30m", "cron(0,30 * ? * * *)", "UTC"),
        ("12h", "cron(0 0,12 ? * * *)", "UTC"),
        ("daily 02:00", "cron(0 2 ? * * *)", "Europe/Paris"),
        ("weekly sun 08:05", "cron(5 8 ? * SUN *)", "Europe/Paris"),
        ("0 2 * * mon-fri", "cron(0 2 ? * MON-FRI *)", "Europe/Paris"),
        ("0 2 1,15 jan-mar *", "cron(0 2 1,15 1-3 ? *)", "Europe/Paris"),
        ("1-59 1-23 2-31 2-12 *", "cron(1-59 1-23 2-31 2-12 ? *)", "Europe/Paris"),
    ] {
        let cadence: Cadence = cadence.parse().unwrap();
        assert_eq!(cadence.on_eventbridge("Europe/Paris"), (expression.to_owned(), zone), "{cadence}");
    }
}

#[test]
fn a_schedule_that_cannot_run_is_refused_field_by_field() {
    let schedule = |sweep, classes: Option<&[&str]>, time_zone: Option<&str>| Schedule {
        sweep,
        classes: classes.map(|classes| classes.iter().map(|class| class.parse().unwrap()).collect()),
        cadence: Sweep::Reminders.deployment_cadence(),
        time_zone: time_zone.map(str::to_owned),
        enabled: true,
    };
    assert_eq!(schedule(Sweep::Reminders, Some(&["short", "overdue"]), Some("Europe/Paris")).faults(), []);
    for (wrong, pointer) in [
        (schedule(Sweep::Due, Some(&["short"]), None), "/classes"),
        (schedule(Sweep::Reminders, Some(&[]), None), "/classes"),
        (schedule(Sweep::Reminders, Some(&["short", "short"]), None), "/classes/1"),
        (schedule(Sweep::Reminders, None, Some("Paris")), "/time_zone"),
    ] {
        let pointers: Vec<String> = wrong.faults().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, [pointer]);
    }
}
