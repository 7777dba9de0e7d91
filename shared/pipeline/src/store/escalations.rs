//! What stands beside an event that is escalated: its steps, each of which waits in the due index until it is taken or
//! stopped, and the note that somebody has acknowledged the event.

use carillon_domain::state::PlainReason;
use carillon_domain::{Audience, EventId, RecipientId, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::due::step_place;
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Index, Item, StoreError, Write};

/// A step of an event's escalation. One conditional write decides whether it is taken or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// When it is due.
    #[serde(with = "ms")]
    pub(crate) at: Timestamp,
    /// Who is told then.
    pub(crate) audience: Audience,
    /// When it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub(crate) taken_at: Option<Timestamp>,
    /// Its event is stored and queued.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) told: bool,
    /// When it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub(crate) stopped_at: Option<Timestamp>,
}

/// How somebody acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcknowledgedBy {
    /// A caller with a key.
    Api,
    /// The link in a message.
    Link,
    /// The button of a WhatsApp message.
    Whatsapp,
    /// The in-app feed.
    Inbox,
}

impl AcknowledgedBy {
    /// Its name in answers and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Link => "link",
            Self::Whatsapp => "whatsapp",
            Self::Inbox => "inbox",
        }
    }
}

/// That an event was acknowledged. The first one stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acknowledgement {
    /// When.
    #[serde(with = "ms")]
    pub(crate) at: Timestamp,
    /// By whom, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recipient_id: Option<RecipientId>,
    /// How.
    pub(crate) by: AcknowledgedBy,
    /// How much was still to come and was stopped, once everything has been looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled: Option<u64>,
}

impl Pipeline {
    /// A step, as of now; they are numbered from 1 without gaps.
    pub(crate) async fn step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        number: u32,
    ) -> Result<Option<Step>, StoreError> {
        self.table.get(&keys::event_step(tenant, event, number)).await?.map(from_item).transpose()
    }

    /// Makes a step that waits, unless it is there.
    pub(crate) async fn put_step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        number: u32,
        step: &Step,
    ) -> Result<(), StoreError> {
        let mut item = to_item(step)?;
        item.extend(step_place(tenant, event, number, step.at));
        let key = keys::event_step(tenant, event, number);
        match self.table.write(Write::Put { key, item, only_if: vec![Check::Absent] }).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a step, if nobody has taken or stopped it. It stays due until [`Pipeline::put_step_told`]. Answers the step
    /// as it is.
    pub(crate) async fn take_step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        number: u32,
    ) -> Result<Option<Step>, StoreError> {
        self.decide_step(tenant, event, number, "taken_at", &[]).await
    }

    /// Stops a step, if nobody has taken or stopped it. Answers the step as it is.
    pub(crate) async fn stop_step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        number: u32,
    ) -> Result<Option<Step>, StoreError> {
        let (pk, sk) = Index::Attention.attributes();
        self.decide_step(tenant, event, number, "stopped_at", &[pk, sk]).await
    }

    async fn decide_step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        number: u32,
        decision: &str,
        remove: &[&str],
    ) -> Result<Option<Step>, StoreError> {
        let write = Write::Update {
            key: keys::event_step(tenant, event, number),
            set: vec![(decision.to_owned(), self.now().as_millisecond().into())],
            add: Vec::new(),
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
            only_if: vec![Check::Present, Check::Missing("taken_at"), Check::Missing("stopped_at")],
        };
        match self.table.write(write).await {
            Ok(item) => from_item(item).map(Some),
            Err(StoreError::Conflict(found)) => found.map(from_item).transpose(),
            Err(error) => Err(error),
        }
    }

    /// Records that the event of a step is stored and queued.
    pub(crate) async fn put_step_told(
        &self,
        tenant: &TenantId,
        event: &EventId,
        number: u32,
    ) -> Result<(), StoreError> {
        let (pk, sk) = Index::Attention.attributes();
        let write = Write::Update {
            key: keys::event_step(tenant, event, number),
            set: vec![("told".to_owned(), true.into())],
            add: Vec::new(),
            remove: vec![pk.to_owned(), sk.to_owned()],
            only_if: vec![Check::Present],
        };
        match self.table.write(write).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// That an event was acknowledged, as of now.
    pub(crate) async fn acknowledgement(
        &self,
        tenant: &TenantId,
        event: &EventId,
    ) -> Result<Option<Acknowledgement>, StoreError> {
        self.table.get(&keys::event_acknowledged(tenant, event)).await?.map(from_item).transpose()
    }

    /// Notes that an event is acknowledged. Answers the first note.
    pub(crate) async fn put_acknowledgement(
        &self,
        tenant: &TenantId,
        event: &EventId,
        note: Acknowledgement,
    ) -> Result<Acknowledgement, StoreError> {
        let key = keys::event_acknowledged(tenant, event);
        let item = to_item(&note)?;
        match self.table.write(Write::Put { key, item, only_if: vec![Check::Absent] }).await {
            Ok(_) => Ok(note),
            Err(StoreError::Conflict(Some(found))) => from_item(found),
            Err(error) => Err(error),
        }
    }

    /// Notes how much an acknowledgement has stopped. Answers the first note, for every repetition to say the same.
    pub(crate) async fn put_acknowledged_in_full(
        &self,
        tenant: &TenantId,
        event: &EventId,
        cancelled: u64,
    ) -> Result<Acknowledgement, StoreError> {
        let write = Write::Update {
            key: keys::event_acknowledged(tenant, event),
            set: vec![("cancelled".to_owned(), cancelled.into())],
            add: Vec::new(),
            remove: Vec::new(),
            only_if: vec![Check::Present, Check::Missing("cancelled")],
        };
        match self.table.write(write).await {
            Ok(item) | Err(StoreError::Conflict(Some(item))) => from_item(item),
            Err(error) => Err(error),
        }
    }

    /// Notes that an event is taken back, by whom and why. The first note stays.
    pub(crate) async fn put_taken_back(
        &self,
        tenant: &TenantId,
        event: &EventId,
        by: &str,
        reason: PlainReason,
    ) -> Result<(), StoreError> {
        let note = json!({"at": self.now(), "by": by, "reason": reason.as_str()});
        let key = keys::event_cancelled(tenant, event);
        match self.table.write(Write::Put { key, item: to_item(&note)?, only_if: vec![Check::Absent] }).await
        {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Why an event is taken back, as of now; none while it is not.
    pub(crate) async fn taken_back(
        &self,
        tenant: &TenantId,
        event: &EventId,
    ) -> Result<Option<PlainReason>, StoreError> {
        let note = self.table.get(&keys::event_cancelled(tenant, event)).await?;
        Ok(note.as_ref().map(|note| taken_back_of(note).0))
    }
}

/// Why and when an event was taken back, by the note that says so.
pub(crate) fn taken_back_of(note: &Item) -> (PlainReason, Option<Timestamp>) {
    let reason = note.get("reason").and_then(|reason| serde_json::from_value(reason.clone()).ok());
    let at = note.get("at").and_then(|at| at.as_str()?.parse().ok());
    (reason.unwrap_or(PlainReason::CancelledBy), at)
}
