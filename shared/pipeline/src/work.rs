//! What travels in the queues. Bodies only: attributes of a queue message carry no personal data.

use carillon_domain::{Address, Delivery, EventId, JobId, Priority, Rendered, TenantId};
use serde::{Deserialize, Serialize};

use crate::parts::Part;
use crate::ports::{Message, QueueError, StoreError, TransactError};

/// On the events queue: an accepted event to fan out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventWork {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub event_id: EventId,
    /// Which part of its audience, when that is large; the whole event otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// On the jobs queue: a turn of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobWork {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub job_id: JobId,
    /// Which turn this message is for, from 0.
    pub turn: u32,
}

/// On the whatsapp and email queues: one provider call to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryWork {
    /// Whose.
    pub tenant: TenantId,
    /// The delivery as it was when the message was queued: a worker claims it without reading it first.
    pub delivery: Delivery,
    /// Where it goes.
    pub to: Address,
    /// What is said.
    pub message: Rendered,
}

impl EventWork {
    /// The queue message.
    #[must_use]
    pub fn message(&self, priority: Priority) -> Message {
        Message { body: json_text(self), group: group(&self.tenant, priority), delay_s: 0 }
    }
}

impl JobWork {
    /// The queue message.
    #[must_use]
    pub fn message(&self) -> Message {
        Message { body: json_text(self), group: group(&self.tenant, Priority::default()), delay_s: 0 }
    }
}

impl DeliveryWork {
    /// The queue message.
    #[must_use]
    pub fn message(&self) -> Message {
        Message { body: json_text(self), group: group(&self.tenant, self.delivery.priority), delay_s: 0 }
    }
}

fn group(tenant: &TenantId, priority: Priority) -> String {
    format!("{tenant}:{}", priority.as_str())
}

fn json_text<T: Serialize>(work: &T) -> String {
    // Derived serialisation of these types has no failing case; an empty body would be refused by the reader.
    serde_json::to_string(work).unwrap_or_default()
}

/// Why work on a queue message is not done. Every case is repeated by the queue; what cannot succeed by being
/// repeated ends in the dead-letter queue.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The next queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Somebody else is at it.
    #[error("another worker holds the lease until {0}")]
    Leased(carillon_domain::Timestamp),
    /// The message is not what this stage works on.
    #[error("the message is not work for this stage: {0}")]
    Unreadable(String),
}

impl From<TransactError> for WorkError {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Store(store) => Self::Store(store),
            TransactError::Conflict { found, .. } => Self::Store(StoreError::Conflict(found)),
        }
    }
}
