//! The checks, for [`super`]: each is a function of the figures and the thresholds.

use super::{Check, Finding, Reading, Severity, Tally, Thresholds};
use crate::channel::Channel;
use crate::credits::{CreditUnit, Credits};

/// So many calls without a success say that a provider takes nothing.
const TELLING_CALLS: i64 = 3;

/// How many templates and sweeps a text names.
const NAMED: usize = 5;

/// The figures of one tenant at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// How long the table took to answer, in milliseconds.
    pub database_ms: i64,
    /// What is counted now, of the same days as the reading beside it; and that reading, of before the period.
    pub success: (Reading, Reading),
    /// The same for what failed in a day.
    pub day: (Reading, Reading),
    /// The same for what is stuck.
    pub stuck: (Reading, Reading),
    /// The same since the run before.
    pub run: (Reading, Reading),
    /// Channels that are paused because their provider refuses everything.
    pub halted: Vec<Channel>,
    /// Dead letters that nobody has put back to work.
    pub dead_letters: i64,
    /// There may be more of them than were counted.
    pub more_dead_letters: bool,
    /// Credits.
    pub credits: Option<Credits>,
    /// The deployment's sweeps that are late.
    pub late_sweeps: Vec<&'static str>,
    /// Templates that the provider does not send, with what it says of them.
    pub refused_templates: Vec<String>,
}

/// What there is to say, in a fixed order; what is well too.
#[must_use]
pub fn checks(seen: &Snapshot, limits: &Thresholds) -> Vec<Finding> {
    let mut findings = vec![database(seen, limits)];
    for channel in Channel::ALL {
        let (now, before) = (seen.run.0.tally(channel), seen.run.1.tally(channel));
        if channel != Channel::InApp {
            findings.extend(provider(channel, &now, &before, seen.halted.contains(&channel)));
            findings.extend(queue(channel, &now, limits));
        }
        let (now, before) = (seen.success.0.tally(channel), seen.success.1.tally(channel));
        findings.extend(success_rate(channel, &now, &before, limits));
    }
    findings.push(failed(seen, limits));
    findings.push(stuck(seen, limits));
    findings.push(in_doubt(seen, limits));
    findings.push(dead_letters(seen, limits));
    findings.extend(credits(seen, limits));
    findings.push(named(Check::Sweeps, &seen.late_sweeps, "Sweeps", "run as they should", "late"));
    let templates: Vec<&str> = seen.refused_templates.iter().map(String::as_str).collect();
    findings.push(named(
        Check::Templates,
        &templates,
        "Templates",
        "the provider takes all",
        "not sent by the provider",
    ));
    findings
}

/// How people call a channel.
fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Whatsapp => "WhatsApp",
        Channel::Email => "Email",
        Channel::InApp => "In-app feed",
    }
}

fn bad_if(bad: bool, severity: Severity) -> Severity {
    if bad { severity } else { Severity::Ok }
}

fn finding(
    check: Check,
    severity: impl Into<Option<Severity>>,
    (value, threshold): (i64, i64),
    text: String,
) -> Finding {
    Finding { check, channel: None, severity: severity.into(), value, threshold, text, broken: Vec::new() }
}

fn of_channel(channel: Channel, found: Finding) -> Finding {
    let broken = if found.severity > Some(Severity::Ok) { vec![channel] } else { Vec::new() };
    Finding { channel: Some(channel), broken, ..found }
}

fn database(seen: &Snapshot, limits: &Thresholds) -> Finding {
    let (took, most) = (seen.database_ms, i64::from(limits.database_ms));
    let slow = took > most;
    let text = if slow {
        format!("Database: answers in {took} ms (above {most} ms)")
    } else {
        format!("Database: answers in {took} ms")
    };
    finding(Check::Database, bad_if(slow, Severity::Warning), (took, most), text)
}

