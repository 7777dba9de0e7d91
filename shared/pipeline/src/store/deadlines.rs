//! Deadlines: the item, its place in the list of its state by when it is due, and while it owes something its place in the
//! lane that plans it, by when that falls due. So a sweep reads what is due and nothing else.

use carillon_domain::{Deadline, DeadlineId, DeadlineState, EventId, Lane, TenantId, Timestamp};

use super::{from_item, keys, shards, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Index, Item, Key, Query, StoreError, Write};
use keys::deadlines::{DEADLINE_SHARDS, deadlines, owing, reminders_of};

/// What became of a write of a deadline.
#[derive(Debug)]
pub(crate) enum SavedDeadline {
    /// It is stored.
    Done,
    /// Somebody else wrote first; what they left, if anything.
    Overtaken(Option<Box<Deadline>>),
}

fn deadline_item(tenant: &TenantId, deadline: &Deadline) -> Result<Item, StoreError> {
    let mut item = to_item(deadline)?;
    let shard = shard_of(tenant, &deadline.id);
    let mut place = |index: Index, partition: String, at: Timestamp| {
        let (pk, sk) = index.attributes();
        item.insert(pk.to_owned(), partition.into());
        item.insert(sk.to_owned(), format!("{}#{}", keys::millis(at), deadline.id).into());
    };
    place(Index::ByParent, deadlines(tenant, deadline.state, shard), deadline.due_at);
    if let Some(next) = deadline.next.as_ref().filter(|_| deadline.state == DeadlineState::Open) {
        place(Index::Attention, owing(tenant, &next.lane, shard), next.at);
    }
    Ok(item)
}

/// The shard of an id that somebody else has chosen.
fn shard_of(tenant: &TenantId, id: &DeadlineId) -> u8 {
    let event = EventId::from_idempotency_key(tenant, id.as_str());
    keys::shard(event.as_str(), DEADLINE_SHARDS)
}

impl Pipeline {
    /// A deadline, as of now.
    pub async fn deadline(&self, tenant: &TenantId, id: &DeadlineId) -> Result<Option<Deadline>, StoreError> {
        self.table.get(&keys::deadlines::deadline(tenant, id)).await?.map(from_item).transpose()
    }

    /// Stores a deadline in the place of what was read `before`, only if nobody wrote it since.
    pub(crate) async fn save_deadline(
        &self,
        tenant: &TenantId,
        before: Option<&Deadline>,
        after: &mut Deadline,
    ) -> Result<SavedDeadline, StoreError> {
        after.rev = before.map_or(0, |before| before.rev) + 1;
        let only_if = before.map_or(Check::Absent, |before| Check::Equals("rev", before.rev.into()));
        let key = keys::deadlines::deadline(tenant, &after.id);
        let item = deadline_item(tenant, after)?;
        match self.table.write(Write::Put { key, item, only_if: vec![only_if] }).await {
            Ok(_) => Ok(SavedDeadline::Done),
            Err(StoreError::Conflict(Some(found))) => {
                let found: Deadline = from_item(found)?;
                // Our own write, which the client library repeated because its answer was lost.
                if found == *after {
                    return Ok(SavedDeadline::Done);
                }
                Ok(SavedDeadline::Overtaken(Some(Box::new(found))))
            }
            Err(StoreError::Conflict(None)) => Ok(SavedDeadline::Overtaken(None)),
            Err(error) => Err(error),
        }
    }

    /// Some deadlines of a shard of a lane that owe something by an instant, the earliest first, and where the next
    /// begin; a moment old.
    pub(crate) async fn owing_deadlines(
        &self,
        tenant: &TenantId,
        (lane, shard): (&Lane, u8),
        until: Timestamp,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<Deadline>, Option<String>), StoreError> {
        // Below the next millisecond: whatever an id begins with.
        let to = keys::millis(Timestamp::from_millisecond(until.as_millisecond() + 1).unwrap_or(until));
        let partition = owing(tenant, lane, shard);
        let query =
            Query { index: Index::Attention, to: Some(to), ..keys::partition(partition, limit, after) };
        let page = self.table.query(&query).await?;
        let keys: Vec<Key> = page.items.into_iter().map(|(key, _)| key).collect();
        let items = self.table.get_many(&keys).await?;
        let found = items.into_iter().flatten().map(from_item).collect::<Result<_, _>>()?;
        Ok((found, page.next))
    }

    /// When the first reminder of a tenant opens that nobody has planned yet, in any lane; a moment old.
    pub(crate) async fn first_owing(&self, tenant: &TenantId) -> Result<Option<Timestamp>, StoreError> {
        let lanes = self.lanes(tenant).await?;
        let places = lanes.iter().flat_map(|lane| (0..DEADLINE_SHARDS).map(move |shard| (lane, shard)));
        let firsts = places.map(|(lane, shard)| async move {
            let partition = keys::partition(owing(tenant, lane, shard), 1, None);
            let page = self.table.query(&Query { index: Index::Attention, ..partition }).await?;
            let sort = page.items.first().and_then(|(_, item)| item.get(Index::Attention.attributes().1));
            let ms = sort.and_then(|sort| sort.as_str()?.split('#').next()?.parse().ok());
            Ok::<_, StoreError>(ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
        });
        let firsts = futures_util::future::try_join_all(firsts).await?;
        Ok(firsts.into_iter().flatten().min())
    }

    /// A page of a tenant's deadlines of some states that are due in a period, by when they are due, and where the next
    /// begins.
    pub(crate) async fn list_deadlines(
        &self,
        tenant: &TenantId,
        states: &[DeadlineState],
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        limit: usize,
        after: Option<&str>,
    ) -> Result<(Vec<Deadline>, Option<String>), StoreError> {
        let shards = 0..DEADLINE_SHARDS;
        let partitions = states.iter().flat_map(|state| shards.clone().map(|s| deadlines(tenant, *state, s)));
        let query = Query {
            index: Index::ByParent,
            // The least text above the last one.
            from: after.map(|last| format!("{last}\u{1}")).or_else(|| from.map(keys::millis)),
            // Before `to`: a sort key goes on after the instant's own text.
            to: to.map(keys::millis),
            ..keys::partition(String::new(), limit, None)
        };
        let found =
            shards::merged(self.table.as_ref(), partitions, &query, Index::ByParent.attributes().1).await?;
        let next = found.last().filter(|_| found.len() == limit).map(|(sort, _, _)| sort.clone());
        let keys: Vec<Key> = found.into_iter().map(|(_, key, _)| key).collect();
        let items = self.table.get_many(&keys).await?;
        Ok((items.into_iter().flatten().map(from_item).collect::<Result<_, _>>()?, next))
    }

    /// The latest events that remind of a deadline, those of its newest form first; a moment old.
    pub(crate) async fn reminder_events(
        &self,
        tenant: &TenantId,
        id: &DeadlineId,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        let partition = reminders_of(tenant, id);
        let query =
            Query { index: Index::ByParent, descending: true, ..keys::partition(partition, limit, None) };
        let page = self.table.query(&query).await?;
        let ids = page.items.iter().filter_map(|(key, _)| keys::deadlines::event_of(key));
        Ok(ids.collect())
    }
}
