//! A route: which audience hears of an event type, in which template, on which channels.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::channel::Channel;
use crate::digest::DigestRule;
use crate::escalation::{self, EscalationStep};
use crate::ids::{GroupName, RecipientId, TemplateName};
use crate::parse;
use crate::policy::{Fallback, InDoubtPolicy};
use crate::problem::FieldError;
use crate::quiet::SendWindow;
use crate::throttle::{Throttle, ThrottleMode};

/// What preferences and policies hang on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Something the recipient did or is owed.
    #[default]
    Transactional,
    /// Something that is due.
    Reminder,
    /// Something we would like them to hear.
    Marketing,
    /// Goes out whatever the preferences say.
    Critical,
    /// About Carillon itself.
    System,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 5] =
        [Self::Transactional, Self::Reminder, Self::Marketing, Self::Critical, Self::System];

    /// The category's name in JSON, logs and links.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Reminder => "reminder",
            Self::Marketing => "marketing",
            Self::Critical => "critical",
            Self::System => "system",
        }
    }
}

impl std::str::FromStr for Category {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|category| category.as_str() == text).ok_or(())
    }
}

/// Which share of the provider's rate a delivery may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Critical,
}

impl Priority {
    /// The priority's name in JSON, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Who hears of an event: the union of all of these, each recipient once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Members of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// These recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<RecipientId>,
    /// The recipients whose ids stand in these fields of the event, as paths such as `data.customer_id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_event: Vec<String>,
}

impl Audience {
    /// Whether it can never name anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.ids.is_empty() && self.from_event.is_empty()
    }
}

/// The channels of a route: all of a list, or the first of it that reaches the recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelChoice {
    /// Every one of these.
    All(Vec<Channel>),
    /// The first of these that works.
    FirstOf(Vec<Channel>),
}

impl ChannelChoice {
    /// The channels, in order.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        match self {
            Self::All(channels) | Self::FirstOf(channels) => channels,
        }
    }
}

impl Serialize for ChannelChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(channels) => channels.serialize(serializer),
            Self::FirstOf(channels) => serde_json::json!({ "first_of": channels }).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ChannelChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct FirstOf {
            first_of: Vec<Channel>,
        }
        let value = Value::deserialize(deserializer)?;
        let choice = if value.is_array() {
            parse::from_value(value).map(Self::All)
        } else {
            parse::from_value(value).map(|f: FirstOf| Self::FirstOf(f.first_of))
        };
        let choice = choice.map_err(|faults| {
            serde::de::Error::custom(faults.into_iter().map(|f| f.detail).collect::<Vec<_>>().join("; "))
        })?;
        let channels = choice.channels();
        if channels.is_empty() {
            return Err(serde::de::Error::custom(
                "names no channel; give at least one of whatsapp, email, in_app",
            ));
        }
        if (1..channels.len()).any(|i| channels[..i].contains(&channels[i])) {
            return Err(serde::de::Error::custom("names a channel twice"));
        }
        Ok(choice)
    }
}

/// Event type -> audience, template, channels, category, policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Who hears of it.
    #[serde(default)]
    pub audience: Audience,
    /// A minijinja expression over the event; when it is false the recipients are `skipped(no_condition)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The template.
    pub template: TemplateName,
    /// The channels.
    pub channels: ChannelChoice,
    /// The category.
    #[serde(default)]
    pub category: Category,
    /// The priority.
    #[serde(default)]
    pub priority: Priority,
    /// One notification for a recipient and these values of the event, whatever event brings them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub once_per: Vec<String>,
    /// The kind of reminder that it is, if it is one: what recipients name in their preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<String>,
    /// How long after it is due a message is still worth sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_s: Option<u32>,
    /// What becomes of a delivery in doubt; the category's and the tenant's policy when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<InDoubtPolicy>,
    /// Other channels for those whom these did not reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// When its messages are sent, in the recipient's zone; at any time when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_window: Option<SendWindow>,
    /// How many notifications of its category a recipient gets; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// What it gathers into one message; each event is told by itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestRule>,
    /// Who is told later, while nobody has acknowledged the event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<EscalationStep>,
}

