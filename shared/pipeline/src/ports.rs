//! What the pipeline needs from outside, as small traits. `carillon-aws` has them on DynamoDB, SQS and SSM,
//! `carillon-channels` on the providers, `carillon-local` on an embedded cloud. Each page says what an implementation
//! owes; where a caller must not ignore an answer, it is an enum.

use async_trait::async_trait;
use carillon_domain::{Channel, FieldError, Rendered, Template, TemplateVersion, Timestamp, Token};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::refusal::{Meaning, Refusal, RefusalClass, RefusalScope, Remedy};

/// An item of the table: its attributes by name, without the key's own (`pk`, `sk`).
pub type Item = Map<String, Value>;

/// The primary key of an item. Only [`crate::store::keys`] makes one, and every key but four kinds carries the tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    /// The partition key.
    #[must_use]
    pub fn pk(&self) -> &str {
        &self.pk
    }

    /// The sort key.
    #[must_use]
    pub fn sk(&self) -> &str {
        &self.sk
    }

    /// The key of an item that an adapter has read back.
    #[must_use]
    pub fn read_back(pk: String, sk: String) -> Self {
        Self { pk, sk }
    }
}

/// What must be true of the stored item for a write to happen; all checks together.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// There is no item with this key.
    Absent,
    /// There is an item with this key.
    Present,
    /// The attribute has this value.
    Equals(&'static str, Value),
    /// The attribute has one of these values.
    OneOf(&'static str, Vec<Value>),
    /// The item has no such attribute; also true when there is no item.
    Missing(&'static str),
}

/// One write of one item.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Replaces the whole item.
    Put {
        /// Where.
        key: Key,
        /// Its attributes.
        item: Item,
        /// Only if these hold.
        only_if: Vec<Check>,
    },
    /// Changes some top-level attributes and leaves the others; makes the item when there is none.
    Update {
        /// Where.
        key: Key,
        /// Attributes that get these values.
        set: Vec<(String, Value)>,
        /// Number attributes that grow by this much, from 0 when missing.
        add: Vec<(String, i64)>,
        /// Attributes that go.
        remove: Vec<String>,
        /// Only if these hold.
        only_if: Vec<Check>,
    },
    /// Removes the item, if there is one.
    Delete {
        /// Where.
        key: Key,
        /// Only if these hold.
        only_if: Vec<Check>,
    },
}

impl Write {
    /// The key that is written.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Update { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// What must hold for it to happen.
    #[must_use]
    pub fn only_if(&self) -> &[Check] {
        match self {
            Self::Put { only_if, .. } | Self::Update { only_if, .. } | Self::Delete { only_if, .. } => {
                only_if
            }
        }
    }
}

/// Why a read or write of the table did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A check of the write did not hold.
    #[error("the stored item is not in the state that the write needs")]
    Conflict(Option<Item>),
    /// The table could not be reached, or refused for a reason that may pass. Whether a write happened is not known.
    #[error("the table could not be reached: {0}")]
    Unavailable(String),
    /// A query was to go on after something that no page answered.
    #[error("the cursor is not one that a page answered")]
    BadCursor,
    /// What is stored cannot be understood, or what was asked cannot be done: repeating does not help.
    #[error("the table refused: {0}")]
    Refused(String),
}

/// Which index a query runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Index {
    /// The table itself (`pk`, `sk`): answers whole items.
    Table,
    /// What belongs to one parent: deliveries of an event, recipients of a tenant (`parent_pk`, `parent_sk`). Keys only.
    ByParent,
    /// The log by day (`day_pk`, `day_sk`). Keys only.
    ByDay,
    /// What needs attention: due work and faults (`attention_pk`, `attention_sk`). Sparse, keys only.
    Attention,
}