/// Whether a channel's provider takes anything. With too few calls to say, what was found before stands.
fn provider(channel: Channel, now: &Tally, before: &Tally, paused: bool) -> Option<Finding> {
    if *now == Tally::default() {
        return None;
    }
    let (calls, sent) = (now.calls - before.calls, now.sent - before.sent);
    let waiting = now.retrying + now.halted;
    let gives_up = now.exhausted > before.exhausted;
    let who = name(channel);
    let (severity, text) = if paused || now.halted > 0 {
        let text = format!("{who}: the provider refuses everything, and {} wait", messages(waiting));
        (Some(Severity::Critical), text)
    } else if calls >= TELLING_CALLS && sent <= 0 && (waiting > 0 || gives_up) {
        let text = format!("{who}: nothing got through in {calls} calls, and {} wait", messages(waiting));
        (Some(Severity::Critical), text)
    } else if waiting > 0 && sent <= 0 {
        (None, format!("{who}: too few calls to say whether anything gets through"))
    } else {
        (Some(Severity::Ok), format!("{who}: messages get through"))
    };
    Some(of_channel(channel, finding(Check::Provider, severity, (calls, 0), text)))
}

fn queue(channel: Channel, now: &Tally, limits: &Thresholds) -> Option<Finding> {
    if *now == Tally::default() {
        return None;
    }
    let (depth, most) = (now.pending.max(0), i64::from(limits.queue));
    let deep = depth > most;
    let above = if deep { format!(" (above the limit of {most})") } else { String::new() };
    let text = format!("{}: {} on the queue{above}", name(channel), messages(depth));
    Some(of_channel(channel, finding(Check::Queue, bad_if(deep, Severity::Warning), (depth, most), text)))
}

fn success_rate(channel: Channel, now: &Tally, before: &Tally, limits: &Thresholds) -> Option<Finding> {
    // A retry by hand takes a failure back, so a difference can be negative.
    let good = (now.good - before.good).max(0);
    let bad = (now.failed + now.expired - before.failed - before.expired).max(0);
    let all = good + bad;
    if *now == Tally::default() {
        return None;
    }
    let least = i64::from(limits.success_rate_percent);
    let who = name(channel);
    if all < i64::from(limits.success_rate_least) {
        let text = format!("{who}: too few messages for a success rate");
        return Some(of_channel(
            channel,
            finding(Check::SuccessRate, Some(Severity::Ok), (100, least), text),
        ));
    }
    let percent = good * 100 / all;
    let low = percent < least;
    let below = if low { format!(" (below {least}% threshold)") } else { String::new() };
    let text = format!("{who}: {percent}% success rate{below}");
    Some(of_channel(
        channel,
        finding(Check::SuccessRate, bad_if(low, Severity::Warning), (percent, least), text),
    ))
}

fn failed(seen: &Snapshot, limits: &Thresholds) -> Finding {
    let by_channel: Vec<(Channel, i64)> = Channel::ALL
        .into_iter()
        .map(|channel| (channel, seen.day.0.tally(channel).failed - seen.day.1.tally(channel).failed))
        .filter(|(_, n)| *n > 0)
        .collect();
    let (sum, most) = (by_channel.iter().map(|(_, n)| n).sum::<i64>(), i64::from(limits.failed));
    let many = sum > most;
    let each: Vec<String> = by_channel.iter().map(|(channel, n)| format!("{} {n}", name(*channel))).collect();
    let text = if many {
        format!("{sum} failed messages in 24 hours (above the limit of {most}): {}", each.join(", "))
    } else {
        format!("{sum} failed messages in 24 hours")
    };
    // Whoever is told is told where no more than a few failed.
    let broken =
        by_channel.into_iter().filter(|(_, n)| many && *n * 5 > sum).map(|(channel, _)| channel).collect();
    Finding { broken, ..finding(Check::Failed, bad_if(many, Severity::Critical), (sum, most), text) }
}

