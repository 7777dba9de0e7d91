//! What a recipient wants to hear. Who says what wins is one table, [`PRECEDENCE`], and one test of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::channel::Channel;
use crate::problem::FieldError;
use crate::quiet::QuietHours;
use crate::route::Category;

/// Who says what, from the strongest down; the first that says anything decides. Documented in `docs/preferences.md`.
pub const PRECEDENCE: &[&str] = &[
    "the category critical: always wanted",
    "the recipient's word on this reminder kind, when it is no",
    "the recipient's word on this category on this channel",
    "the recipient's word on this category, or on this channel, when it is no",
    "the recipient's word on this category, or on this channel, when it is yes",
    "the tenant's default on this reminder kind, when it is no",
    "the tenant's default on this category on this channel",
    "the tenant's default on this category, or on this channel, when it is no",
    "nothing: wanted",
];

/// What a recipient, or a tenant for those who said nothing, wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    /// Whole channels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<Channel, bool>,
    /// Categories, on all channels or on some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<Category, CategoryWish>,
    /// Kinds of reminder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reminders: BTreeMap<String, bool>,
    /// When not to be disturbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
}

/// A category: on all channels, or on some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CategoryWish {
    /// On every channel.
    Everywhere(bool),
    /// On these.
    On(BTreeMap<Channel, bool>),
}

impl Serialize for CategoryWish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Everywhere(wanted) => wanted.serialize(serializer),
            Self::On(channels) => channels.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CategoryWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let parsed = match value {
            Value::Bool(wanted) => Ok(Self::Everywhere(wanted)),
            other => serde_json::from_value(other).map(Self::On),
        };
        parsed.map_err(|_| {
            serde::de::Error::custom("must be true, false, or an object of channels with true or false")
        })
    }
}

/// What a message is, as preferences see it.
#[derive(Debug, Clone, Copy)]
pub struct Kind<'a> {
    /// Its category.
    pub category: Category,
    /// Its channel.
    pub channel: Channel,
    /// Its kind of reminder, if it is one.
    pub reminder: Option<&'a str>,
}

impl Preferences {
    /// What is wrong beyond the shape.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if let Some(quiet) = &self.quiet_hours {
            faults.extend(quiet.faults().into_iter().map(|fault| fault.under("/quiet_hours")));
        }
        if self.reminders.keys().any(String::is_empty) {
            faults.push(FieldError::new("/reminders", "a kind of reminder needs a name"));
        }
        faults
    }

    /// No more of a category on a channel; what is said about it on other channels stays.
    pub fn refuse(&mut self, category: Category, channel: Channel) {
        self.say(category, channel, false);
    }

    /// Nothing more on a channel: also what was wanted on it by category.
    pub fn stop(&mut self, channel: Channel) {
        self.channels.insert(channel, false);
        for wish in self.categories.values_mut() {
            if let CategoryWish::On(channels) = wish {
                channels.retain(|named, wanted| *named != channel || !*wanted);
            }
        }
    }

    /// A channel again; what is not wanted on it by category stays so.
    pub fn start(&mut self, channel: Channel) {
        self.channels.insert(channel, true);
    }

    /// What is wanted of a category on a channel; what is said about it on other channels stays.
    pub fn say(&mut self, category: Category, channel: Channel, wanted: bool) {
        let wishes = match self.categories.get(&category) {
            Some(CategoryWish::On(channels)) => channels.clone(),
            Some(CategoryWish::Everywhere(everywhere)) => Channel::ALL.map(|c| (c, *everywhere)).into(),
            None => BTreeMap::new(),
        };
        let wishes = wishes.into_iter().chain([(channel, wanted)]).collect();
        self.categories.insert(category, CategoryWish::On(wishes));
    }

    /// What these preferences alone say; none when they say nothing.
    fn word(&self, kind: &Kind<'_>) -> Option<bool> {
        if kind.reminder.and_then(|name| self.reminders.get(name)) == Some(&false) {
            return Some(false);
        }
        let category = self.categories.get(&kind.category);
        if let Some(CategoryWish::On(channels)) = category
            && let Some(wanted) = channels.get(&kind.channel)
        {
            return Some(*wanted);
        }
        let everywhere = match category {
            Some(CategoryWish::Everywhere(wanted)) => Some(*wanted),
            _ => None,
        };
        match (everywhere, self.channels.get(&kind.channel)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, None) => None,
        }
    }
}

