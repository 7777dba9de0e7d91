//! A reminder policy: the messages around something that is due, as data; and which of them a deadline owes, when. Pure:
//! the sweep, the forecast and the calls run the same code. [`crate::deadline`] is what the policy is about.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::deadline::{Deadline, NextReminder};
use crate::ids::{DeadlineId, Lane, ReminderKind, TemplateName};
use crate::offset::{Bounds, Offset};
use crate::problem::FieldError;
use crate::route::{Category, ChannelChoice, Priority};

/// The classes of a policy that names none, by the longest duration in seconds: up to a day, up to a week, and beyond.
const DEFAULT_CLASSES: [(&str, Option<u64>); 3] =
    [("short", Some(86_400)), ("medium", Some(604_800)), ("long", None)];

/// How many reminders a policy may have.
const MOST_REMINDERS: usize = 50;

/// How many duration classes a policy may have.
const MOST_CLASSES: usize = 20;

/// How long after it is due a reminder is worth sending, where nothing else says it.
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// Instants before this much before a call cannot be owed to anybody because of it, in whatever zone.
const WIDEST: SignedDuration = SignedDuration::from_hours(31);

/// The messages around something that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderPolicy {
    /// Duration classes by name; [`DEFAULT_CLASSES`] when there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<Lane, DurationClass>,
    /// What is owed, until the deadline is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<Reminder>,
    /// What is said when the deadline is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_create: Option<Notice>,
    /// What is said when it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_close: Option<Notice>,
}

/// Deadlines of a duration: from the class before it up to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurationClass {
    /// The longest duration, in seconds; the class of everything longer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_s: Option<u64>,
}

/// A message that is owed at some distance from the deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminder {
    /// What recipients call it in their preferences.
    pub kind: ReminderKind,
    /// When.
    pub offset: Offset,
    /// The text.
    pub template: TemplateName,
    /// On which channels.
    pub channels: ChannelChoice,
    /// The category.
    #[serde(default = "reminding")]
    pub category: Category,
    /// The priority.
    #[serde(default)]
    pub priority: Priority,
    /// How long after it is due it is worth sending. What is due before the deadline is never sent after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_s: Option<u32>,
    /// The classes that are reminded so; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class: Vec<Lane>,
    /// Again and again, until the deadline is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
}

fn reminding() -> Category {
    Category::Reminder
}

/// How a reminder is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Each week on the same day at the same local time.
    Weekly,
}

/// A message that is said at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The text.
    pub template: TemplateName,
    /// On which channels.
    pub channels: ChannelChoice,
    /// The category.
    #[serde(default)]
    pub category: Category,
    /// The priority.
    #[serde(default)]
    pub priority: Priority,
}

impl ReminderPolicy {
    /// The duration classes, the shortest first; the last takes everything that is longer.
    #[must_use]
    pub fn classes(&self) -> Vec<(Lane, Option<u64>)> {
        let mut classes: Vec<(Lane, Option<u64>)> = if self.classes.is_empty() {
            let named =
                DEFAULT_CLASSES.iter().filter_map(|(name, up_to_s)| Some((name.parse().ok()?, *up_to_s)));
            named.collect()
        } else {
            self.classes.iter().map(|(name, class)| (name.clone(), class.up_to_s)).collect()
        };
        classes.sort_by_key(|(_, up_to_s)| up_to_s.unwrap_or(u64::MAX));
        classes
    }

    /// The class of what lasts from one instant to another.
    #[must_use]
    pub fn class_of(&self, starts_at: Timestamp, due_at: Timestamp) -> Option<Lane> {
        let lasts = due_at.duration_since(starts_at);
        let classes = self.classes();
        let fits = classes.iter().find(|(_, up_to_s)| {
            up_to_s.is_none_or(|s| lasts <= SignedDuration::from_secs(i64::try_from(s).unwrap_or(i64::MAX)))
        });
        fits.or(classes.last()).map(|(name, _)| name.clone())
    }

