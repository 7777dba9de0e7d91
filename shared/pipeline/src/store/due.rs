//! The index of due work, over all tenants: what sweep-due has to look at and when. Deliveries put themselves into it; an
//! event is put into it when it could not be queued.

use carillon_domain::{DeliveryId, EventId, TenantId, Timestamp};

use super::keys;
use crate::context::Pipeline;
use crate::ports::{Index, Item, Query, StoreError, Write};

/// What sweep-due has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DueWork {
    /// A delivery whose wait is over.
    Delivery(DeliveryId),
    /// An event that could not be queued.
    Event(EventId),
}

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
        Err(_) => DueWork::Event(id.to_owned().try_into().ok()?),
    };
    Some((tenant, work))
}

impl Pipeline {
    /// Notes an event that could not be queued, for sweep-due.
    pub(crate) async fn put_unqueued_event(&self, tenant: &TenantId, id: &EventId) -> Result<(), StoreError> {
        let (pk, sk) = Index::Attention.attributes();
        let shard = keys::shard(id.as_str(), keys::DUE_SHARDS);
        let sort = format!("{}#{tenant}#{id}", keys::millis(self.now()));
        let item = [(pk.to_owned(), keys::lookups::due(shard).into()), (sk.to_owned(), sort.into())];
        let key = keys::unqueued_event(tenant, id);
        self.table
            .write(Write::Put { key, item: item.into_iter().collect(), only_if: Vec::new() })
            .await
            .map(drop)
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

    /// Work of all tenants that was due by an instant: some of one shard, the longest due first.
    pub(crate) async fn due_work(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, DueWork)>, StoreError> {
        let query = Query {
            index: Index::Attention,
            to: Some(format!("{}#~", keys::millis(until))),
            ..keys::partition(keys::lookups::due(shard), limit, None)
        };
        let page = self.table.query(&query).await?;
        Ok(page.items.iter().filter_map(|(_, item)| due_work(item)).collect())
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
