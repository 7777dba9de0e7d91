//! Keys of what lets a recipient's messages wait: room that is taken, and digests. All lie beside the recipient.

use carillon_domain::{Category, DigestMark, EventId, RecipientKey, TenantId, Timestamp};

use super::{key, millis, partition, person};
use crate::ports::{Key, Query};

/// What is taken of a recipient's room for a category.
pub(crate) fn throttle(tenant: &TenantId, recipient: &RecipientKey, category: Category) -> Key {
    key(person(tenant, recipient), format!("THROTTLE#{}", category.as_str()))
}

/// The end of the window of a group that is open.
pub(crate) fn digest_head(tenant: &TenantId, recipient: &RecipientKey, group: &str) -> Key {
    key(person(tenant, recipient), format!("DIGEST#{group}"))
}

/// An event that belongs to a digest. Of those that were accepted in the same millisecond the first that joined is first.
pub(crate) fn digest_member(
    tenant: &TenantId,
    recipient: &RecipientKey,
    mark: &DigestMark,
    (accepted_at, joined): (Timestamp, u32),
    event: &EventId,
) -> Key {
    let place = format!("{}#{joined:08}", millis(accepted_at));
    key(person(tenant, recipient), format!("{}M#{place}#{event}", digest(mark)))
}

/// The events of a digest, in order.
pub(crate) fn digest_members(
    tenant: &TenantId,
    recipient: &RecipientKey,
    mark: &DigestMark,
    after: Option<String>,
) -> Query {
    let start = digest(mark);
    Query {
        from: Some(format!("{start}M#")),
        to: Some(format!("{start}M#~")),
        ..partition(person(tenant, recipient), 100, after)
    }
}

/// The event of a digest's member.
pub(crate) fn digest_member_id(key: &Key) -> Option<EventId> {
    key.sk.rsplit_once('#')?.1.to_owned().try_into().ok()
}

/// Events of a digest that one delivery tells of.
pub(crate) fn digest_closing(
    tenant: &TenantId,
    recipient: &RecipientKey,
    mark: &DigestMark,
    number: u32,
) -> Key {
    key(person(tenant, recipient), format!("{}C#{number}", digest(mark)))
}

fn digest(mark: &DigestMark) -> String {
    format!("DIGEST#{}#{}#", mark.group, millis(mark.ends_at))
}
