//! A deadline: something that is due, and whoever is reminded of it. What it owes is said by its policy, in
//! [`crate::reminder`].

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::json_text;
use crate::ids::{DeadlineId, GroupName, Lane, PolicyName, RecipientId};
use crate::problem::FieldError;
use crate::tenant::KeyKind;

/// Something that is due, as it is put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadlineInput {
    /// How people are reminded of it.
    pub policy: PolicyName,
    /// Who.
    pub recipients: Reminded,
    /// Since when it lasts; from when it is first put, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When it is due.
    pub due_at: Timestamp,
    /// What templates are filled from.
    #[serde(default)]
    pub data: Map<String, Value>,
}

/// Who is reminded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminded {
    /// Recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<RecipientId>,
    /// Groups, with whoever is in them then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
}

impl DeadlineInput {
    /// What is wrong beyond the shape; whether names exist is checked by who stores the deadline.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if self.starts_at.is_some_and(|starts_at| self.due_at < starts_at) {
            faults.push(FieldError::new("/due_at", "is before starts_at"));
        }
        if self.recipients.ids.is_empty() && self.recipients.groups.is_empty() {
            faults.push(FieldError::new("/recipients", "nobody would be reminded: name ids or groups"));
        }
        if self.recipients.ids.len() > crate::event::EventInput::MAX_IDS {
            let detail = "names more than 1,000 recipients; use a group";
            faults.push(FieldError::new("/recipients/ids", detail));
        }
        if self.recipients.groups.len() > crate::event::EventInput::MAX_GROUPS {
            faults.push(FieldError::new("/recipients/groups", "names more than 100 groups"));
        }
        faults
    }
}

/// Whether anything is still owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineState {
    /// Not done yet.
    Open,
    /// Done: returned, paid, handed in.
    Closed,
}

impl DeadlineState {
    /// The state's name in JSON and keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// Something that is due, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deadline {
    /// Its id.
    pub id: DeadlineId,
    /// Whether it is done.
    pub state: DeadlineState,
    /// How people are reminded of it.
    pub policy: PolicyName,
    /// The version of the policy that it follows: the one there was when it was made or changed last.
    pub policy_version: u32,
    /// Who is reminded.
    pub recipients: Reminded,
    /// Since when it lasts.
    #[serde(with = "ms")]
    pub starts_at: Timestamp,
    /// When it is due.
    #[serde(with = "ms")]
    pub due_at: Timestamp,
    /// What templates are filled from; as text, because it may be nested deeper than the table's items.
    #[serde(with = "json_text")]
    pub data: Map<String, Value>,
    /// Its duration class, fixed when it was made.
    pub class: Lane,
    /// What is said with a test key is not sent.
    #[serde(default, skip_serializing_if = "KeyKind::is_live")]
    pub key_kind: KeyKind,
    /// When it was made.
    #[serde(with = "ms")]
    pub created_at: Timestamp,
    /// When it was made, moved or changed last: what falls due later is owed in this form.
    #[serde(with = "ms")]
    pub edited_at: Timestamp,
    /// Which form it is, from 0.
    pub edition: u32,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub closed_at: Option<Timestamp>,
    /// Everything that opens up to this instant is planned.
    #[serde(with = "ms")]
    pub planned_to: Timestamp,
    /// When the next reminder opens, and the lane that plans it; none when nothing is owed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextReminder>,
    /// Counts the writes of the item: each says which one it follows.
    pub rev: u32,
}

/// What a deadline waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextReminder {
    /// From when on it is due to somebody.
    #[serde(with = "ms")]
    pub at: Timestamp,
    /// Whose schedules plan it.
    pub lane: Lane,
}

/// What a reminder's delivery keeps of its deadline; short, because every write of the delivery is paid by its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadlineMark {
    /// The deadline.
    #[serde(rename = "i")]
    pub id: DeadlineId,
    /// Which form of it.
    #[serde(rename = "n")]
    pub edition: u32,
    /// When that was due.
    #[serde(rename = "d", with = "ms")]
    pub due_at: Timestamp,
    /// When this recipient is reminded.
    #[serde(rename = "a", with = "ms")]
    pub at: Timestamp,
}

impl Deadline {
    /// Whether it still owes a reminder that was planned: it is open, and this form of it is due, or was when the
    /// reminder fell due. So the forms of a deadline share the instants among them, and none is told by two.
    #[must_use]
    pub fn owes(&self, mark: &DeadlineMark) -> bool {
        let this_form = mark.edition == self.edition || mark.at <= self.edited_at;
        self.state == DeadlineState::Open && self.due_at == mark.due_at && this_form
    }
}
