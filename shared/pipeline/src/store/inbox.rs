//! The in-app feed as it lies in the table: a recipient's items and, beside them, the head, which counts the unread ones.
//! fan-out and sweep-due put items here; `inbox_marks.rs` changes them, `inbox.rs` shows them.
//!
//! Everything can be marked read at the cost of one write, however long the feed is: the head counts its *epochs*, each
//! ended by a read-all, and an item whose mark is of an earlier epoch is read. So every write that counts an item as
//! unread, or not, holds for one epoch only and is checked against the head's.

use carillon_domain::delivery::{ReceiptAt, ReceiptKind};
use carillon_domain::{
    Delivery, EventType, Origin, Priority, RecipientKey, Rendered, State, TenantId, Timestamp,
};
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};

use super::deliveries::{change, delivery_item};
use super::forgotten::net;
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::deliver::ended;
use crate::ports::{Check, Item, StoreError, TransactError, Write};

/// How often a write to the feed is tried again because a read-all came between. A reader cannot ask for one so often.
const EPOCH_TRIES: usize = 8;

/// An item of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxItem {
    /// The delivery that put it there.
    pub id: carillon_domain::DeliveryId,
    /// One line.
    pub title: String,
    /// The text.
    pub body: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The delivery's priority.
    pub priority: Priority,
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
    /// Where a click leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_url: Option<String>,
    /// When it was put there.
    #[serde(with = "ms")]
    pub created_at: Timestamp,
    /// When it was marked read by itself; [`InboxItem::read_at`] knows of read-alls too.
    #[serde(rename = "read_at", default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub marked_read_at: Option<Timestamp>,
    /// The epoch in which it arrived, or was last marked unread.
    #[serde(default, skip_serializing_if = "is_first")]
    pub epoch: i64,
    /// When it was put away; then it is in no list and in no count.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub archived_at: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(epoch: &i64) -> bool {
    *epoch == 0
}

impl InboxItem {
    /// When it was read; none while it is unread.
    #[must_use]
    pub fn read_at(&self, head: &InboxHead) -> Option<Timestamp> {
        // What is put away stays as it was.
        let ended = self.epoch < head.epoch && self.archived_at.is_none();
        self.marked_read_at.or_else(|| head.read_all_at.filter(|_| ended))
    }
}

/// The head of a feed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxHead {
    /// How many items are unread.
    #[serde(default)]
    pub unread: i64,
    /// Grows with every change of the feed.
    #[serde(default)]
    pub version: i64,
    /// How often everything was marked read.
    #[serde(default)]
    pub epoch: i64,
    /// When that was last done.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub read_all_at: Option<Timestamp>,
}

/// The stored epoch is still this one. The first is not written.
pub(super) fn in_epoch(epoch: i64) -> Check {
    if is_first(&epoch) { Check::Missing("epoch") } else { Check::Equals("epoch", epoch.into()) }
}

impl Pipeline {
    /// Stores an in-app delivery together with its item and the unread count. Answers the delivery that was there
    /// before, if there was one; then nothing is changed. `head`: the feed's, perhaps a moment old.
    pub(crate) async fn put_in_app(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        message: &Rendered,
        head: &InboxHead,
    ) -> Result<Option<Delivery>, StoreError> {
        let made = Write::Put {
            key: keys::delivery(tenant, &delivery.id),
            item: delivery_item(tenant, delivery)?,
            only_if: vec![Check::Absent],
        };
        match self.put_in_feed(tenant, made, delivery, message, head.epoch).await? {
            Put::Done => Ok(None),
            Put::Not(Some(found)) => Ok(Some(from_item(found)?)),
            Put::Not(None) => Err(StoreError::Conflict(None)),
        }
    }

    /// Puts an in-app delivery that was held into the feed, as it goes on from there. Answers whether it was still held.
    pub(crate) async fn put_held_in_app(
        &self,
        tenant: &TenantId,
        held: &Delivery,
        next: &Delivery,
        message: &Rendered,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let mut delivered = ended(next, State::Delivered, now);
        delivered.rev = held.rev + 1;
        delivered.receipts.insert(ReceiptKind::Delivered, ReceiptAt(now));
        let moved = change(tenant, held, &delivered)?;
        let epoch = self.inbox_head(tenant, held.id.recipient()).await?.epoch;
        let put = self.put_in_feed(tenant, moved, &delivered, message, epoch).await?;
        Ok(matches!(put, Put::Done))
    }