    /// The instants at which somebody in a zone is reminded, from after one instant up to another, in order; so many at
    /// most. What the forecast shows, and what a deadline still owes.
    #[must_use]
    pub fn instants(
        &self,
        of: &Deadline,
        zone: &TimeZone,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Vec<(Timestamp, Owed)> {
        let mut found = Vec::new();
        let mut opened = after.checked_sub(WIDEST).unwrap_or(Timestamp::MIN);
        while found.len() < most {
            let next = self.next_owed(&of.class, of.due_at, of.edited_at, opened);
            let Some(first) = next.first().filter(|owed| owed.bounds.opens_at <= until) else { break };
            opened = first.bounds.opens_at;
            found.extend(next.into_iter().filter_map(|owed| {
                let at = owed.reminder.offset.instant(of.due_at, owed.week, zone)?;
                (at > of.edited_at && at > after && at <= until).then_some((at, owed))
            }));
        }
        found.sort_by_key(|(at, _)| *at);
        found.truncate(most);
        found
    }

    /// What is wrong beyond the shape; whether the templates exist is checked by who stores the policy.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = self.class_faults();
        if self.reminders.is_empty() && self.on_create.is_none() && self.on_close.is_none() {
            faults.push(FieldError::new("", "says nothing: give it reminders, on_create or on_close"));
        }
        if self.reminders.len() > MOST_REMINDERS {
            let detail =
                format!("has more than {MOST_REMINDERS} reminders; a ladder without end is a repeat");
            faults.push(FieldError::new("/reminders", detail));
        }
        let classes: BTreeSet<Lane> = self.classes().into_iter().map(|(name, _)| name).collect();
        for (i, reminder) in self.reminders.iter().enumerate() {
            let at = |field: &str| format!("/reminders/{i}{field}");
            for (j, class) in reminder.class.iter().enumerate() {
                if !classes.contains(class) {
                    let known = classes.iter().map(Lane::as_str).collect::<Vec<_>>().join(", ");
                    let detail = format!("is not a class of this policy; they are {known}");
                    faults.push(FieldError::new(at(&format!("/class/{j}")), detail));
                }
            }
            if reminder.expires_after_s == Some(0) {
                faults.push(FieldError::new(at("/expires_after_s"), "must be at least 1 second"));
            }
            if let Some(first) = self.reminders[..i].iter().position(|other| other.is_also(reminder)) {
                let detail = format!(
                    "is the reminder {first} again: the same kind at the same offset for the same class"
                );
                faults.push(FieldError::new(at(""), detail));
            }
        }
        faults
    }

    fn class_faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if self.classes.len() > MOST_CLASSES {
            faults.push(FieldError::new("/classes", format!("has more than {MOST_CLASSES} classes")));
        }
        let mut seen = BTreeSet::new();
        for (name, class) in &self.classes {
            let at = format!("/classes/{name}");
            if *name == Lane::overdue() {
                let detail = "is the name of what is late, whatever its class; choose another";
                faults.push(FieldError::new(at.clone(), detail));
            }
            if class.up_to_s == Some(0) {
                faults.push(FieldError::new(format!("{at}/up_to_s"), "must be at least 1 second"));
            }
            if !seen.insert(class.up_to_s) {
                let detail = match class.up_to_s {
                    Some(_) => "is as long as another class",
                    None => "is the second class without up_to_s; only the longest has none",
                };
                faults.push(FieldError::new(format!("{at}/up_to_s"), detail));
            }
        }
        faults
    }

    /// The templates that it names, with where it does.
    pub fn templates(&self) -> impl Iterator<Item = (String, &TemplateName, &ChannelChoice)> {
        let reminders = self.reminders.iter().enumerate();
        let reminders = reminders.map(|(i, r)| (format!("/reminders/{i}"), &r.template, &r.channels));
        let notices = [("/on_create", &self.on_create), ("/on_close", &self.on_close)];
        let notices = notices.into_iter().filter_map(|(at, notice)| {
            let notice = notice.as_ref()?;
            Some((at.to_owned(), &notice.template, &notice.channels))
        });
        reminders.chain(notices)
    }

    /// What falls due next of a deadline of this class: everything with the earliest opening after `after`. Only what is
    /// due to somebody after `owed_from`, the call that made or moved the deadline.
    #[must_use]
    pub fn next_owed(
        &self,
        class: &Lane,
        due_at: Timestamp,
        owed_from: Timestamp,
        after: Timestamp,
    ) -> Vec<Owed> {
        let from = after.max(owed_from.checked_sub(WIDEST).unwrap_or(Timestamp::MIN));
        let mine = self.reminders.iter().filter(|r| r.class.is_empty() || r.class.contains(class));
        let mut next: Vec<Owed> =
            mine.filter_map(|reminder| reminder.next(due_at, owed_from, from)).collect();
        let first = next.iter().map(|owed| owed.bounds.opens_at).min();
        next.retain(|owed| Some(owed.bounds.opens_at) == first);
        next
    }
}

