//! A delivery: one notification on one channel. Its stored item stays below 1 KB, because every write of it is paid
//! by its whole size: no rendered text, no address, no body of an answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::cost::Cost;
use crate::deadline::DeadlineMark;
use crate::digest::DigestMark;
use crate::ids::{DeliveryId, EventId, EventType, RecipientId, TemplateName};
use crate::rendered::Rendered;
use crate::route::{Category, Priority};
use crate::state::{State, StateKind};

/// One notification on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where its item lies, and what receipts are matched by.
    pub id: DeliveryId,
    /// The event it comes from.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// The event's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who is told.
    pub recipient_id: RecipientId,
    /// The channel.
    pub channel: Channel,
    /// What preferences and policies hang on.
    pub category: Category,
    /// The kind of reminder that it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<String>,
    /// Which share of the provider's rate it may use.
    pub priority: Priority,
    /// The template it is rendered from; none when planning ended before a template was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateName>,
    /// The pinned version of that template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The locale of the template that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// How WhatsApp says it; none on other channels, and while nothing has been rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// Where it is, and why.
    #[serde(flatten)]
    pub state: State,
    /// When a held delivery may go on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub held_until: Option<Timestamp>,
    /// When a retrying or in-doubt delivery is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub retry_at: Option<Timestamp>,
    /// When its route's fallback follows, unless it has arrived by then.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub fallback_at: Option<Timestamp>,
    /// After this instant it is not sent any more.
    #[serde(with = "ms")]
    pub expires_at: Timestamp,
    /// Its event's list of deliveries is kept in several partitions, because there are many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spread: bool,
    /// It is of a step of an escalation, which an acknowledgement takes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escalates: bool,
    /// The deadline that it reminds of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineMark>,
    /// The digest it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestMark>,
    /// The delivery that tells of its event, in one message with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_by: Option<DeliveryId>,
    /// Counts the writes of the item: each write says which one it follows, so none is lost to another.
    pub rev: u32,
    /// Provider calls made.
    #[serde(default)]
    pub calls: u32,
    /// Provider calls that count against the retry schedule.
    #[serde(default)]
    pub tries: u32,
    /// The worker that holds the lease while it is sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When that lease is over.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub lease_until: Option<Timestamp>,
    /// When it was planned.
    #[serde(with = "ms")]
    pub created_at: Timestamp,
    /// When it reached its present state.
    #[serde(with = "ms")]
    pub changed_at: Timestamp,
    /// Why it is where it is, in words, when the reason alone does not say it: at most [`Attempt::DETAIL_CHARS`]
    /// characters, without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How often the in-doubt policy has sent it again: each a possible duplicate, counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resends: u32,
    /// Who took it back to `pending` last, after it had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revived: Option<Revival>,
    /// When a wait ended that somebody wanted: what is sent late counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub due_at: Option<Timestamp>,
    /// It was posted with a test key: decided and rendered, never sent, and counted nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// What the provider calls cost that are not kept in `attempts` any more, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "costs_nothing")]
    pub earlier_micros: i64,
    /// The provider's name for the message that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message_id: Option<String>,
    /// The latest provider calls by their number, at most [`Delivery::KEPT_ATTEMPTS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<u32, Attempt>,
    /// What the provider said later: when each kind was first true.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub receipts: BTreeMap<ReceiptKind, ReceiptAt>,
}

/// The two forms of a WhatsApp message. What became a template stays one: Meta has said, or our own record of the window,
/// that free text may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Free text, inside the 24-hour window only.
    Text,
    /// A template that Meta has approved.
    Template,
}