/// Whether a message is wanted: see [`PRECEDENCE`].
#[must_use]
pub fn is_wanted(recipient: &Preferences, tenant: &Preferences, kind: &Kind<'_>) -> bool {
    kind.category == Category::Critical || recipient.word(kind).or_else(|| tenant.word(kind)).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_precedence_table_holds() {
        let email = |category, reminder| Kind { category, channel: Channel::Email, reminder };
        let (reminder, marketing, critical) = (Category::Reminder, Category::Marketing, Category::Critical);
        for (recipient, tenant, kind, wanted) in [
            (json!({}), json!({}), email(marketing, None), true),
            (json!({"channels": {"email": false}}), json!({}), email(marketing, None), false),
            (json!({"channels": {"whatsapp": false}}), json!({}), email(marketing, None), true),
            (json!({"channels": {"email": false}}), json!({}), email(critical, None), true),
            (json!({"categories": {"critical": false}}), json!({}), email(critical, None), true),
            (json!({"categories": {"marketing": false}}), json!({}), email(marketing, None), false),
            (
                json!({"categories": {"marketing": true}, "channels": {"email": false}}),
                json!({}),
                email(marketing, None),
                false,
            ),
            (
                json!({"categories": {"marketing": {"email": true}}, "channels": {"email": false}}),
                json!({}),
                email(marketing, None),
                true,
            ),
            (
                json!({"categories": {"marketing": {"email": false}}, "channels": {"email": true}}),
                json!({}),
                email(marketing, None),
                false,
            ),
            (
                json!({"categories": {"marketing": {"whatsapp": false}}}),
                json!({}),
                email(marketing, None),
                true,
            ),
            (json!({"reminders": {"final": false}}), json!({}), email(reminder, Some("final")), false),
            (
                json!({"reminders": {"final": false}, "categories": {"reminder": {"email": true}}}),
                json!({}),
                email(reminder, Some("final")),
                false,
            ),
            (
                json!({"reminders": {"final": true}, "channels": {"email": false}}),
                json!({}),
                email(reminder, Some("final")),
                false,
            ),
            (json!({"reminders": {"final": false}}), json!({}), email(reminder, Some("two_hours")), true),
            (json!({}), json!({"categories": {"marketing": false}}), email(marketing, None), false),
            (
                json!({"channels": {"email": true}}),
                json!({"categories": {"marketing": false}}),
                email(marketing, None),
                true,
            ),
            (
                json!({"channels": {"whatsapp": true}}),
                json!({"categories": {"marketing": false}}),
                email(marketing, None),
                false,
            ),
            (json!({}), json!({"reminders": {"final": false}}), email(reminder, Some("final")), false),
        ] {
            let read = |value: &Value| crate::parse::from_value::<Preferences>(value.clone()).unwrap();
            let found = is_wanted(&read(&recipient), &read(&tenant), &kind);
            assert_eq!(found, wanted, "{recipient} {tenant} {kind:?}");
        }
    }

    #[test]
    fn preferences_that_cannot_be_are_pointed_at() {
        for (body, pointer) in [
            (json!({"channels": {"sms": true}}), "/channels"),
            (json!({"categories": {"marketing": "no"}}), "/categories"),
            (json!({"quiet": {}}), "/quiet"),
            (json!({"quiet_hours": {"from": "25:00", "to": "07:00"}}), "/quiet_hours/from"),
            (json!({"quiet_hours": {"from": "22:00", "to": "22:00"}}), "/quiet_hours/to"),
            (
                json!({"quiet_hours": {"from": "22:00", "to": "07:00", "time_zone": "Mars"}}),
                "/quiet_hours/time_zone",
            ),
        ] {
            let faults = match crate::parse::from_value::<Preferences>(body.clone()) {
                Ok(preferences) => preferences.faults(),
                Err(faults) => faults,
            };
            assert_eq!(faults[0].pointer, pointer, "{body} {faults:?}");
        }
    }
}