/// What was on its way when the period began, and cannot have left it since: workers take the longest waiting first. And
/// never more than what is on its way now.
fn stuck(seen: &Snapshot, limits: &Thresholds) -> Finding {
    let of = |channel: Channel| {
        let (now, before) = (seen.stuck.0.tally(channel), seen.stuck.1.tally(channel));
        let left = before.on_their_way() - (now.calls - before.calls).max(0);
        left.min(now.on_their_way()).max(0)
    };
    let channels = [Channel::Whatsapp, Channel::Email].map(|channel| (channel, of(channel)));
    let (sum, most) = (channels.iter().map(|(_, n)| n).sum::<i64>(), i64::from(limits.stuck));
    let many = sum > most;
    let above = if many { format!(" (above the limit of {most})") } else { String::new() };
    let minutes = limits.stuck_after_s / 60;
    let text = format!("{sum} stuck messages, pending or sending for over {minutes} minutes{above}");
    let broken = channels.into_iter().filter(|(_, n)| many && *n > 0).map(|(channel, _)| channel).collect();
    Finding { broken, ..finding(Check::Stuck, bad_if(many, Severity::Warning), (sum, most), text) }
}

fn in_doubt(seen: &Snapshot, limits: &Thresholds) -> Finding {
    let sum: i64 = seen.run.0.channels.values().map(|tally| tally.in_doubt.max(0)).sum();
    let most = i64::from(limits.in_doubt);
    let many = sum > most;
    let above = if many { format!(" (above the limit of {most})") } else { String::new() };
    let text = format!("{} in doubt{above}", messages(sum));
    finding(Check::InDoubt, bad_if(many, Severity::Warning), (sum, most), text)
}

fn dead_letters(seen: &Snapshot, limits: &Thresholds) -> Finding {
    let (count, most) = (seen.dead_letters, i64::from(limits.dead_letters));
    let at_least = if seen.more_dead_letters { "at least " } else { "" };
    let letters = if count == 1 { "dead letter" } else { "dead letters" };
    let text = format!("{at_least}{count} {letters}");
    finding(Check::DeadLetters, bad_if(count > most, Severity::Warning), (count, most), text)
}

/// Two rules, named apart: a share of the allowance, and a number.
fn credits(seen: &Snapshot, limits: &Thresholds) -> Vec<Finding> {
    let Some(credits) = seen.credits else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(percent) = credits.percent() {
        let (warning, critical) =
            (i64::from(limits.credits_warning_percent), i64::from(limits.credits_critical_percent));
        let at_most =
            |limit: i64| credits.balance.saturating_mul(100) <= credits.allowance.saturating_mul(limit);
        let (severity, threshold) = if at_most(critical) {
            (Severity::Critical, critical)
        } else if at_most(warning) {
            (Severity::Warning, warning)
        } else {
            (Severity::Ok, warning)
        };
        let low =
            if severity > Severity::Ok { format!(" (the limit is {threshold}%)") } else { String::new() };
        let text = format!("Credits: {percent}% of the allowance left{low}");
        findings.push(finding(Check::CreditsShare, Some(severity), (percent, threshold), text));
    }
    if credits.unit == CreditUnit::Messages {
        let (left, least) = (credits.balance, i64::from(limits.credits_left));
        let few = left < least;
        let fewer = if few { format!(" (fewer than {least})") } else { String::new() };
        let text = format!("Credits: {left} left{fewer}");
        findings.push(finding(Check::CreditsLeft, bad_if(few, Severity::Warning), (left, least), text));
    }
    findings
}

/// A list that should be empty.
fn named(check: Check, names: &[&str], what: &str, well: &str, bad: &str) -> Finding {
    let count = i64::try_from(names.len()).unwrap_or(i64::MAX);
    let text = if names.is_empty() {
        format!("{what}: {well}")
    } else {
        let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        format!("{what}: {count} {bad}: {shown}")
    };
    finding(check, bad_if(count > 0, Severity::Warning), (count, 0), text)
}

