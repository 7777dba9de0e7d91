//! An event: a fact that a producer posted, in CloudEvents' words. Parsed at the edge; once accepted it never changes.

mod accepted;
pub(crate) mod json_text;

pub use accepted::{Event, text_at};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{EventType, GroupName, RecipientId, TemplateName};
use crate::parse;
use crate::problem::FieldError;
use crate::recipient::Recipient;
use crate::route::{Category, ChannelChoice, Priority};

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