impl Form {
    /// The form of a rendered message.
    #[must_use]
    pub fn of(message: &Rendered) -> Option<Self> {
        match message {
            Rendered::WhatsappText { .. } => Some(Self::Text),
            Rendered::WhatsappTemplate { .. } => Some(Self::Template),
            Rendered::Email { .. } | Rendered::InApp { .. } => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn costs_nothing(micros: &i64) -> bool {
    *micros == 0
}

impl Delivery {
    /// How many attempts an item keeps; older ones live in the log only. Bounds the item's size.
    pub const KEPT_ATTEMPTS: u32 = 3;

    /// Nothing more will be done for it by itself. A failure whose fallback is owed is not there yet.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let owes_fallback = self.state.kind() == StateKind::Failed && self.fallback_at.is_some();
        self.state.is_settled() && !owes_fallback
    }

    /// Whether it tells of other events besides its own.
    #[must_use]
    pub fn tells_of_others(&self) -> bool {
        self.digest.as_ref().and_then(|mark| mark.carries).is_some_and(|carried| carried.events > 1)
    }

    /// Since when it has been due to leave, if it has not: the last time that somebody was to move it on. A delivery that
    /// is due like that for a quarter of an hour is stuck.
    #[must_use]
    pub fn due_since(&self) -> Option<Timestamp> {
        match self.state.kind() {
            StateKind::Pending => {
                Some(self.changed_at.max(self.held_until.max(self.retry_at).unwrap_or_default()))
            }
            StateKind::Sending => Some(self.lease_until.unwrap_or(self.changed_at)),
            _ => None,
        }
    }

    /// When it was accepted by the provider, by its own answer or by a receipt.
    #[must_use]
    pub fn sent_at(&self) -> Option<Timestamp> {
        let answered =
            self.attempts.values().find(|a| a.outcome == Some(Outcome::Succeeded)).and_then(|a| a.ended_at);
        answered.or_else(|| {
            [ReceiptKind::Sent, ReceiptKind::Delivered, ReceiptKind::Read]
                .iter()
                .find_map(|kind| self.receipts.get(kind))
                .map(|r| r.0)
        })
    }

    /// When an in-app delivery came into the feed: what its item's key is made of. One that was held came later than it
    /// was planned.
    #[must_use]
    pub fn in_feed_since(&self) -> Timestamp {
        self.receipt_at(ReceiptKind::Delivered).unwrap_or(self.created_at)
    }

    /// What its provider calls cost; none while none was accepted.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let earlier = Cost { amount_micros: self.earlier_micros, estimated: true };
        let earlier = (self.earlier_micros != 0).then_some(earlier);
        let priced = self.attempts.values().filter_map(|attempt| {
            Some(Cost { amount_micros: attempt.price_micros?, estimated: !attempt.price_is_final })
        });
        earlier.into_iter().chain(priced).reduce(Cost::plus)
    }

    /// When a receipt of this kind says that it happened.
    #[must_use]
    pub fn receipt_at(&self, kind: ReceiptKind) -> Option<Timestamp> {
        self.receipts.get(&kind).map(|r| r.0)
    }
}

/// That an ended delivery was taken back to `pending`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revival {
    /// When.
    #[serde(with = "ms")]
    pub at: Timestamp,
    /// By whom: the id of an API key.
    pub by: String,
    /// The end that it was taken back from, such as `failed(bounced)`.
    pub from: String,
    /// Which time it was, from 1.
    pub nth: u32,
}

/// An instant in milliseconds, as the value of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptAt(#[serde(with = "ms")] pub Timestamp);

/// One provider call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When the call was about to be made; recorded before it.
    #[serde(rename = "s", with = "ms")]
    pub started_at: Timestamp,
    /// When its outcome was known.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub ended_at: Option<Timestamp>,
    /// How it ended; none while it runs, or after a crash.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The HTTP status of the answer.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The provider's error code.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The provider's trace id, for its support desk.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What went wrong, at most [`Attempt::DETAIL_CHARS`] characters, without address, name or token.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it costs, in millionths of a US dollar; none while it was not accepted.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub price_micros: Option<i64>,
    /// The provider has said whether it bills it; an estimate otherwise.
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    pub price_is_final: bool,
}

impl Attempt {
    /// The bound of `detail`, in characters.
    pub const DETAIL_CHARS: usize = 200;

    /// A call that is about to be made.
    #[must_use]
    pub fn starting(started_at: Timestamp) -> Self {
        Self {
            started_at,
            ended_at: None,
            outcome: None,
            http_status: None,
            code: None,
            trace_id: None,
            detail: None,
            price_micros: None,
            price_is_final: false,
        }
    }
}

/// How a provider call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The provider accepted the message.
    Succeeded,
    /// The provider refused it.
    Rejected,
    /// The provider asked to slow down.
    Throttled,
    /// The request may have arrived and no readable answer came.
    TimedOut,
    /// The request did not leave.
    Unreachable,
}

impl Outcome {
    /// The outcome's name in JSON, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What a provider says about a message after it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// On its way.
    Sent,
    /// Arrived.
    Delivered,
    /// Read.
    Read,
    /// It will not arrive; for WhatsApp also long after `sent`.
    Failed,
    /// The mailbox refused it.
    Bounced,
    /// The reader reported it as unwanted.
    Complained,
    /// Still being tried.
    Delayed,
}

impl ReceiptKind {
    /// The kind's name in JSON, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Delayed => "delayed",
        }
    }
}
