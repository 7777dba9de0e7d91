//! Deliveries. Each write says which write it follows (`rev`), so two workers never both win, and only what changed is
//! written.

use carillon_domain::state::{FORCED_REVIVALS, REVIVALS};
use carillon_domain::{Delivery, DeliveryId, EventId, HeldReason, State, StateKind, TenantId, Timestamp};

use super::failures::{self, SEND_FAILED};
use super::forgotten::net;
use super::{from_item, keys, shards, to_item};
use crate::context::Pipeline;
use crate::deliver::plus;
use crate::pace::HANDED_AHEAD;
use crate::ports::{Check, Index, Item, Key, Query, StoreError, Write};

/// What became of a write that follows another.
#[derive(Debug)]
pub enum Saved {
    /// It is stored.
    Done(Box<Delivery>),
    /// Somebody else wrote first: this is what they left.
    Overtaken(Box<Delivery>),
}

/// The item of a delivery, with its places in the indexes.
pub(crate) fn delivery_item(tenant: &TenantId, delivery: &Delivery) -> Result<Item, StoreError> {
    let mut item = to_item(delivery)?;
    item.extend([net(delivery.expires_at)]);
    let id = &delivery.id;
    let mut place = |index: Index, partition: String, sort: String| {
        let (pk, sk) = index.attributes();
        item.insert(pk.to_owned(), partition.into());
        item.insert(sk.to_owned(), sort.into());
    };
    let reader = format!("{}#{}", id.recipient(), id.channel().letter());
    let list = if delivery.spread {
        keys::spread_deliveries_of(
            tenant,
            id.event(),
            keys::shard(id.recipient().as_str(), keys::EVENT_SHARDS),
        )
    } else {
        keys::deliveries_of(tenant, id.event())
    };
    place(Index::ByParent, list, reader);
    let shard = keys::shard(id.recipient().as_str(), keys::DAY_SHARDS);
    let day = keys::day(tenant, keys::Logged::Deliveries, keys::day_of(delivery.created_at), shard);
    place(Index::ByDay, day, format!("{}#{id}", keys::millis(delivery.created_at)));
    if let Some(due) = due_at(delivery) {
        let shard = keys::shard(id.recipient().as_str(), keys::DUE_SHARDS);
        place(Index::Attention, keys::lookups::due(shard), format!("{}#{tenant}#{id}", keys::millis(due)));
    } else if delivery.state.kind() == StateKind::Failed && delivery.event_type.as_str() != SEND_FAILED {
        let (partition, sort) = failures::place(tenant, delivery.changed_at, &id.to_string());
        place(Index::Attention, partition, sort);
    }
    Ok(item)
}

/// When sweep-due has to look at a delivery; none while a queue message or a receipt moves it.
fn due_at(delivery: &Delivery) -> Option<Timestamp> {
    let waiting = waiting_until(delivery);
    match (waiting, delivery.fallback_at) {
        (Some(waiting), Some(fallback)) => Some(waiting.min(fallback)),
        (waiting, fallback) => waiting.or(fallback),
    }
}

fn waiting_until(delivery: &Delivery) -> Option<Timestamp> {
    match delivery.state.kind() {
        // Handed over before its slot, and waited for in the queue.
        StateKind::Held if delivery.state == State::Held(HeldReason::Pacing) => {
            let handed = delivery.held_until.map(|slot| plus(slot, -HANDED_AHEAD));
            Some(handed.map_or(delivery.expires_at, |at| at.min(delivery.expires_at)))
        }
        StateKind::Held => {
            Some(delivery.held_until.map_or(delivery.expires_at, |until| until.min(delivery.expires_at)))
        }
        StateKind::Retrying => {
            Some(delivery.retry_at.map_or(delivery.expires_at, |at| at.min(delivery.expires_at)))
        }
        // Queued by the sweep, which looks again in case that message was lost.
        StateKind::Pending => delivery.retry_at,
        // Of a second call and later the message may be gone with another worker; of the first it comes again.
        StateKind::Sending if delivery.calls > 1 => delivery.lease_until,
        StateKind::InDoubt if !delivery.state.is_settled() => delivery.retry_at.or(Some(delivery.expires_at)),
        _ => None,
    }
}