    /// One transaction: the delivery, its item, and one more that is unread.
    async fn put_in_feed(
        &self,
        tenant: &TenantId,
        delivery_write: Write,
        delivery: &Delivery,
        message: &Rendered,
        mut epoch: i64,
    ) -> Result<Put, StoreError> {
        for _ in 0..EPOCH_TRIES {
            let [item, unread] = feed_writes(tenant, delivery, message, epoch)?;
            match self.table.transact(vec![delivery_write.clone(), item, unread]).await {
                Ok(()) => return Ok(Put::Done),
                // The head, which says its epoch.
                Err(TransactError::Conflict { at: 2, found }) => {
                    epoch = found.map(from_item::<InboxHead>).transpose()?.unwrap_or_default().epoch;
                }
                Err(TransactError::Conflict { found, .. }) => return Ok(Put::Not(found)),
                Err(TransactError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("a feed was marked read again and again".to_owned()))
    }

    /// The head of a recipient's feed, as of now.
    pub async fn inbox_head(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
    ) -> Result<InboxHead, StoreError> {
        let head = self.table.get(&keys::inbox(tenant, recipient)).await?.map(from_item).transpose()?;
        Ok(head.unwrap_or_default())
    }

    /// The heads of several feeds, in their order; a moment old.
    pub(crate) async fn inbox_heads(
        &self,
        tenant: &TenantId,
        recipients: impl Iterator<Item = &RecipientKey>,
    ) -> Result<Vec<InboxHead>, StoreError> {
        let keys: Vec<_> = recipients.map(|recipient| keys::inbox(tenant, recipient)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let heads = self.table.get_many(&keys).await?.into_iter();
        heads.map(|head| head.map_or_else(|| Ok(InboxHead::default()), from_item)).collect()
    }

    /// A page of a recipient's feed, the newest first, and where the next begins; each item with the cursor behind it.
    pub(crate) async fn inbox_page(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<(String, InboxItem)>, Option<String>), StoreError> {
        if after.as_ref().is_some_and(|cursor| !cursor.starts_with("I#")) {
            return Err(StoreError::BadCursor);
        }
        let page = self.table.query(&keys::inbox_items(tenant, recipient, limit, after)).await?;
        let items = page.items.into_iter().map(|(key, item)| Ok((key.sk().to_owned(), from_item(item)?)));
        Ok((items.collect::<Result<_, StoreError>>()?, page.next))
    }
}

/// What became of putting something into the feed.
enum Put {
    Done,
    /// The delivery was not as its write needs it: this is how it is.
    Not(Option<Item>),
}

/// A delivery's item of the feed, and one more that is unread.
fn feed_writes(
    tenant: &TenantId,
    delivery: &Delivery,
    message: &Rendered,
    epoch: i64,
) -> Result<[Write; 2], StoreError> {
    let Rendered::InApp { title, body, action_url } = message else {
        return Err(StoreError::Refused("only an in-app message goes to the feed".to_owned()));
    };
    let item = InboxItem {
        id: delivery.id.clone(),
        title: title.clone(),
        body: body.clone(),
        event_type: delivery.event_type.clone(),
        priority: delivery.priority,
        origin: Origin::of(delivery.category),
        action_url: action_url.clone(),
        created_at: delivery.in_feed_since(),
        marked_read_at: None,
        epoch,
        archived_at: None,
    };
    let (person, mut item) = (delivery.id.recipient(), to_item(&item)?);
    item.extend([net(delivery.in_feed_since())]);
    Ok([
        Write::Put {
            key: keys::inbox_item(tenant, person, delivery.in_feed_since(), delivery.id.event()),
            item,
            only_if: Vec::new(),
        },
        head_write(tenant, person, epoch, 1),
    ])
}

/// A change of the feed by which so many more items are unread.
pub(super) fn head_write(tenant: &TenantId, person: &RecipientKey, epoch: i64, unread: i64) -> Write {
    Write::Update {
        key: keys::inbox(tenant, person),
        set: Vec::new(),
        add: vec![("unread".to_owned(), unread), ("version".to_owned(), 1)],
        remove: Vec::new(),
        only_if: vec![in_epoch(epoch)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_read_by_its_own_mark_or_by_a_later_read_all() {
        let at = |s: i64| Timestamp::from_second(s).unwrap();
        let item: InboxItem = serde_json::from_value(serde_json::json!({
            "id": "aaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaaaa-i", "title": "t", "body": "b", "type": "order.created",
            "priority": "normal", "created_at": 10_000
        }))
        .unwrap();
        assert_eq!((item.origin, item.epoch), (Origin::User, 0), "as items were before there were epochs");
        let fresh = InboxHead::default();
        let ended = InboxHead { epoch: 1, read_all_at: Some(at(20)), ..fresh.clone() };
        assert_eq!(item.read_at(&fresh), None);
        assert_eq!(item.read_at(&ended), Some(at(20)));
        let marked = InboxItem { marked_read_at: Some(at(15)), ..item.clone() };
        assert_eq!(marked.read_at(&ended), Some(at(15)));
        let unread_again = InboxItem { epoch: 1, ..item };
        assert_eq!(unread_again.read_at(&ended), None);
    }
}