impl Reminder {
    /// Whether both say the same to somebody.
    fn is_also(&self, other: &Self) -> bool {
        let shared = self.class.is_empty()
            || other.class.is_empty()
            || self.class.iter().any(|c| other.class.contains(c));
        self.kind == other.kind && self.offset == other.offset && shared
    }

    fn next(&self, due_at: Timestamp, owed_from: Timestamp, after: Timestamp) -> Option<Owed> {
        let mut week = match self.repeat {
            None => 0,
            Some(Repeat::Weekly) => self.offset.week_after(due_at, after)?,
        };
        loop {
            let bounds = self.offset.bounds(due_at, week)?;
            if bounds.opens_at > after && bounds.closes_at > owed_from {
                return Some(Owed { reminder: self.clone(), week, bounds });
            }
            // A week that closed before the call is followed by one that did not: two steps at most.
            self.repeat?;
            week = week.checked_add(1)?;
        }
    }
}

/// A reminder that is owed, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// What.
    pub reminder: Reminder,
    /// Which week of a repeated one, from 0.
    pub week: u32,
    /// Between which instants it falls due, over all zones.
    pub bounds: Bounds,
}

impl Owed {
    /// When it opens, and the lane whose schedules plan it: the class's before the deadline.
    #[must_use]
    pub fn as_next(&self, class: &Lane, due_at: Timestamp) -> NextReminder {
        let at = self.bounds.opens_at;
        NextReminder { at, lane: if at < due_at { class.clone() } else { Lane::overdue() } }
    }
}

/// Which lanes a run plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Lanes {
    /// Every lane that the tenant has.
    #[default]
    All,
    /// These: classes, and [`Lane::overdue`].
    These(BTreeSet<Lane>),
    /// Every lane that the tenant has but these, which other schedules plan.
    AllBut(BTreeSet<Lane>),
}

impl Lanes {
    /// Whether a lane is among them.
    #[must_use]
    pub fn takes(&self, lane: &Lane) -> bool {
        match self {
            Self::All => true,
            Self::These(lanes) => lanes.contains(lane),
            Self::AllBut(lanes) => !lanes.contains(lane),
        }
    }
}

/// What ties an event to its deadline: which reminder of which form of it, and for whom it is due when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderOf {
    /// The deadline.
    pub deadline: DeadlineId,
    /// Which form of the deadline: it is counted up whenever it is moved or changed.
    pub edition: u32,
    /// When that is due.
    pub due_at: Timestamp,
    /// What recipients call it in their preferences.
    pub kind: ReminderKind,
    /// When it is due; none for what is said at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// Which week of a repeated one, from 0.
    #[serde(default)]
    pub week: u32,
    /// Only who is due after this instant is owed it.
    pub owed_from: Timestamp,
    /// How long after it is due it is worth sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_s: Option<u32>,
}

impl ReminderOf {
    /// When it is due in a zone; none when it is not owed there, or said at once.
    #[must_use]
    pub fn due_in(&self, zone: &TimeZone) -> Option<Timestamp> {
        self.offset?.instant(self.due_at, self.week, zone).filter(|at| *at > self.owed_from)
    }

    /// After which instant it is not sent any more, if it was due at `at`: what reminds of a deadline is of no use after
    /// it.
    #[must_use]
    pub fn expires_at(&self, at: Timestamp) -> Timestamp {
        let after = self.expires_after_s.map_or(EXPIRES_AFTER, |s| SignedDuration::from_secs(s.into()));
        let expires_at = at.checked_add(after).unwrap_or(Timestamp::MAX);
        if at < self.due_at { expires_at.min(self.due_at) } else { expires_at }
    }
}