fn messages(count: i64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Timestamp;

    fn reading(channel: Channel, tally: Tally) -> Reading {
        Reading { at: Timestamp::UNIX_EPOCH, first_day: 0, channels: BTreeMap::from([(channel, tally)]) }
    }

    fn nothing() -> Reading {
        reading(Channel::Email, Tally::default())
    }

    fn seen() -> Snapshot {
        let none = || (nothing(), nothing());
        Snapshot {
            database_ms: 3,
            success: none(),
            day: none(),
            stuck: none(),
            run: none(),
            halted: Vec::new(),
            dead_letters: 0,
            more_dead_letters: false,
            credits: None,
            late_sweeps: Vec::new(),
            refused_templates: Vec::new(),
        }
    }

    fn found(seen: &Snapshot, key: &str) -> (Option<Severity>, String) {
        let all = checks(seen, &Thresholds::default());
        let one = all.into_iter().find(|finding| finding.key() == key).unwrap_or_else(|| panic!("no {key}"));
        (one.severity, one.text)
    }

    fn of(severity: Severity, text: &str) -> (Option<Severity>, String) {
        (Some(severity), text.to_owned())
    }

    /// E10, E14, E16, E27: each channel is a service with its rate, and below 80 percent is a warning, in the words of the
    /// system before.
    #[test]
    fn a_success_rate_below_eighty_percent_is_a_warning() {
        let mut seen = seen();
        for (good, failed, severity, text) in [
            (5, 5, Severity::Warning, "WhatsApp: 50% success rate (below 80% threshold)"),
            (79, 21, Severity::Warning, "WhatsApp: 79% success rate (below 80% threshold)"),
            (80, 20, Severity::Ok, "WhatsApp: 80% success rate"),
            (0, 1, Severity::Ok, "WhatsApp: too few messages for a success rate"),
        ] {
            let before = Tally { good: 7, failed: 3, ..Tally::default() };
            let now = Tally { good: 7 + good, failed: 3 + failed, ..Tally::default() };
            seen.success = (reading(Channel::Whatsapp, now), reading(Channel::Whatsapp, before));
            assert_eq!(found(&seen, "success_rate-whatsapp"), of(severity, text));
        }
    }

    /// E15: more than 50 failed messages in 24 hours are critical.
    #[test]
    fn more_than_fifty_failed_messages_in_a_day_are_critical() {
        let mut seen = seen();
        for (failed, severity) in [(50, Severity::Ok), (51, Severity::Critical)] {
            let now = Tally { failed, ..Tally::default() };
            seen.day = (reading(Channel::Email, now), nothing());
            assert_eq!(found(&seen, "failed").0, Some(severity), "{failed}");
        }
        assert_eq!(
            found(&seen, "failed").1,
            "51 failed messages in 24 hours (above the limit of 50): Email 51"
        );
        let broken = checks(&seen, &Thresholds::default())
            .into_iter()
            .find(|f| f.check == Check::Failed)
            .unwrap()
            .broken;
        assert_eq!(broken, [Channel::Email]);
    }

    /// E12, E16, E29: stuck is what was pending or sending 15 minutes ago and still is; more than 10 are a warning.
    #[test]
    fn what_was_on_its_way_and_was_not_called_for_since_is_stuck() {
        let mut seen = seen();
        let way = |pending, calls| Tally { calls, pending, ..Tally::default() };
        for (before, now, stuck, severity) in [
            (way(11, 4), way(11, 4), 11, Severity::Warning),
            (way(10, 4), way(40, 4), 10, Severity::Ok),
            // Those of before have left; others have come.
            (way(500, 0), way(500, 600), 0, Severity::Ok),
            (way(500, 0), way(3, 0), 3, Severity::Ok),
            (way(0, 0), way(1_000, 0), 0, Severity::Ok),
        ] {
            seen.stuck = (reading(Channel::Whatsapp, now), reading(Channel::Whatsapp, before));
            let (found, text) = found(&seen, "stuck");
            assert_eq!(found, Some(severity), "{text}");
            assert!(
                text.starts_with(&format!("{stuck} stuck messages, pending or sending for over 15 minutes")),
                "{text}"
            );
        }
    }

    /// E11, E16, E29: credits warn at 25 percent, are critical at 10, and fewer than 100 are a warning by another name.
    #[test]
    fn credits_have_two_rules_that_are_named_apart() {
        let mut seen = seen();
        for (balance, share, left) in [
            (251, Severity::Ok, Severity::Ok),
            (250, Severity::Warning, Severity::Ok),
            (100, Severity::Critical, Severity::Ok),
            (99, Severity::Critical, Severity::Warning),
        ] {
            seen.credits = Some(Credits { unit: CreditUnit::Messages, balance, allowance: 1_000 });
            let severities = ["credits_share", "credits_left"].map(|key| found(&seen, key).0);
            assert_eq!(severities, [Some(share), Some(left)], "{balance}");
        }
        assert_eq!(found(&seen, "credits_left").1, "Credits: 99 left (fewer than 100)");
    }

    #[test]
    fn a_provider_through_which_nothing_gets_is_critical_until_something_does() {
        let mut seen = seen();
        let mut run = |calls: i64, sent: i64, retrying: i64| {
            let before = Tally { calls: 10, sent: 10, ..Tally::default() };
            let now = Tally { calls: 10 + calls, sent: 10 + sent, retrying, ..Tally::default() };
            seen.run = (reading(Channel::Email, now), reading(Channel::Email, before));
            found(&seen, "provider-email").0
        };
        assert_eq!(run(3, 0, 1), Some(Severity::Critical));
        assert_eq!(run(1, 0, 1), None, "too few calls: what was found before stands");
        assert_eq!(run(3, 1, 1), Some(Severity::Ok));
        assert_eq!(run(0, 0, 0), Some(Severity::Ok));
        seen.halted = vec![Channel::Email];
        assert_eq!(found(&seen, "provider-email").0, Some(Severity::Critical));
    }

    /// E9, E15, H50: the table, the queues, dead letters, sweeps and templates have their sentences.
    #[test]
    fn what_else_is_watched_has_its_sentence() {
        let mut seen = seen();
        assert_eq!(found(&seen, "database"), of(Severity::Ok, "Database: answers in 3 ms"));
        assert_eq!(found(&seen, "dead_letters"), of(Severity::Ok, "0 dead letters"));
        (seen.database_ms, seen.dead_letters) = (1_500, 1);
        seen.late_sweeps = vec!["sweep-due"];
        seen.refused_templates = vec!["order_created (en): PAUSED".to_owned()];
        let waiting = Tally { pending: 10_001, in_doubt: 11, ..Tally::default() };
        seen.run = (reading(Channel::Email, waiting), nothing());
        for (key, text) in [
            ("database", "Database: answers in 1500 ms (above 1000 ms)"),
            ("dead_letters", "1 dead letter"),
            ("sweeps", "Sweeps: 1 late: sweep-due"),
            ("templates", "Templates: 1 not sent by the provider: order_created (en): PAUSED"),
            ("queue-email", "Email: 10001 messages on the queue (above the limit of 10000)"),
            ("in_doubt", "11 messages in doubt (above the limit of 10)"),
        ] {
            assert_eq!(found(&seen, key), of(Severity::Warning, text));
        }
    }

    #[test]
    fn thresholds_that_cannot_be_are_refused_by_name() {
        assert_eq!(Thresholds::default().faults(), []);
        let wrong = Thresholds { success_rate_percent: 101, stuck_after_s: 1, ..Thresholds::default() };
        let pointers: Vec<String> = wrong.faults().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/success_rate_percent", "/stuck_after_s"]);
    }
}