/// Refuses a move that the table of moves does not have: a fault of ours must not be stored.
fn legal(before: &Delivery, after: &Delivery) -> Result<(), StoreError> {
    let (from, to) = (before.state.kind(), after.state.kind());
    let may_be_revived = REVIVALS.contains(&from) || FORCED_REVIVALS.contains(&from);
    let revived = after.revived != before.revived && to == StateKind::Pending && may_be_revived;
    if from == to || from.may_become(to) || revived {
        return Ok(());
    }
    Err(StoreError::Refused(format!("a delivery cannot go from {from} to {to}")))
}

/// The update that turns one form of a delivery into the next.
pub(super) fn change(tenant: &TenantId, before: &Delivery, after: &Delivery) -> Result<Write, StoreError> {
    let (old, new) = (delivery_item(tenant, before)?, delivery_item(tenant, after)?);
    let remove = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
    let set = new.into_iter().filter(|(name, value)| old.get(name) != Some(value)).collect();
    let only_if = vec![Check::Equals("rev", before.rev.into())];
    Ok(Write::Update { key: keys::delivery(tenant, &before.id), set, add: Vec::new(), remove, only_if })
}

impl Pipeline {
    /// Creates deliveries that do not exist. Answers, in their order, the one that was there before, if any.
    pub(crate) async fn create_deliveries(
        &self,
        tenant: &TenantId,
        deliveries: &[&Delivery],
    ) -> Result<Vec<Option<Delivery>>, StoreError> {
        let mut writes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let key = keys::delivery(tenant, &delivery.id);
            writes.push(Write::Put {
                key,
                item: delivery_item(tenant, delivery)?,
                only_if: vec![Check::Absent],
            });
        }
        let mut found = Vec::with_capacity(deliveries.len());
        for answer in self.table.write_each(writes).await {
            found.push(match answer {
                Ok(_) => None,
                Err(StoreError::Conflict(Some(item))) => Some(from_item(item)?),
                Err(error) => return Err(error),
            });
        }
        Ok(found)
    }

    /// Writes changed deliveries, each only if nobody wrote it since. Answers in their order.
    pub(crate) async fn save_deliveries(
        &self,
        tenant: &TenantId,
        changes: Vec<(Delivery, Delivery)>,
    ) -> Vec<Result<Saved, StoreError>> {
        let mut writes = Vec::with_capacity(changes.len());
        let mut wanted = Vec::with_capacity(changes.len());
        for (before, mut after) in changes {
            after.rev = before.rev + 1;
            match legal(&before, &after).and_then(|()| change(tenant, &before, &after)) {
                Ok(write) => {
                    writes.push(write);
                    wanted.push(Ok(after));
                }
                Err(error) => wanted.push(Err(error)),
            }
        }
        let mut answers = self.table.write_each(writes).await.into_iter();
        wanted
            .into_iter()
            .map(|wanted| {
                let wanted = wanted?;
                match answers.next() {
                    Some(Ok(_)) => Ok(Saved::Done(Box::new(wanted))),
                    Some(Err(StoreError::Conflict(Some(found)))) => overtaken(wanted, found),
                    Some(Err(error)) => Err(error),
                    None => Err(StoreError::Unavailable("a write was not answered".to_owned())),
                }
            })
            .collect()
    }

    /// Writes one changed delivery, only if nobody wrote it since.
    pub(crate) async fn save_delivery(
        &self,
        tenant: &TenantId,
        before: Delivery,
        after: Delivery,
    ) -> Result<Saved, StoreError> {
        let mut saved = self.save_deliveries(tenant, vec![(before, after)]).await;
        saved.pop().unwrap_or_else(|| Err(StoreError::Unavailable("a write was not answered".to_owned())))
    }

    /// A delivery, as of now.
    pub async fn delivery(&self, tenant: &TenantId, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.table.get(&keys::delivery(tenant, id)).await?.map(from_item).transpose()
    }

    /// Several deliveries, in the order of their ids; a moment old.
    pub async fn deliveries(
        &self,
        tenant: &TenantId,
        ids: &[DeliveryId],
    ) -> Result<Vec<Delivery>, StoreError> {
        let keys: Vec<_> = ids.iter().map(|id| keys::delivery(tenant, id)).collect();
        self.table.get_many(&keys).await?.into_iter().flatten().map(from_item).collect()
    }

    /// A page of an event's deliveries, and where the next begins.
    pub async fn deliveries_of(
        &self,
        tenant: &TenantId,
        event: &EventId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<Delivery>, Option<String>), StoreError> {
        let (ids, next) = self.delivery_ids_of(tenant, event, limit, after).await?;
        Ok((self.deliveries(tenant, &ids).await?, next))
    }

    pub(crate) async fn delivery_ids_of(
        &self,
        tenant: &TenantId,
        event: &EventId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<DeliveryId>, Option<String>), StoreError> {
        if self.cut_of(tenant, event).await?.is_none() {
            let partition = keys::deliveries_of(tenant, event);
            let query = Query { index: Index::ByParent, ..keys::partition(partition, limit, after) };
            let page = self.table.query(&query).await?;
            let ids = page.items.iter().filter_map(|(key, _)| keys::delivery_id(key)).collect();
            return Ok((ids, page.next));
        }
        let partitions = spread(tenant, event);
        let query = Query {
            index: Index::ByParent,
            // The least text above the last one.
            from: after.map(|last| format!("{last}\u{1}")),
            ..keys::partition(String::new(), limit, None)
        };
        let found =
            shards::merged(self.table.as_ref(), partitions, &query, Index::ByParent.attributes().1).await?;
        let next = found.last().filter(|_| found.len() == limit).map(|(sort, _, _)| sort.clone());
        Ok((found.iter().filter_map(|(_, key, _)| keys::delivery_id(key)).collect(), next))
    }

    /// Shows all deliveries of an event, in no order: an ordered reading of a large one would read its partitions
    /// again and again.
    pub(crate) async fn each_delivery_of(
        &self,
        tenant: &TenantId,
        event: &EventId,
        mut show: impl FnMut(Delivery) + Send,
    ) -> Result<(), StoreError> {
        let partitions = match self.cut_of(tenant, event).await? {
            None => vec![keys::deliveries_of(tenant, event)],
            Some(_) => spread(tenant, event).collect(),
        };
        for partition in partitions {
            let mut after = None;
            loop {
                let (keys, next) = self.delivery_keys(&partition, after).await?;
                let items = self.table.get_many(&keys).await?;
                for item in items.into_iter().flatten() {
                    show(from_item(item)?);
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// How many deliveries a large event has.
    pub(crate) async fn count_deliveries_of(
        &self,
        tenant: &TenantId,
        event: &EventId,
    ) -> Result<u32, StoreError> {
        let mut count = 0;
        for partition in spread(tenant, event) {
            let mut after = None;
            loop {
                let (keys, next) = self.delivery_keys(&partition, after).await?;
                count += u32::try_from(keys.len()).unwrap_or(u32::MAX);
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(count)
    }

    /// Some keys of a partition of an event's list, and where the next begin.
    async fn delivery_keys(
        &self,
        partition: &str,
        after: Option<String>,
    ) -> Result<(Vec<Key>, Option<String>), StoreError> {
        let query = Query { index: Index::ByParent, ..keys::partition(partition.to_owned(), 1_000, after) };
        let page = self.table.query(&query).await?;
        Ok((page.items.into_iter().map(|(key, _)| key).collect(), page.next))
    }

    /// One day of a tenant's log, the newest first: the sort keys (`<milliseconds>#<id>`) below a bound.
    pub(crate) async fn log_day(
        &self,
        tenant: &TenantId,
        what: keys::Logged,
        day: i64,
        limit: usize,
        below: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        let partitions = (0..keys::DAY_SHARDS).map(|shard| keys::day(tenant, what, day, shard));
        let query = Query {
            index: Index::ByDay,
            to: below.map(str::to_owned),
            descending: true,
            // One more, because the bound itself is included and dropped below.
            limit: limit + 1,
            ..keys::partition(String::new(), limit + 1, None)
        };
        let found =
            shards::merged(self.table.as_ref(), partitions, &query, Index::ByDay.attributes().1).await?;
        let sort_keys =
            found.into_iter().map(|(sort, _, _)| sort).filter(|sort| Some(sort.as_str()) != below);
        Ok(sort_keys.take(limit).collect())
    }
}

/// The partitions of a large event's list.
fn spread(tenant: &TenantId, event: &EventId) -> impl Iterator<Item = String> {
    (0..keys::EVENT_SHARDS).map(|shard| keys::spread_deliveries_of(tenant, event, shard))
}

/// A conflict with one's own write, repeated by the client library after its answer was lost, is no conflict.
fn overtaken(wanted: Delivery, found: Item) -> Result<Saved, StoreError> {
    let found: Delivery = from_item(found)?;
    if found == wanted { Ok(Saved::Done(Box::new(wanted))) } else { Ok(Saved::Overtaken(Box::new(found))) }
}
