//! The in-app feed: a recipient's items and, beside them, how many are unread.

use carillon_domain::{Delivery, EventType, Priority, RecipientKey, Rendered, State, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};

use super::deliveries::{change, delivery_item};
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::deliver::ended;
use crate::ports::{Check, StoreError, TransactError, Write};

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
    /// Where a click leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_url: Option<String>,
    /// When it was put there.
    #[serde(with = "ms")]
    pub created_at: Timestamp,
    /// When it was read.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub read_at: Option<Timestamp>,
}

#[derive(Default, Serialize, Deserialize)]
struct InboxHead {
    #[serde(default)]
    unread: i64,
}

impl Pipeline {
    /// Stores an in-app delivery together with its item and the unread count. Answers the delivery that was there
    /// before, if there was one; then nothing is changed.
    pub(crate) async fn put_in_app(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        message: &Rendered,
    ) -> Result<Option<Delivery>, StoreError> {
        let [item, unread] = feed_writes(tenant, delivery, message)?;
        let made = Write::Put {
            key: keys::delivery(tenant, &delivery.id),
            item: delivery_item(tenant, delivery)?,
            only_if: vec![Check::Absent],
        };
        match self.table.transact(vec![made, item, unread]).await {
            Ok(()) => Ok(None),
            Err(TransactError::Conflict { found: Some(found), .. }) => Ok(Some(from_item(found)?)),
            Err(TransactError::Conflict { found: None, .. }) => Err(StoreError::Conflict(None)),
            Err(TransactError::Store(error)) => Err(error),
        }
    }

    /// Puts an in-app delivery that was held into the feed. Answers whether it was still held.
    pub(crate) async fn put_held_in_app(
        &self,
        tenant: &TenantId,
        held: &Delivery,
        message: &Rendered,
    ) -> Result<bool, StoreError> {
        let [item, unread] = feed_writes(tenant, held, message)?;
        let mut delivered = ended(held, State::Delivered, self.now());
        delivered.rev += 1;
        let moved = change(tenant, held, &delivered)?;
        match self.table.transact(vec![moved, item, unread]).await {
            Ok(()) => Ok(true),
            Err(TransactError::Conflict { .. }) => Ok(false),
            Err(TransactError::Store(error)) => Err(error),
        }
    }

    /// A page of a recipient's feed, the newest first, and where the next begins.
    pub async fn inbox(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<InboxItem>, Option<String>), StoreError> {
        if after.as_ref().is_some_and(|cursor| !cursor.starts_with("I#")) {
            return Err(StoreError::BadCursor);
        }
        let page = self.table.query(&keys::inbox_items(tenant, recipient, limit, after)).await?;
        let items = page.items.into_iter().map(|(_, item)| from_item(item));
        Ok((items.collect::<Result<_, _>>()?, page.next))
    }

    /// How many items of a recipient's feed are unread.
    pub async fn unread_count(&self, tenant: &TenantId, recipient: &RecipientKey) -> Result<i64, StoreError> {
        let head: Option<InboxHead> =
            self.table.get(&keys::inbox(tenant, recipient)).await?.map(from_item).transpose()?;
        Ok(head.unwrap_or_default().unread)
    }
}

/// A delivery's item of the feed, and one more that is unread.
fn feed_writes(tenant: &TenantId, delivery: &Delivery, message: &Rendered) -> Result<[Write; 2], StoreError> {
    let Rendered::InApp { title, body, action_url } = message else {
        return Err(StoreError::Refused("only an in-app message goes to the feed".to_owned()));
    };
    let item = InboxItem {
        id: delivery.id.clone(),
        title: title.clone(),
        body: body.clone(),
        event_type: delivery.event_type.clone(),
        priority: delivery.priority,
        action_url: action_url.clone(),
        created_at: delivery.created_at,
        read_at: None,
    };
    let person = delivery.id.recipient();
    Ok([
        Write::Put {
            key: keys::inbox_item(tenant, person, delivery.created_at, delivery.id.event()),
            item: to_item(&item)?,
            only_if: Vec::new(),
        },
        Write::Update {
            key: keys::inbox(tenant, person),
            set: Vec::new(),
            add: vec![("unread".to_owned(), 1)],
            remove: Vec::new(),
            only_if: Vec::new(),
        },
    ])
}
