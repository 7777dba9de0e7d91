//! The keys of what is counted: counters and credits, for [`super`].

use carillon_domain::TenantId;
use carillon_domain::counters::Place;

use super::{key, partition};
use crate::ports::{Key, Query};

/// How many shards a tenant's counters have: each shard of the table's stream writes into one of them.
pub(crate) const COUNTER_SHARDS: u8 = 8;

/// The counters of a place, in one shard; places sort by day.
pub(crate) fn counter(tenant: &TenantId, shard: u8, place: &Place) -> Key {
    key(format!("T#{tenant}#COUNTERS#{shard}"), place.to_string())
}

/// The counters of one shard from a day up to another, both included.
pub(crate) fn counters(
    tenant: &TenantId,
    shard: u8,
    (first, last): (i64, i64),
    after: Option<String>,
) -> Query {
    Query {
        from: Some(format!("{first:06}#")),
        to: Some(format!("{last:06}#~")),
        ..partition(format!("T#{tenant}#COUNTERS#{shard}"), 1_000, after)
    }
}

/// The place that a counter's key stands for.
pub(crate) fn counted_place(key: &Key) -> Option<Place> {
    key.sk.parse().ok()
}

/// A tenant's credits.
pub(crate) fn credits(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "CREDITS")
}

/// What bounds a tenant's spending.
pub(crate) fn bounds(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "BOUNDS")
}

/// The tenant of a delivery's item; none for whatever else.
pub(crate) fn tenant_of_delivery(key: &Key) -> Option<TenantId> {
    let tenant = key.pk.strip_prefix("T#")?.rsplit_once("#R#")?.0;
    key.sk.starts_with("D#").then(|| tenant.parse().ok())?
}
