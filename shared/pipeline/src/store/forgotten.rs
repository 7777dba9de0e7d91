//! What is left of things that nobody may read any more: events whose words are taken out, feed items that go with the
//! count they were part of, and up to which days a tenant's log has been cleared. For `cleanup.rs` and `erase.rs`.

use std::collections::BTreeMap;

use carillon_domain::forget::ERASED;
use carillon_domain::{Channel, Delivery, Event, EventId, StateKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::inbox_marks::Mark;
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::{Check, Key, StoreError, Write};

/// DynamoDB removes by itself what nobody has removed by so many days after the longest time that a tenant can keep it.
const NET_DAYS: i64 = 30;

/// When DynamoDB removes something by itself that was of use until an instant: the attribute that says so, in seconds.
pub(crate) fn net(at: Timestamp) -> (String, serde_json::Value) {
    let days = i64::from(carillon_domain::Retention::MOST) + NET_DAYS;
    let gone = plus(at, jiff::SignedDuration::from_hours(24 * days));
    ("expires_s".to_owned(), gone.as_second().into())
}

/// The first day that each number of days has not looked at yet.
pub(crate) type Marks = BTreeMap<i64, i64>;

#[derive(Default, Serialize, Deserialize)]
struct Cleared {
    marks: Marks,
}

impl Pipeline {
    /// Up to which days a tenant's log has been cleared.
    pub(crate) async fn cleared(&self, tenant: &TenantId) -> Result<Marks, StoreError> {
        let stored: Option<Cleared> =
            self.table.get(&keys::cleared(tenant)).await?.map(from_item).transpose()?;
        Ok(stored.unwrap_or_default().marks)
    }

    /// Notes it. Two runs note the same, or the one that is behind makes the next look again at days that are empty.
    pub(crate) async fn put_cleared(&self, tenant: &TenantId, marks: Marks) -> Result<(), StoreError> {
        let item = to_item(&Cleared { marks })?;
        self.table.write(Write::Put { key: keys::cleared(tenant), item, only_if: Vec::new() }).await.map(drop)
    }

    /// Stores what is left of an event.
    pub(crate) async fn put_forgotten(&self, tenant: &TenantId, event: &Event) -> Result<(), StoreError> {
        let mut event = event.clone();
        event.extensions = std::mem::take(&mut event.input.extensions);
        let mut item = to_item(&event)?;
        let names = ["input", "extensions", "forgotten"];
        let set: Vec<_> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), item.remove(*name)?))).collect();
        let is_set = |name: &str| set.iter().any(|(set, _)| set == name);
        let remove = names.iter().filter(|name| !is_set(name)).map(|name| (*name).to_owned()).collect();
        let key = keys::event(tenant, &event.id);
        let write = Write::Update { key, set, add: Vec::new(), remove, only_if: vec![Check::Present] };
        match self.table.write(write).await {
            // It is gone altogether.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the feed item of a delivery; one that was unread is not counted any more. Answers whether there was one.
    pub(crate) async fn remove_from_feed(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<bool, StoreError> {
        let shown = [StateKind::Delivered, StateKind::Read].contains(&delivery.state.kind());
        let person = delivery.id.recipient();
        if delivery.channel != Channel::InApp || !shown {
            return Ok(false);
        }
        let Some(found) = self.inbox_item(tenant, person, &delivery.id).await? else { return Ok(false) };
        if found.item.archived_at.is_none() && found.item.read_at(&found.head).is_none() {
            self.mark_in_inbox(tenant, person, &delivery.id, Mark::Archived).await?;
        }
        let (since, event) = (delivery.in_feed_since(), delivery.id.event());
        let here = keys::inbox_item(tenant, person, since, event);
        self.delete_all(vec![here, keys::archived_inbox_item(tenant, person, since, event)]).await?;
        Ok(true)
    }

    /// Takes the words out of a delivery's feed item, if there is one with such words in it. It stays where it is, and read
    /// or unread.
    pub(crate) async fn erase_from_feed(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        is_to_go: impl Fn(&str) -> bool + Send,
    ) -> Result<(), StoreError> {
        let person = delivery.id.recipient();
        let Some(found) = self.inbox_item(tenant, person, &delivery.id).await? else { return Ok(()) };
        let words = [Some(&found.item.title), Some(&found.item.body), found.item.action_url.as_ref()];
        if !words.into_iter().flatten().any(|text| is_to_go(text)) {
            return Ok(());
        }
        let (since, event) = (delivery.in_feed_since(), delivery.id.event());
        let here = keys::inbox_item(tenant, person, since, event);
        for key in [here, keys::archived_inbox_item(tenant, person, since, event)] {
            let write = Write::Update {
                key,
                set: ["title", "body"].map(|name| (name.to_owned(), ERASED.into())).into(),
                add: Vec::new(),
                remove: vec!["action_url".to_owned()],
                only_if: vec![Check::Present],
            };
            match self.table.write(write).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes what is kept of an event, and at last the event itself: its deliveries are gone.
    pub(crate) async fn remove_event(&self, tenant: &TenantId, id: &EventId) -> Result<(), StoreError> {
        let own = keys::event(tenant, id);
        let mut after = None;
        loop {
            let page = self.table.query(&keys::everything_of_event(tenant, id, after)).await?;
            let rest = page.items.into_iter().map(|(key, _)| key).filter(|key| *key != own);
            self.delete_all(rest.collect()).await?;
            after = page.next;
            if after.is_none() {
                return self.delete_all(vec![own]).await;
            }
        }
    }

    /// Removes items by their keys.
    pub(crate) async fn delete_all(&self, keys: Vec<Key>) -> Result<(), StoreError> {
        let writes = keys.into_iter().map(|key| Write::Delete { key, only_if: Vec::new() }).collect();
        self.table.write_each(writes).await.into_iter().try_for_each(|gone| gone.map(drop))
    }
}