/// The zone of somebody: theirs, else the tenant's, else UTC.
#[must_use]
pub fn zone_of(theirs: Option<&str>, tenants: &str) -> TimeZone {
    let known = |name: &str| TimeZone::get(name).ok();
    theirs.and_then(known).or_else(|| known(tenants)).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn policy(more: &serde_json::Value) -> ReminderPolicy {
        let one = |kind: &str, offset: &str| json!({"kind": kind, "offset": offset, "template": "t", "channels": ["email"]});
        let mut weekly = one("late", "+72h");
        weekly["repeat"] = json!("weekly");
        let mut day = one("day", "day -1 at 08:00");
        day["class"] = json!(["long"]);
        let mut policy = json!({"reminders": [one("late", "+0h"), weekly, day, one("soon", "-2h")]});
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        crate::parse::from_value(policy).unwrap()
    }

    /// R26: short up to a day, medium up to a week, long beyond, unless the policy has classes of its own.
    #[test]
    fn the_class_is_the_shortest_that_the_duration_fits() {
        let starts_at = at("2026-11-20T09:00:00Z");
        let own = json!({"classes": {"hours": {"up_to_s": 7200}, "rest": {"up_to_s": 9000}}});
        for (more, seconds, class) in [
            (json!({}), 0, "short"),
            (json!({}), 86_400, "short"),
            (json!({}), 86_401, "medium"),
            (json!({}), 604_800, "medium"),
            (json!({}), 604_801, "long"),
            (own.clone(), 7_200, "hours"),
            (own.clone(), 7_201, "rest"),
            (own, 90_000, "rest"),
        ] {
            let due_at = starts_at + SignedDuration::from_secs(seconds);
            assert_eq!(policy(&more).class_of(starts_at, due_at).unwrap().as_str(), class, "{seconds}");
        }
    }

    #[test]
    fn what_is_owed_comes_in_order_in_its_lane_and_only_after_the_call() {
        let policy = policy(&json!({}));
        let (long, due_at) = ("long".parse().unwrap(), at("2026-11-20T16:00:00Z"));
        let walk = |owed_from: &str| {
            let (owed_from, mut after, mut found) = (at(owed_from), Timestamp::MIN, Vec::new());
            for _ in 0..5 {
                for owed in policy.next_owed(&long, due_at, owed_from, after) {
                    after = owed.bounds.opens_at;
                    let lane = owed.as_next(&long, due_at).lane;
                    found.push(format!("{} {} {lane}", owed.reminder.kind, owed.week));
                }
            }
            found
        };
        assert_eq!(
            walk("2026-11-18T00:00:00Z"),
            ["day 0 long", "soon 0 long", "late 0 overdue", "late 0 overdue", "late 1 overdue"]
        );
        assert_eq!(walk("2026-11-20T16:00:00Z")[..2], ["late 0 overdue", "late 1 overdue"]);
        assert_eq!(walk("2027-11-20T16:00:00Z")[0], "late 52 overdue");
    }

    #[test]
    fn what_reminds_of_a_deadline_is_of_no_use_after_it() {
        let of = |expires_after_s: Option<u32>| ReminderOf {
            deadline: "d".parse().unwrap(),
            edition: 0,
            due_at: at("2026-11-20T16:00:00Z"),
            kind: "k".parse().unwrap(),
            offset: None,
            week: 0,
            owed_from: at("2026-11-20T09:00:00Z"),
            expires_after_s,
        };
        for (expires_after_s, due, expires_at) in [
            (None, "2026-11-20T14:00:00Z", "2026-11-20T16:00:00Z"),
            (Some(60), "2026-11-20T14:00:00Z", "2026-11-20T14:01:00Z"),
            (Some(99_999), "2026-11-20T14:00:00Z", "2026-11-20T16:00:00Z"),
            (None, "2026-11-20T16:00:00Z", "2026-11-23T16:00:00Z"),
            (Some(60), "2026-11-21T16:00:00Z", "2026-11-21T16:01:00Z"),
        ] {
            assert_eq!(of(expires_after_s).expires_at(at(due)), at(expires_at), "{due} {expires_after_s:?}");
        }
    }
}
