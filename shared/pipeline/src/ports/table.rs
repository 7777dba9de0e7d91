//! The table: its keys, writes with their checks, queries of one partition. `carillon-aws` has it on DynamoDB,
//! `carillon-local` in memory.

use async_trait::async_trait;
use serde_json::{Map, Value};

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