impl Index {
    /// The names of the partition and sort key attributes of this index.
    #[must_use]
    pub fn attributes(self) -> (&'static str, &'static str) {
        match self {
            Self::Table => ("pk", "sk"),
            Self::ByParent => ("parent_pk", "parent_sk"),
            Self::ByDay => ("day_pk", "day_sk"),
            Self::Attention => ("attention_pk", "attention_sk"),
        }
    }

    /// The index's name in DynamoDB; none for the table itself.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Table => None,
            Self::ByParent => Some("by_parent"),
            Self::ByDay => Some("by_day"),
            Self::Attention => Some("attention"),
        }
    }
}

/// A query of one partition of the table or of an index. Sort keys compare as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where.
    pub index: Index,
    /// The partition.
    pub(crate) partition: String,
    /// Sort keys from here on, included.
    pub from: Option<String>,
    /// Sort keys up to here, included.
    pub to: Option<String>,
    /// The largest first.
    pub descending: bool,
    /// At most so many items.
    pub limit: usize,
    /// Where the page before ended; what [`Page::next`] said.
    pub after: Option<String>,
}

impl Query {
    /// A whole partition in ascending order. For the tests of an adapter, and for [`crate::store::keys`], where every
    /// other query comes from.
    #[must_use]
    pub fn of(index: Index, partition: String, limit: usize) -> Self {
        Self { index, partition, from: None, to: None, descending: false, limit, after: None }
    }

    /// The partition that is asked.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }
}

/// One page of a query. An index that projects keys only answers items that have nothing but index attributes.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The items with their keys, in order.
    pub items: Vec<(Key, Item)>,
    /// Set when there may be more: give it back as [`Query::after`].
    pub next: Option<String>,
}

/// The one table. Every access is by key or by a query of one partition; there is no scan.
///
/// An implementation MUST make each [`Write`] atomic with its checks; MUST answer [`StoreError::Conflict`] with the item
/// that was found when a check fails; MUST repeat what was throttled or lost (bounded) before it answers `Unavailable`.
/// A repeated conditional write can conflict with itself: callers compare an owner before they conclude that somebody
/// else won.
#[async_trait]
pub trait Table: Send + Sync {
    /// The item as of now (a strongly consistent read).
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError>;

    /// The items of these keys in their order; any number of keys, doubles allowed. Reads may be a moment old.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError>;

    /// One write. Answers the item as it is after an update, an empty item after a put or delete.
    async fn write(&self, write: Write) -> Result<Item, StoreError>;

    /// Writes that have nothing to do with each other, worked side by side; an answer for each, in their order.
    async fn write_each(&self, writes: Vec<Write>) -> Vec<Result<Item, StoreError>>;

    /// All of these writes, or none; at most 100, no key twice. A conflict names the first write whose check failed.
    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError>;

    /// One page of a partition.
    async fn query(&self, query: &Query) -> Result<Page, StoreError>;
}

/// Why a transaction did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransactError {
    /// The check of the write at this place did not hold.
    #[error("write {at} of the transaction found another state")]
    Conflict {
        /// Which write, from 0.
        at: usize,
        /// The item that was found.
        found: Option<Item>,
    },
    /// As for a single write.
    #[error(transparent)]
    Store(#[from] StoreError),
}

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

/// A secret's values, newest first; two may be live during a rotation.
pub type SecretValues = Vec<String>;

/// Secrets by name, such as `hash-key` or `acme/whatsapp/token`. SSM SecureStrings under the deployment's prefix.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The live values; empty when there is no such secret.
    async fn get(&self, name: &str) -> Result<SecretValues, StoreError>;

    /// Makes or replaces a secret.
    async fn put(&self, name: &str, values: &[String]) -> Result<(), StoreError>;
}

/// What time it is.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Returns when the clock has reached an instant. Every wait of a worker goes through here, so that a clock that is
    /// moved by hand moves waits too.
    async fn sleep_until(&self, at: Timestamp) {
        let wait = u64::try_from(at.as_millisecond() - self.now().as_millisecond()).unwrap_or(0);
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    }

    /// Returns when this much of the clock's own time has passed.
    async fn sleep(&self, wait: std::time::Duration) {
        self.sleep_until(self.now().saturating_add(wait).unwrap_or(Timestamp::MAX)).await;
    }
}

