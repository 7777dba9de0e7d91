//! The counters of a tenant: one item for each place and shard, whose numbers only grow or shrink. `statistics.rs` writes
//! them, `stats.rs` and budgets read them.

use carillon_domain::TenantId;
use carillon_domain::counters::{Counters, Counts, Place};
use futures_util::future::try_join_all;

use super::keys;
use crate::context::Pipeline;
use crate::ports::{StoreError, Write};

/// What adds counts to a counter.
pub(crate) fn counter_write(tenant: &TenantId, shard: u8, place: &Place, counts: &Counts) -> Write {
    Write::Update {
        key: keys::counter(tenant, shard, place),
        set: Vec::new(),
        add: counts.iter().map(|(name, n)| (name.to_owned(), n)).collect(),
        remove: Vec::new(),
        only_if: Vec::new(),
    }
}

impl Pipeline {
    /// The counters of some days, the first and the last included.
    pub(crate) async fn counters(&self, tenant: &TenantId, days: (i64, i64)) -> Result<Counters, StoreError> {
        let shards = (0..keys::COUNTER_SHARDS).map(|shard| self.counters_of_shard(tenant, shard, days));
        let mut all = Counters::default();
        for of_shard in try_join_all(shards).await? {
            for (place, counts) in of_shard {
                all.add(place, &counts);
            }
        }
        Ok(all)
    }

    async fn counters_of_shard(
        &self,
        tenant: &TenantId,
        shard: u8,
        days: (i64, i64),
    ) -> Result<Vec<(Place, Counts)>, StoreError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.table.query(&keys::counters(tenant, shard, days, after)).await?;
            for (key, item) in page.items {
                let Some(place) = keys::counted_place(&key) else { continue };
                let mut counts = Counts::default();
                for (name, value) in item {
                    counts.add(name, value.as_i64().unwrap_or(0));
                }
                found.push((place, counts));
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}
