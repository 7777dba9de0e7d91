//! An accepted event, as it is stored, and what is read from it: who is brought, what its paths say, when it is due.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EventInput, json_text};
use crate::deadline::DeadlineMark;
use crate::escalation::Escalates;
use crate::forget::Forgotten;
use crate::ids::{EventId, RecipientId, TemplateName};
use crate::reminder::ReminderOf;
use crate::route::ChannelChoice;
use crate::tenant::KeyKind;

/// An accepted event, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// When it was accepted.
    #[serde(with = "ms")]
    pub accepted_at: Timestamp,
    /// SHA-256 of the canonical JSON as received, before defaults: what a repeated post is compared with.
    pub body_sha256: String,
    /// What was posted; stored as text, because data may be nested deeper than the table's items.
    #[serde(with = "json_text")]
    pub input: EventInput,
    /// The extension attributes of `input`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Value>,
    /// What the key that it was posted with leads to.
    #[serde(default, skip_serializing_if = "KeyKind::is_live")]
    pub key_kind: KeyKind,
    /// Of which event's escalation it is a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalates: Option<Escalates>,
    /// Which message of which deadline it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<ReminderOf>,
    /// Why what it said is gone; none while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Forgotten>,
}

/// The value at a path such as `data.customer_id`, as text.
#[must_use]
pub fn text_at(input: &EventInput, path: &str) -> Option<String> {
    let mut parts = path.split('.');
    match parts.next()? {
        "subject" => input.subject.clone(),
        "data" => {
            let first = input.data.get(parts.next()?)?;
            let value = parts.try_fold(first, |value, part| value.get(part))?;
            match value {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Event {
    /// The value at a path such as `data.customer_id`, as text.
    #[must_use]
    pub fn text_at(&self, path: &str) -> Option<String> {
        text_at(&self.input, path)
    }

    /// The id that the n-th person whom the event brings has for its sake.
    #[must_use]
    pub fn brought_id(&self, n: usize) -> Option<RecipientId> {
        format!("one-off-{}-{n}", self.id).parse().ok()
    }

    /// What makes this event the same as another for a route's `once_per`: its type and the values of the paths. None
    /// when nothing is told once, or a value is missing.
    #[must_use]
    pub fn once_per(&self, paths: &[String]) -> Option<String> {
        if paths.is_empty() {
            return None;
        }
        let values: Option<Vec<String>> = paths.iter().map(|path| self.text_at(path)).collect();
        let text = serde_json::to_string(&(self.input.event_type.as_str(), values?)).ok()?;
        Some(crate::canonical::sha256_hex(&text))
    }

    /// When its messages are first due: `deliver_at`, else when it was accepted.
    #[must_use]
    pub fn first_due_at(&self) -> Timestamp {
        self.input.deliver_at.map_or(self.accepted_at, |at| at.max(self.accepted_at))
    }

    /// The event that is acknowledged with this one: of an escalation the first.
    #[must_use]
    pub fn acknowledged_with(&self) -> &EventId {
        self.escalates.as_ref().map_or(&self.id, |escalates| &escalates.event_id)
    }

    /// As it is for those in a zone, if it reminds of something at an hour of theirs: due then, and of use for as long as
    /// the reminder is. None for those to whom it is not owed.
    #[must_use]
    pub fn due_in(&self, zone: &jiff::tz::TimeZone) -> Option<Self> {
        let of = self.reminder.as_ref()?;
        let at = of.due_in(zone)?;
        let mut event = self.clone();
        event.input.deliver_at = Some(at);
        event.input.expires_at = Some(of.expires_at(at));
        Some(event)
    }

    /// What recipients call it in their preferences, if it reminds of something.
    #[must_use]
    pub fn reminder_kind(&self) -> Option<&str> {
        self.reminder.as_ref().filter(|of| of.offset.is_some()).map(|of| of.kind.as_str())
    }

    /// What a delivery of it keeps of the deadline that it reminds of.
    #[must_use]
    pub fn deadline_mark(&self) -> Option<DeadlineMark> {
        let of = self.reminder.as_ref().filter(|of| of.offset.is_some())?;
        let (id, at) = (of.deadline.clone(), self.input.deliver_at.unwrap_or(self.accepted_at));
        Some(DeadlineMark { id, edition: of.edition, due_at: of.due_at, at })
    }

    /// Channels of a direct send.
    #[must_use]
    pub fn direct(&self) -> Option<(&TemplateName, &ChannelChoice)> {
        Some((self.input.template.as_ref()?, self.input.channels.as_ref()?))
    }
}
