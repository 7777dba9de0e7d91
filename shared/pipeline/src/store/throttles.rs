//! When a recipient was given room for notifications of a category (`throttle` of a route).

use carillon_domain::{Category, EventId, RecipientKey, TenantId, Throttle, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, Write};

/// How many instants are kept: as many as the widest throttle counts, and some more, by which an event that comes again is
/// known.
pub(crate) const KEPT: usize = Throttle::MOST as usize + 28;

/// What is taken of a recipient's room for one category.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Room {
    /// Counts the writes; none before the first.
    #[serde(default)]
    pub(crate) rev: u32,
    /// The latest instants, in order.
    #[serde(default)]
    pub(crate) taken: Vec<Taken>,
}

/// An instant that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    #[serde(rename = "a", with = "ms")]
    pub(crate) at: Timestamp,
    #[serde(rename = "e")]
    pub(crate) event_id: EventId,
}

impl Room {
    /// One more is taken.
    pub(crate) fn with(&self, event: &EventId, at: Timestamp) -> Self {
        let mut taken = self.taken.clone();
        let place = taken.partition_point(|other| other.at <= at);
        taken.insert(place, Taken { at, event_id: event.clone() });
        let too_many = taken.len().saturating_sub(KEPT);
        taken.drain(..too_many);
        Self { rev: self.rev + 1, taken }
    }
}

/// What became of a write.
#[derive(Debug)]
pub(crate) enum PutRoom {
    /// It is stored.
    Done,
    /// Others wrote first: this is what they left.
    Overtaken(Option<Room>),
}

impl Pipeline {
    /// What is taken of a recipient's room for a category, as of now.
    pub(crate) async fn room(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        category: Category,
    ) -> Result<Option<Room>, StoreError> {
        self.table.get(&keys::throttle(tenant, person, category)).await?.map(from_item).transpose()
    }

    /// Stores what is taken, if nobody wrote since.
    pub(crate) async fn put_room(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        category: Category,
        before: &Room,
        after: &Room,
    ) -> Result<PutRoom, StoreError> {
        let check = if before.rev == 0 { Check::Absent } else { Check::Equals("rev", before.rev.into()) };
        let key = keys::throttle(tenant, person, category);
        let write = Write::Put { key, item: to_item(after)?, only_if: vec![check] };
        match self.table.write(write).await {
            Ok(_) => Ok(PutRoom::Done),
            // A conflict with one's own write finds the event among those that have room.
            Err(StoreError::Conflict(found)) => Ok(PutRoom::Overtaken(found.map(from_item).transpose()?)),
            Err(error) => Err(error),
        }
    }
}