impl Route {
    /// What is wrong beyond the shape; the template's existence is checked by who stores the route.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for (pointer, paths) in
            [("/audience/from_event", &self.audience.from_event), ("/once_per", &self.once_per)]
        {
            for (i, _) in paths.iter().enumerate().filter(|(_, path)| !is_event_path(path)) {
                let detail = "is not a path into the event; write it like data.customer_id";
                faults.push(FieldError::new(format!("{pointer}/{i}"), detail));
            }
        }
        if self.reminder.as_deref() == Some("") {
            faults.push(FieldError::new("/reminder", "a kind of reminder needs a name"));
        }
        if self.expires_after_s == Some(0) {
            faults.push(FieldError::new("/expires_after_s", "must be at least 1 second"));
        }
        if let Some(fallback) = &self.fallback {
            faults.extend(fallback.faults().into_iter().map(|fault| fault.under("/fallback")));
            for (i, channel) in fallback.channels.iter().enumerate() {
                if self.channels.channels().contains(channel) || fallback.channels[..i].contains(channel) {
                    let detail = "is a channel that the route uses already";
                    faults.push(FieldError::new(format!("/fallback/channels/{i}"), detail));
                }
            }
        } else if self.in_doubt == Some(InDoubtPolicy::Fallback) {
            faults.push(FieldError::new("/in_doubt", "is fallback, and the route has no fallback"));
        }
        faults.extend(self.faults_of_waiting());
        faults
            .extend(escalation::faults(&self.escalation).into_iter().map(|fault| fault.under("/escalation")));
        faults
    }

    /// What is wrong with what lets its messages wait.
    fn faults_of_waiting(&self) -> Vec<FieldError> {
        let under = |faults: Vec<FieldError>, prefix: &'static str| {
            faults.into_iter().map(move |fault| fault.under(prefix))
        };
        let mut faults = Vec::new();
        faults.extend(under(self.send_window.iter().flat_map(SendWindow::faults).collect(), "/send_window"));
        faults.extend(under(self.throttle.iter().flat_map(Throttle::faults).collect(), "/throttle"));
        if !self.once_per.is_empty() && self.throttle.is_some_and(|t| t.mode == ThrottleMode::Drop) {
            let detail = "drop does not go together with once_per: what is dropped would count as told";
            faults.push(FieldError::new("/throttle/mode", detail));
        }
        let Some(digest) = &self.digest else { return faults };
        faults.extend(under(digest.faults(), "/digest"));
        let together = [
            (!self.once_per.is_empty(), "once_per: what is told once is not gathered"),
            (self.fallback.is_some(), "fallback: it would follow for one event of many"),
            (!self.escalation.is_empty(), "escalation: what others are waiting for cannot wait itself"),
        ];
        for (_, detail) in together.into_iter().filter(|(is_there, _)| *is_there) {
            faults.push(FieldError::new("/digest", format!("does not go together with {detail}")));
        }
        faults
    }
}

pub(crate) fn is_event_path(path: &str) -> bool {
    let mut parts = path.split('.');
    matches!(parts.next(), Some("data" | "subject"))
        && parts.all(|p| !p.is_empty() && p.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_a_list_or_the_first_of_a_list() {
        let all: ChannelChoice = serde_json::from_str(r#"["whatsapp", "email"]"#).unwrap();
        assert_eq!(all, ChannelChoice::All(vec![Channel::Whatsapp, Channel::Email]));
        let first: ChannelChoice = serde_json::from_str(r#"{"first_of": ["email", "in_app"]}"#).unwrap();
        assert_eq!(first, ChannelChoice::FirstOf(vec![Channel::Email, Channel::InApp]));
        for bad in ["[]", r#"["email", "email"]"#, r#"["sms"]"#, r#"{"one_of": ["email"]}"#, "3"] {
            assert!(serde_json::from_str::<ChannelChoice>(bad).is_err(), "{bad}");
        }
    }
}