/// Where random bits come from.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// Turns templates and data into messages. Pure: the same input gives the same text.
pub trait Renderer: Send + Sync {
    /// What does not parse, with pointers into the template.
    fn faults(&self, template: &Template) -> Vec<FieldError>;

    /// What does not parse in a route's condition.
    ///
    /// # Errors
    /// The fault, in words.
    fn condition_fault(&self, expression: &str) -> Result<(), String>;

    /// Whether a condition holds. Undefined names count as false.
    ///
    /// # Errors
    /// When it cannot be evaluated.
    fn condition(&self, expression: &str, context: &Value) -> Result<bool, RenderError>;

    /// The message for one channel in one of the template's locales.
    ///
    /// # Errors
    /// A variable that is missing, a limit of the channel that the text breaks, or no part for the channel.
    fn render(&self, job: &RenderJob<'_>) -> Result<Rendered, RenderError>;
}

/// What is to be rendered.
#[derive(Debug)]
pub struct RenderJob<'a> {
    /// Whose template: two tenants' templates of one name are two templates.
    pub tenant: &'a str,
    /// The version; an implementation may keep what it parsed under (tenant, name, version).
    pub template: &'a TemplateVersion,
    /// One of the template's locales.
    pub locale: &'a str,
    /// The channel.
    pub channel: Channel,
    /// Whether WhatsApp's 24-hour window is open, so that free text may be sent.
    pub window_open: bool,
    /// `event`, `data`, `recipient`, `tenant`, `now`.
    pub context: &'a Value,
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {detail}")]
pub struct RenderError {
    /// The part of the template, as a pointer below its locale, such as `/email/subject`.
    pub part: String,
    /// What is wrong, without data of the event or the recipient.
    pub detail: String,
}

/// Where a channel's messages are sent from: a tenant's provider configuration with its secrets.
#[derive(Clone)]
pub enum Account {
    /// A WhatsApp business phone number.
    Whatsapp {
        /// Meta's id of the number.
        phone_number_id: String,
        /// Graph API version, such as `v25.0`.
        api_version: String,
        /// System-user token.
        token: String,
    },
    /// An SES identity.
    Email {
        /// The From address, with or without a name.
        from: String,
        /// The configuration set that publishes events.
        configuration_set: Option<String>,
    },
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whatsapp { .. } => "Account::Whatsapp(..)",
            Self::Email { .. } => "Account::Email(..)",
        })
    }
}

/// One call to be made.
#[derive(Debug)]
pub struct Call<'a> {
    /// The tenant, for the receipts of a provider that cannot tell it from the account.
    pub tenant: &'a str,
    /// Where it is sent from.
    pub account: &'a Account,
    /// Where it goes.
    pub to: &'a carillon_domain::Address,
    /// What is said.
    pub message: &'a Rendered,
    /// Travels with the call and comes back in every receipt.
    pub token: &'a Token,
    /// The token of the email's unsubscribe link, if it is to have one.
    pub unsubscribe: Option<String>,
}

/// What a provider call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The provider took the message.
    Accepted {
        /// Its name for it.
        message_id: String,
    },
    /// The provider answered with an error.
    Refused(Refusal),
    /// The request may have arrived and no readable answer came: a time-out, a reset, an unreadable 200.
    Unknown {
        /// What happened, without address or token.
        detail: String,
    },
    /// The request did not leave: no connection.
    Unreachable {
        /// What happened, without address or token.
        detail: String,
    },
}

/// A channel's provider. It makes exactly one call: no retry of its own, no retry of its SDK or HTTP client.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Makes the call. MUST answer `Unknown` for whatever happens after the request may have left.
    async fn call(&self, call: &Call<'_>) -> Answer;
}
