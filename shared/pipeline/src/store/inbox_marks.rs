//! What readers do with their feed: read, unread, archive, and all read at once. Each is one transaction of the item, the
//! head that counts, and the delivery that is read with it, so the count is exact whoever calls at the same time.

use carillon_domain::delivery::{ReceiptAt, ReceiptKind};
use carillon_domain::{Channel, Delivery, DeliveryId, RecipientKey, State, StateKind, TenantId, Timestamp};
use futures_util::future::try_join;

use super::deliveries::change;
use super::inbox::{InboxHead, InboxItem, head_write, in_epoch};
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Key, StoreError, TransactError, Write};

/// How often a mark is tried again because the item, the head or the delivery was changed at the same time.
const TRIES: usize = 16;

/// How many deliveries a read-all moves to `read`, the newest first; those of older items stay `delivered`.
const READ_WITH_ALL: usize = 100;

/// What a reader does with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Has read it.
    Read,
    /// Wants it to look new again. Its delivery stays read.
    Unread,
    /// Puts it away.
    Archived,
}

/// An item with the head of its feed.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The item.
    pub item: InboxItem,
    /// The head, by which it is read or not.
    pub head: InboxHead,
}

impl Pipeline {
    /// An item of a recipient's feed, also one that was put away; none of another recipient's.
    pub async fn inbox_item(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        id: &DeliveryId,
    ) -> Result<Option<Shown>, StoreError> {
        let Some(delivery) = self.feed_delivery(tenant, recipient, id).await? else { return Ok(None) };
        Ok(self.found_in_feed(tenant, &delivery).await?.map(|(_, shown)| shown))
    }

    async fn feed_delivery(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        id: &DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        if id.recipient() != recipient || id.channel() != Channel::InApp {
            return Ok(None);
        }
        self.delivery(tenant, id).await
    }

