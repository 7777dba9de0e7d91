//! The queues of the send path, with SQS's semantics. `carillon-aws` has them on SQS, `carillon-local` on SQLite.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A queue of the send path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Accepted events on their way to fan-out.
    Events,
    /// Deliveries on their way to deliver-whatsapp.
    Whatsapp,
    /// Deliveries on their way to deliver-email.
    Email,
    /// What providers said, on its way to receipts.
    Receipts,
    /// Long work on its way to jobs.
    Jobs,
}

impl Queue {
    /// All queues, in flow order.
    pub const ALL: [Self; 5] = [Self::Events, Self::Whatsapp, Self::Email, Self::Receipts, Self::Jobs];

    /// The queue's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Whatsapp => "whatsapp",
            Self::Email => "email",
            Self::Receipts => "receipts",
            Self::Jobs => "jobs",
        }
    }
}

impl std::str::FromStr for Queue {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == text).ok_or(())
    }
}

/// A message for a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// JSON, at most [`Message::MAX_BYTES`].
    pub body: String,
    /// `MessageGroupId` of a fair queue: tenant and priority, no personal data.
    pub group: String,
    /// How long the queue keeps it back, at most [`Message::MAX_DELAY_S`].
    pub delay_s: u32,
}

impl Message {
    /// SQS keeps a message back for 15 minutes at most.
    pub const MAX_DELAY_S: u32 = 900;

    /// SQS takes 1 MiB a message, and the same for a batch.
    pub const MAX_BYTES: usize = 1_048_576;
}

/// Why a message is not in its queue.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the {queue} queue did not take a message: {reason}", queue = .queue.as_str())]
pub struct QueueError {
    /// Which queue.
    pub queue: Queue,
    /// What it said.
    pub reason: String,
}

/// Queues with SQS's semantics: at least once, in no order, a message that is not deleted comes back.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Sends any number of messages, in batches that respect the provider's limits, and repeats (bounded) those that
    /// were refused for a reason that may pass. MUST look at each entry's own answer.
    ///
    /// # Errors
    /// If any message is not in the queue; the others may be.
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError>;
}
