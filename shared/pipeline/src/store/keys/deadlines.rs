//! The keys of deadlines and of the policies by which people are reminded of them, for [`super`].

use carillon_domain::{DeadlineId, DeadlineState, EventId, Lane, PolicyName, TenantId};

use super::{Key, key};

/// How many partitions a tenant's deadlines of a state have, and each of its lanes: 8,000 writes a second.
pub(crate) const DEADLINE_SHARDS: u8 = 8;

/// A deadline.
pub(crate) fn deadline(tenant: &TenantId, id: &DeadlineId) -> Key {
    key(reminders_of(tenant, id), "DEADLINE")
}

/// The list of the events that remind of a deadline.
pub(crate) fn reminders_of(tenant: &TenantId, id: &DeadlineId) -> String {
    format!("T#{tenant}#DL#{id}")
}

/// One shard of the list of a tenant's deadlines of a state.
pub(crate) fn deadlines(tenant: &TenantId, state: DeadlineState, shard: u8) -> String {
    format!("T#{tenant}#DEADLINES#{}#{shard}", state.as_str())
}

/// One shard of the deadlines of a lane that owe something.
pub(crate) fn owing(tenant: &TenantId, lane: &Lane, shard: u8) -> String {
    format!("T#{tenant}#REMIND#{lane}#{shard}")
}

/// Up to when a lane is planned.
pub(crate) fn lane(tenant: &TenantId, lane: &Lane) -> Key {
    key(lanes(tenant), lane.as_str())
}

/// The partition of a tenant's lanes.
pub(crate) fn lanes(tenant: &TenantId) -> String {
    format!("T#{tenant}#LANES")
}

/// The head of a reminder policy: its newest version.
pub(crate) fn policy(tenant: &TenantId, name: &PolicyName) -> Key {
    key(policies(tenant), name.as_str())
}

/// The partition of a tenant's reminder policies.
pub(crate) fn policies(tenant: &TenantId) -> String {
    format!("T#{tenant}#POLICIES")
}

/// One version of a reminder policy.
pub(crate) fn policy_version(tenant: &TenantId, name: &PolicyName, version: u32) -> Key {
    key(format!("T#{tenant}#POLICY#{name}"), format!("{version:010}"))
}

/// The event that a key read from the list of a deadline's reminders leads to.
pub(crate) fn event_of(key: &Key) -> Option<EventId> {
    key.pk.rsplit_once("#E#")?.1.to_owned().try_into().ok()
}
