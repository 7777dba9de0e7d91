//! The keys of a recipient's feed, for [`super`]: beside everything else about that person.

use super::{EventId, Index, Key, Query, RecipientKey, TenantId, Timestamp, key, millis, person};

/// An item of a recipient's feed.
pub(crate) fn inbox_item(tenant: &TenantId, recipient: &RecipientKey, at: Timestamp, event: &EventId) -> Key {
    key(person(tenant, recipient), format!("I#{}#{event}", millis(at)))
}

/// An item that was put away; no list reads it.
pub(crate) fn archived_inbox_item(
    tenant: &TenantId,
    recipient: &RecipientKey,
    at: Timestamp,
    event: &EventId,
) -> Key {
    key(person(tenant, recipient), format!("AWAY#{}#{event}", millis(at)))
}

/// The feed's head: its unread count.
pub(crate) fn inbox(tenant: &TenantId, recipient: &RecipientKey) -> Key {
    key(person(tenant, recipient), "INBOX")
}

/// The newest items of a feed.
pub(crate) fn inbox_items(
    tenant: &TenantId,
    recipient: &RecipientKey,
    limit: usize,
    after: Option<String>,
) -> Query {
    Query {
        index: Index::Table,
        partition: person(tenant, recipient),
        from: Some("I#".to_owned()),
        to: Some("I#~".to_owned()),
        descending: true,
        limit,
        after,
    }
}
