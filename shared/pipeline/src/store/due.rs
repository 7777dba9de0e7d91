//! The index of due work, over all tenants: what sweep-due has to look at and when. Deliveries put themselves into it; an
//! event is put into it when it could not be queued.

use carillon_domain::{DeliveryId, EventId, TenantId, Timestamp};

use serde_json::Value;

use super::keys;
use crate::context::Pipeline;
use crate::ports::{Index, Item, Key, Query, StoreError, Write};

/// What sweep-due has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DueWork {
    /// A delivery whose wait is over.
    Delivery(DeliveryId),
    /// An event that could not be queued.
    Event(EventId),
    /// An event that more than one run of fan-out was at.
    Strays(EventId),
    /// A step of an event's escalation.
    Step(EventId, u32),
    /// A WhatsApp window that is about to close: the number, and the keyed hash of the address.
    Window(String, String),
}

/// What comes before the id of an event whose strays are looked for.
const STRAYS: &str = "strays";

/// The same of a step of an escalation, and of a window.
const STEP: &str = "step";
const WINDOW: &str = "window";

fn listed_due_at(item: &Item) -> Option<Timestamp> {
    let sort = item.get(Index::Attention.attributes().1)?.as_str()?;
    Timestamp::from_millisecond(sort.split('#').next()?.parse().ok()?).ok()
}

fn due_work(item: &Item) -> Option<(TenantId, DueWork)> {
    let sort = item.get(Index::Attention.attributes().1)?.as_str()?;
    let mut parts = sort.splitn(3, '#').skip(1);
    let (tenant, id) = (parts.next()?.parse().ok()?, parts.next()?);
    let work = match id.parse() {
        Ok(delivery) => DueWork::Delivery(delivery),
        Err(_) => match id.split_once(':') {
            Some((STRAYS, event)) => DueWork::Strays(event.to_owned().try_into().ok()?),
            Some((STEP, step)) => {
                let (event, number) = step.split_once(':')?;
                DueWork::Step(event.to_owned().try_into().ok()?, number.parse().ok()?)
            }
            Some((WINDOW, window)) => {
                let (number, address) = window.split_once(':')?;
                DueWork::Window(number.to_owned(), address.to_owned())
            }
            _ => DueWork::Event(id.to_owned().try_into().ok()?),
        },
    };
    Some((tenant, work))
}

/// The place of due work among that of all tenants; `id` spreads it over the shards.
fn place(tenant: &TenantId, id: &str, at: Timestamp, work: &str) -> [(String, Value); 2] {
    let (pk, sk) = Index::Attention.attributes();
    let shard = keys::shard(id, keys::DUE_SHARDS);
    let sort = format!("{}#{tenant}#{work}", keys::millis(at));
    [(pk.to_owned(), keys::lookups::due(shard).into()), (sk.to_owned(), sort.into())]
}

/// The place of a step of an event's escalation.
pub(super) fn step_place(
    tenant: &TenantId,
    event: &EventId,
    number: u32,
    at: Timestamp,
) -> [(String, Value); 2] {
    place(tenant, event.as_str(), at, &format!("{STEP}:{event}:{number}"))
}

/// The place of a window that somebody is to be told of.
pub(super) fn window_place(
    tenant: &TenantId,
    number: &str,
    address_hash: &str,
    at: Timestamp,
) -> [(String, Value); 2] {
    place(tenant, address_hash, at, &format!("{WINDOW}:{number}:{address_hash}"))
}

impl Pipeline {
    /// Notes an event that could not be queued, for sweep-due.
    pub(crate) async fn put_unqueued_event(&self, tenant: &TenantId, id: &EventId) -> Result<(), StoreError> {
        let sort = format!("{}#{tenant}#{id}", keys::millis(self.now()));
        self.put_due_note(keys::unqueued_event(tenant, id), id, sort).await
    }

    /// Notes that an event's deliveries are to be looked at again, for sweep-due.
    pub(crate) async fn put_strays(
        &self,
        tenant: &TenantId,
        id: &EventId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sort = format!("{}#{tenant}#{STRAYS}:{id}", keys::millis(at));
        self.put_due_note(keys::event_strays(tenant, id), id, sort).await
    }

    /// Forgets that an event's deliveries were to be looked at again.
    pub(crate) async fn delete_strays(&self, tenant: &TenantId, id: &EventId) -> Result<(), StoreError> {
        let key = keys::event_strays(tenant, id);
        self.table.write(Write::Delete { key, only_if: Vec::new() }).await.map(drop)
    }

    async fn put_due_note(&self, key: Key, id: &EventId, sort: String) -> Result<(), StoreError> {
        let (pk, sk) = Index::Attention.attributes();
        let shard = keys::shard(id.as_str(), keys::DUE_SHARDS);
        let item = [(pk.to_owned(), keys::lookups::due(shard).into()), (sk.to_owned(), sort.into())];
        let write = Write::Put { key, item: item.into_iter().collect(), only_if: Vec::new() };
        self.table.write(write).await.map(drop)
    }

    /// Forgets that an event could not be queued.
    pub(crate) async fn delete_unqueued_event(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<(), StoreError> {
        let key = keys::unqueued_event(tenant, id);
        self.table.write(Write::Delete { key, only_if: Vec::new() }).await.map(drop)
    }

    /// Work of all tenants that was due by an instant: some of one shard, the longest due first; and where the next of
    /// it begins, if there may be more.
    pub(crate) async fn due_work(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<(TenantId, DueWork)>, Option<String>), StoreError> {
        let query = Query {
            index: Index::Attention,
            to: Some(format!("{}#~", keys::millis(until))),
            ..keys::partition(keys::lookups::due(shard), limit, after)
        };
        let page = self.table.query(&query).await?;
        Ok((page.items.iter().filter_map(|(_, item)| due_work(item)).collect(), page.next))
    }

    /// When sweep-due has something to do next, of the due index or to tell a tenant of failures; it may be overdue.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let first = (0..keys::DUE_SHARDS).map(|shard| async move {
            let query =
                Query { index: Index::Attention, ..keys::partition(keys::lookups::due(shard), 1, None) };
            let page = self.table.query(&query).await?;
            Ok(page.items.first().and_then(|(_, item)| listed_due_at(item)))
        });
        let first: Vec<Option<Timestamp>> = futures_util::future::try_join_all(first).await?;
        let notice = self.next_failure_notice().await?;
        Ok(first.into_iter().flatten().chain(notice).min())
    }
}
