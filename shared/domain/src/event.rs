//! An event: a fact that a producer posted, in CloudEvents' words. Parsed at the edge; once accepted it never changes.

pub(crate) mod json_text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::deadline::DeadlineMark;
use crate::escalation::Escalates;
use crate::forget::Forgotten;
use crate::ids::{EventId, EventType, GroupName, RecipientId, TemplateName};
use crate::parse;
use crate::problem::FieldError;
use crate::recipient::Recipient;
use crate::reminder::ReminderOf;
use crate::route::{Category, ChannelChoice, Priority};
use crate::tenant::KeyKind;

/// What a producer may post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventInput {
    /// `1.0` for a CloudEvents event; absent for a plain body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specversion: Option<String>,
    /// What happened; what the route is found by.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The producer's id of it; with `source` the idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// CloudEvents: the media type of `data`; only JSON is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// CloudEvents: the schema of `data`; kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataschema: Option<String>,
    /// What templates are filled from.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// Recipients beside, or instead of, the route's audience.
    #[serde(default)]
    pub recipients: Targets,
    /// Before this instant nothing of it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_at: Option<Timestamp>,
    /// After this instant nothing of it is sent any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Instead of the route's category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Instead of the route's priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// A direct send: the template; needs no route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateName>,
    /// A direct send: the channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<ChannelChoice>,
    /// CloudEvents extension attributes, visible to templates as `event.<name>`.
    #[serde(skip)]
    pub extensions: BTreeMap<String, Value>,
}

/// Recipients that an event names itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// Recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<RecipientId>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// People who are in no directory, told because of this event alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<OneOffAddress>,
    /// Instead of the route's audience, not beside it.
    #[serde(default)]
    pub replace: bool,
}

/// Somebody who is in no directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOffAddress {
    /// How templates address them.
    pub name: String,
    /// Their email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The language they read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

impl OneOffAddress {
    /// The person, with the addresses in their one form.
    ///
    /// # Errors
    /// Every field that cannot be what it says it is, and an entry without any address.
    pub fn recipient(&self, default_region: Option<&str>) -> Result<Recipient, Vec<FieldError>> {
        if self.email.is_none() && self.phone.is_none() {
            return Err(vec![FieldError::new("", "has neither email nor phone")]);
        }
        let recipient = Recipient {
            name: self.name.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
            bsuid: None,
            locale: self.locale.clone(),
            time_zone: None,
            roles: Vec::new(),
            team: false,
            active: true,
            data: Map::new(),
        };
        recipient.normalised(default_region)
    }
}

impl Targets {
    /// Whether nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.groups.is_empty() && self.addresses.is_empty()
    }
}

impl EventInput {
    const FIELDS: &'static [&'static str] = &[
        "specversion",
        "type",
        "source",
        "id",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
        "recipients",
        "deliver_at",
        "expires_at",
        "category",
        "priority",
        "template",
        "channels",
    ];

    /// Reads a posted body.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with a pointer.
    pub fn parse(body: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(mut fields) = body else {
            return Err(vec![FieldError::new("", "an event is a JSON object")]);
        };
        let mut faults = Vec::new();
        let mut extensions = BTreeMap::new();
        let is_cloud_event = fields.contains_key("specversion");
        if is_cloud_event {
            let names: Vec<String> =
                fields.keys().filter(|name| !Self::FIELDS.contains(&name.as_str())).cloned().collect();
            for name in names {
                let value = fields.remove(&name).unwrap_or_default();
                match extension_fault(&name, &value) {
                    Some(detail) => faults
                        .push(FieldError::new(format!("/{}", crate::problem::pointer_part(&name)), detail)),
                    None => drop(extensions.insert(name, value)),
                }
            }
        }
        let mut event: Self = match parse::from_value(Value::Object(fields)) {
            Ok(event) => event,
            Err(found) => {
                faults.extend(found);
                return Err(faults);
            }
        };
        event.extensions = extensions;
        event.check(is_cloud_event, &mut faults);
        if faults.is_empty() { Ok(event) } else { Err(faults) }
    }

    fn check(&self, is_cloud_event: bool, faults: &mut Vec<FieldError>) {
        let mut require = |ok: bool, pointer: &str, detail: &str| {
            if !ok {
                faults.push(FieldError::new(pointer, detail));
            }
        };
        if is_cloud_event {
            require(self.specversion.as_deref() == Some("1.0"), "/specversion", "must be \"1.0\"");
            require(self.source.is_some(), "/source", "a CloudEvents event needs a source");
            require(self.id.is_some(), "/id", "a CloudEvents event needs an id");
            let json = self.datacontenttype.as_deref().is_none_or(is_json_media_type);
            require(json, "/datacontenttype", "must be application/json: only JSON data is accepted");
        } else {
            let detail = "belongs to CloudEvents; add \"specversion\": \"1.0\" or leave it out";
            require(self.datacontenttype.is_none(), "/datacontenttype", detail);
            require(self.dataschema.is_none(), "/dataschema", detail);
        }
        for (pointer, text) in [("/source", &self.source), ("/id", &self.id), ("/subject", &self.subject)] {
            let fits =
                text.as_ref().is_none_or(|t| !t.is_empty() && t.chars().count() <= 256 && !t.contains('\0'));
            require(fits, pointer, "must have 1 to 256 characters");
        }
        if self.template.is_some() {
            require(
                self.channels.is_some(),
                "/channels",
                "a direct send names template and channels: channels is missing",
            );
        } else {
            require(
                self.channels.is_none(),
                "/template",
                "a direct send names template and channels: template is missing",
            );
        }
        require(
            self.recipients.ids.len() <= Self::MAX_IDS,
            "/recipients/ids",
            "names more than 1,000 recipients; use a group",
        );
        require(
            self.recipients.addresses.len() <= Self::MAX_ADDRESSES,
            "/recipients/addresses",
            "names more than 100 people; put them into the directory",
        );
        require(
            self.recipients.groups.len() <= Self::MAX_GROUPS,
            "/recipients/groups",
            "names more than 100 groups",
        );
    }

    /// How many recipients an event may name itself.
    pub const MAX_IDS: usize = 1_000;
    /// How many people an event may bring itself.
    pub const MAX_ADDRESSES: usize = 100;
    /// How many groups an event may name itself.
    pub const MAX_GROUPS: usize = 100;

    /// `source` and `id` together, if the producer gave both: the idempotency key when no header does.
    #[must_use]
    pub fn own_key(&self) -> Option<String> {
        let (source, id) = (self.source.as_ref()?, self.id.as_ref()?);
        // The length keeps ("a b", "c") and ("a", "b c") apart, and the first word own keys and header keys.
        Some(format!("event {} {source} {id}", source.len()))
    }
}