    /// The item of a delivery, with its key.
    async fn found_in_feed(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<Option<(Key, Shown)>, StoreError> {
        let (person, since, event) = (delivery.id.recipient(), delivery.in_feed_since(), delivery.id.event());
        let here = keys::inbox_item(tenant, person, since, event);
        let away = keys::archived_inbox_item(tenant, person, since, event);
        let (found, head) = try_join(self.table.get(&here), self.inbox_head(tenant, person)).await?;
        // After the first look, so that what is put away meanwhile is found there: it never comes back.
        let (key, item) = match found {
            Some(item) => (here, item),
            None => match self.table.get(&away).await? {
                Some(item) => (away, item),
                None => return Ok(None),
            },
        };
        Ok(Some((key, Shown { item: from_item(item)?, head })))
    }

    /// Marks an item. Repeating it changes nothing. None when the recipient has no such item.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it was put away, which only another archiving fits.
    pub async fn mark_in_inbox(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        id: &DeliveryId,
        mark: Mark,
    ) -> Result<Option<Shown>, StoreError> {
        for _ in 0..TRIES {
            let Some(delivery) = self.feed_delivery(tenant, recipient, id).await? else { return Ok(None) };
            let Some((key, shown)) = self.found_in_feed(tenant, &delivery).await? else { return Ok(None) };
            let unread = shown.item.read_at(&shown.head).is_none();
            match (mark, shown.item.archived_at.is_some()) {
                (Mark::Archived, true) => return Ok(Some(shown)),
                (_, true) => return Err(StoreError::Conflict(None)),
                (Mark::Read, false) if !unread => return Ok(Some(shown)),
                (Mark::Unread, false) if unread => return Ok(Some(shown)),
                _ => {}
            }
            let (writes, after) = self.mark_writes(tenant, key, &delivery, shown, mark)?;
            match self.table.transact(writes).await {
                Ok(()) => return Ok(Some(after)),
                // Something was changed meanwhile, perhaps by this very write, repeated: look again.
                Err(TransactError::Conflict { .. }) => {}
                Err(TransactError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("an item of a feed was changed again and again".to_owned()))
    }

    fn mark_writes(
        &self,
        tenant: &TenantId,
        key: Key,
        delivery: &Delivery,
        shown: Shown,
        mark: Mark,
    ) -> Result<(Vec<Write>, Shown), StoreError> {
        let (now, Shown { item, mut head }) = (self.now(), shown);
        let as_found = vec![
            Check::Present,
            in_epoch(item.epoch),
            item.marked_read_at
                .map_or(Check::Missing("read_at"), |at| Check::Equals("read_at", at.as_millisecond().into())),
        ];
        let was_unread = item.read_at(&head).is_none();
        let mut after = item;
        let mut writes = Vec::with_capacity(3);
        let change_of_unread = match mark {
            Mark::Read => {
                after.marked_read_at = Some(now);
                writes.push(put(key, &after, as_found)?);
                writes.extend(read_write(tenant, delivery, now)?);
                -1
            }
            Mark::Unread => {
                after.marked_read_at = None;
                after.epoch = head.epoch;
                writes.push(put(key, &after, as_found)?);
                1
            }
            Mark::Archived => {
                // Read or not as it was: no later read-all counts for what is put away.
                after.marked_read_at = after.read_at(&head);
                after.archived_at = Some(now);
                let (person, event) = (delivery.id.recipient(), delivery.id.event());
                let away = keys::archived_inbox_item(tenant, person, delivery.in_feed_since(), event);
                writes.push(Write::Delete { key, only_if: as_found });
                writes.push(put(away, &after, Vec::new())?);
                -i64::from(was_unread)
            }
        };
        writes.push(head_write(tenant, delivery.id.recipient(), head.epoch, change_of_unread));
        head.unread += change_of_unread;
        head.version += 1;
        Ok((writes, Shown { item: after, head }))
    }

    /// Marks everything in a feed read, by one write whatever its length. What arrives later is unread.
    pub async fn read_all(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
    ) -> Result<InboxHead, StoreError> {
        let before = self.inbox_head(tenant, recipient).await?;
        if before.unread == 0 {
            return Ok(before);
        }
        let now = self.now();
        let write = Write::Update {
            key: keys::inbox(tenant, recipient),
            set: vec![
                ("unread".to_owned(), 0.into()),
                ("read_all_at".to_owned(), now.as_millisecond().into()),
            ],
            add: vec![("epoch".to_owned(), 1), ("version".to_owned(), 1)],
            remove: Vec::new(),
            only_if: vec![Check::Present],
        };
        let after: InboxHead = from_item(self.table.write(write).await?)?;
        self.read_newest(tenant, recipient, &before, now).await?;
        Ok(after)
    }

    /// Moves the deliveries of the newest items that were unread to `read`.
    async fn read_newest(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        before: &InboxHead,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (items, _) = self.inbox_page(tenant, recipient, READ_WITH_ALL, None).await?;
        let unread = items.iter().filter(|(_, item)| item.read_at(before).is_none());
        let ids: Vec<DeliveryId> = unread.map(|(_, item)| item.id.clone()).collect();
        let deliveries = self.deliveries(tenant, &ids).await?;
        let changes = deliveries.into_iter().filter_map(|before| {
            let after = read(&before, now)?;
            Some((before, after))
        });
        for saved in self.save_deliveries(tenant, changes.collect()).await {
            // Overtaken: whoever moved it knew what it was.
            saved?;
        }
        Ok(())
    }
}

fn put(key: Key, item: &InboxItem, only_if: Vec<Check>) -> Result<Write, StoreError> {
    Ok(Write::Put { key, item: to_item(item)?, only_if })
}

/// A delivery that its reader has read; none when it is read already, or not in the feed at all.
fn read(delivery: &Delivery, now: Timestamp) -> Option<Delivery> {
    if delivery.state.kind() != StateKind::Delivered {
        return None;
    }
    let mut after = delivery.clone();
    after.state = State::Read;
    after.changed_at = now;
    after.receipts.insert(ReceiptKind::Read, ReceiptAt(now));
    Some(after)
}

fn read_write(tenant: &TenantId, delivery: &Delivery, now: Timestamp) -> Result<Option<Write>, StoreError> {
    let Some(mut after) = read(delivery, now) else { return Ok(None) };
    after.rev = delivery.rev + 1;
    change(tenant, delivery, &after).map(Some)
}
