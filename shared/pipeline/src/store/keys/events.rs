//! The keys of an event and of what became of it, for [`super`]: all in one partition, beside the list of its deliveries.

use super::{EventId, Key, Query, TenantId, key, partition};

/// How many partitions the list of a large event's deliveries has: 16,000 writes a second.
pub(crate) const EVENT_SHARDS: u8 = 16;

/// An accepted event; it never changes.
pub(crate) fn event(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "EVENT")
}

/// What became of an event: there is one once it has been planned.
pub(crate) fn event_plan(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "PLAN")
}

/// What became of an event, with the event itself.
pub(crate) fn everything_of_event(tenant: &TenantId, id: &EventId, after: Option<String>) -> Query {
    partition(format!("T#{tenant}#E#{id}"), 100, after)
}

/// That an event was taken back.
pub(crate) fn event_cancelled(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "CANCELLED")
}

/// That a run of fan-out has begun with an event.
pub(crate) fn event_begun(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "BEGUN")
}

/// A note that an event's deliveries are to be looked at again.
pub(crate) fn event_strays(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "STRAYS")
}

/// A step of an event's escalation, from 1.
pub(crate) fn event_step(tenant: &TenantId, id: &EventId, number: u32) -> Key {
    key(format!("T#{tenant}#E#{id}"), format!("STEP#{number:02}"))
}

/// That an event was acknowledged.
pub(crate) fn event_acknowledged(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "ACKNOWLEDGED")
}

/// A note that an event is stored and could not be queued.
pub(crate) fn unqueued_event(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "UNQUEUED")
}

/// The list of an event's deliveries.
pub(crate) fn deliveries_of(tenant: &TenantId, event: &EventId) -> String {
    format!("T#{tenant}#E#{event}")
}

/// One partition of the list of a large event's deliveries.
pub(crate) fn spread_deliveries_of(tenant: &TenantId, event: &EventId, shard: u8) -> String {
    format!("T#{tenant}#E#{event}#{shard}")
}

/// That a large event's audience was cut into parts.
pub(crate) fn event_cut(tenant: &TenantId, id: &EventId) -> Key {
    key(format!("T#{tenant}#E#{id}"), "CUT")
}

/// That a part of a cutting is done.
pub(crate) fn event_part(tenant: &TenantId, id: &EventId, cutting: &str, number: u32) -> Key {
    key(format!("T#{tenant}#E#{id}"), format!("PART#{cutting}#{number:08}"))
}

/// The parts of a cutting that are done.
pub(crate) fn event_parts(tenant: &TenantId, id: &EventId, cutting: &str, after: Option<String>) -> Query {
    Query {
        from: Some(format!("PART#{cutting}#")),
        to: Some(format!("PART#{cutting}#~")),
        ..partition(format!("T#{tenant}#E#{id}"), 1_000, after)
    }
}
