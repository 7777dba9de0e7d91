//! What failed, of all tenants, in the order of time: a sparse, sharded index of keys, so that a failure costs no write
//! of its own. Deliveries and dead letters put themselves into it; failure-notices reads it each minute.

use carillon_domain::{TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Index, Item, Query, StoreError, Write};

/// The type of the event that tells a tenant about its failures. Its own deliveries are not in the index when they
/// fail: telling of them the same way would never end.
pub const SEND_FAILED: &str = "message.send_failed";

/// How many entries one page has.
const PAGE: usize = 1_000;

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// When.
    pub(crate) at: Timestamp,
    /// Whose.
    pub(crate) tenant: TenantId,
    /// The id of a delivery, or of a dead letter.
    pub(crate) id: String,
}

/// Until when a tenant has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureNotice {
    /// The last failure that it was told of.
    #[serde(with = "ms")]
    pub(crate) told_until: Timestamp,
    /// When it was told.
    #[serde(with = "ms")]
    pub(crate) told_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct LookedAt {
    #[serde(with = "ms")]
    until: Timestamp,
}

/// Where a failure stands in the index: partition and sort key.
pub(crate) fn place(tenant: &TenantId, at: Timestamp, id: &str) -> (String, String) {
    let shard = keys::shard(id, keys::FAILURE_SHARDS);
    (keys::lookups::failed(shard), format!("{}#{tenant}#{id}", keys::millis(at)))
}

fn failure(item: &Item) -> Option<Failure> {
    let mut parts = item.get(Index::Attention.attributes().1)?.as_str()?.splitn(3, '#');
    let at = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
    Some(Failure { at, tenant: parts.next()?.parse().ok()?, id: parts.next()?.to_owned() })
}

impl Pipeline {
    /// A page of one shard's failures from an instant on, the earliest first, and where the next begins.
    pub(crate) async fn failures(
        &self,
        shard: u8,
        from: Timestamp,
        after: Option<String>,
    ) -> Result<(Vec<Failure>, Option<String>), StoreError> {
        let query = Query {
            index: Index::Attention,
            from: Some(keys::millis(from)),
            ..keys::partition(keys::lookups::failed(shard), PAGE, after)
        };
        let page = self.table.query(&query).await?;
        Ok((page.items.iter().filter_map(|(_, item)| failure(item)).collect(), page.next))
    }

    /// Up to when failures have been looked at; none when they never were.
    pub(crate) async fn failures_looked_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let item = self.table.get(&keys::lookups::failures_looked_at()).await?;
        Ok(item.map(from_item::<LookedAt>).transpose()?.map(|looked| looked.until))
    }

    /// Records up to when failures have been looked at.
    pub(crate) async fn put_failures_looked_at(&self, until: Timestamp) -> Result<(), StoreError> {
        let key = keys::lookups::failures_looked_at();
        let item = to_item(&LookedAt { until })?;
        self.table.write(Write::Put { key, item, only_if: Vec::new() }).await.map(drop)
    }

    /// Until when a tenant has been told; none when it never was.
    pub(crate) async fn failure_notice(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<FailureNotice>, StoreError> {
        self.table.get(&keys::failure_notice(tenant)).await?.map(from_item).transpose()
    }

    /// Records until when a tenant has been told, unless somebody else did since `before` was read.
    pub(crate) async fn put_failure_notice(
        &self,
        tenant: &TenantId,
        before: Option<&FailureNotice>,
        notice: &FailureNotice,
    ) -> Result<(), StoreError> {
        let only_if = match before {
            Some(before) => {
                vec![Check::Equals("told_until", before.told_until.as_millisecond().into())]
            }
            None => vec![Check::Absent],
        };
        let write = Write::Put { key: keys::failure_notice(tenant), item: to_item(notice)?, only_if };
        match self.table.write(write).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