fn is_json_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

/// CloudEvents 1.0: attribute names are lower-case letters and digits, values are scalars.
fn extension_fault(name: &str, value: &Value) -> Option<String> {
    let named_well = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !named_well {
        return Some(format!(
            "unknown field `{name}`; a CloudEvents extension is named with a-z and 0-9 only"
        ));
    }
    (value.is_array() || value.is_object())
        .then(|| "a CloudEvents extension is a string, number or boolean".to_owned())
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(body: Value) -> Vec<String> {
        EventInput::parse(body).unwrap_err().into_iter().map(|e| e.pointer).collect()
    }

    #[test]
    fn every_fault_is_pointed_at() {
        for (body, pointer) in [
            (json!([]), ""),
            (json!({}), "/type"),
            (json!({"type": ""}), "/type"),
            (json!({"type": 3}), "/type"),
            (json!({"type": "a b"}), "/type"),
            (json!({"type": "a", "tpye": 1}), "/tpye"),
            (json!({"type": "a", "data": []}), "/data"),
            (json!({"type": "a", "time": "yesterday"}), "/time"),
            (json!({"type": "a", "recipients": {"ids": "u"}}), "/recipients/ids"),
            (json!({"type": "a", "recipients": {"ids": ["u", "a#b"]}}), "/recipients/ids/1"),
            (json!({"type": "a", "recipients": {"id": []}}), "/recipients/id"),
            (json!({"type": "a", "category": "urgent"}), "/category"),
            (json!({"type": "a", "template": "t"}), "/channels"),
            (json!({"type": "a", "channels": ["email"]}), "/template"),
            (json!({"type": "a", "channels": ["sms"], "template": "t"}), "/channels"),
            (json!({"type": "a", "source": ""}), "/source"),
            (json!({"type": "a", "datacontenttype": "application/json"}), "/datacontenttype"),
            (json!({"type": "a", "specversion": "1.0", "source": "s"}), "/id"),
            (json!({"type": "a", "specversion": "0.3", "source": "s", "id": "1"}), "/specversion"),
            (json!({"type": "a", "specversion": "1.0", "source": "s", "id": "1", "Ext": "x"}), "/Ext"),
            (json!({"type": "a", "specversion": "1.0", "source": "s", "id": "1", "ext": {}}), "/ext"),
            (
                json!({"type": "a", "specversion": "1.0", "source": "s", "id": "1", "datacontenttype": "text/plain"}),
                "/datacontenttype",
            ),
        ] {
            assert_eq!(pointers(body.clone()), [pointer], "{body}");
        }
    }

    #[test]
    fn a_cloud_event_keeps_its_extensions() {
        let event = EventInput::parse(json!({
            "specversion": "1.0", "type": "a", "source": "s", "id": "1", "traceparent": "00-x", "data": {"n": 1}
        }))
        .unwrap();
        assert_eq!(event.extensions["traceparent"], "00-x");
    }
}
