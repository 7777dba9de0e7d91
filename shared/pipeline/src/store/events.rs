//! Accepted events. An event's item never changes; what became of it is an item beside it.

use carillon_domain::{Event, EventId, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use super::forgotten::net;
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::parts::{Cut, Part};
use crate::ports::{Check, Index, Item, StoreError, Write};

/// What became of storing an event.
#[derive(Debug)]
pub enum PutEvent {
    /// It is stored.
    New,
    /// There is one by that id already.
    Existing(Box<Event>),
}

/// What planning an event came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlan {
    /// When fan-out was complete.
    #[serde(with = "ms")]
    pub planned_at: Timestamp,
    /// How many deliveries there are.
    pub planned: u32,
    /// What was wrong with the audience: groups and recipients that a route names and nobody made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Pipeline {
    /// Makes an event durable, unless there is one by its id.
    pub async fn put_event(&self, tenant: &TenantId, event: &Event) -> Result<PutEvent, StoreError> {
        let mut item = to_item(event)?;
        let (pk, sk) = Index::ByDay.attributes();
        let shard = keys::shard(event.id.as_str(), keys::DAY_SHARDS);
        let day = keys::day_of(event.accepted_at);
        item.insert(pk.to_owned(), keys::day(tenant, keys::Logged::Events, day, shard).into());
        item.insert(sk.to_owned(), format!("{}#{}", keys::millis(event.accepted_at), event.id).into());
        item.extend([net(event.first_due_at())]);
        if let Some(of) = &event.reminder {
            let (pk, sk) = Index::ByParent.attributes();
            item.insert(pk.to_owned(), keys::deadlines::reminders_of(tenant, &of.deadline).into());
            item.insert(sk.to_owned(), format!("{}#{}", keys::millis(event.accepted_at), event.id).into());
        }
        let write = Write::Put { key: keys::event(tenant, &event.id), item, only_if: vec![Check::Absent] };
        match self.table.write(write).await {
            Ok(_) => Ok(PutEvent::New),
            Err(StoreError::Conflict(Some(found))) => Ok(PutEvent::Existing(Box::new(from_item(found)?))),
            Err(error) => Err(error),
        }
    }

    /// An event.
    pub async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<Option<Event>, StoreError> {
        let event: Option<Event> =
            self.table.get(&keys::event(tenant, id)).await?.map(from_item).transpose()?;
        Ok(event.map(restored))
    }

    /// Several events, in the order of their ids.
    pub async fn events(&self, tenant: &TenantId, ids: &[EventId]) -> Result<Vec<Option<Event>>, StoreError> {
        let keys: Vec<_> = ids.iter().map(|id| keys::event(tenant, id)).collect();
        let items = self.table.get_many(&keys).await?;
        items.into_iter().map(|item| Ok(item.map(from_item).transpose()?.map(restored))).collect()
    }

    /// What planning an event came to; none while it is not complete.
    pub async fn event_plan(&self, tenant: &TenantId, id: &EventId) -> Result<Option<EventPlan>, StoreError> {
        self.table.get(&keys::event_plan(tenant, id)).await?.map(from_item).transpose()
    }

    /// How far an event is: its plan, how its audience was cut, and whether it was taken back. A moment old.
    pub(crate) async fn event_progress(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<(Option<EventPlan>, Option<Cut>, bool), StoreError> {
        let keys =
            [keys::event_plan(tenant, id), keys::event_cut(tenant, id), keys::event_cancelled(tenant, id)];
        let mut items = self.table.get_many(&keys).await?.into_iter();
        let plan = items.next().flatten().map(from_item).transpose()?;
        let cut = items.next().flatten().map(from_item).transpose()?;
        Ok((plan, cut, items.next().flatten().is_some()))
    }

    /// Notes that a run of fan-out begins with an event. Answers whether none has before.
    pub(crate) async fn put_begun(&self, tenant: &TenantId, id: &EventId) -> Result<bool, StoreError> {
        let key = keys::event_begun(tenant, id);
        match self.table.write(Write::Put { key, item: Item::new(), only_if: vec![Check::Absent] }).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Into how many parts a large event's audience was cut; none while it is not, or when it is small.
    pub(crate) async fn cut_of(&self, tenant: &TenantId, id: &EventId) -> Result<Option<Cut>, StoreError> {
        self.table.get(&keys::event_cut(tenant, id)).await?.map(from_item).transpose()
    }

    /// Records the cutting. The first one stays.
    pub(crate) async fn put_cut(&self, tenant: &TenantId, id: &EventId, cut: &Cut) -> Result<(), StoreError> {
        self.put_first(Write::Put {
            key: keys::event_cut(tenant, id),
            item: to_item(cut)?,
            only_if: vec![Check::Absent],
        })
        .await
    }

    /// Whether a part is done.
    pub(crate) async fn part_is_done(
        &self,
        tenant: &TenantId,
        id: &EventId,
        part: &Part,
    ) -> Result<bool, StoreError> {
        let key = keys::event_part(tenant, id, &part.cutting, part.number);
        Ok(self.table.get(&key).await?.is_some())
    }

    /// Records that a part is done.
    pub(crate) async fn put_part_done(
        &self,
        tenant: &TenantId,
        id: &EventId,
        part: &Part,
    ) -> Result<(), StoreError> {
        let key = keys::event_part(tenant, id, &part.cutting, part.number);
        let item = std::iter::once(("v".to_owned(), 1.into())).collect();
        self.put_first(Write::Put { key, item, only_if: vec![Check::Absent] }).await
    }

    /// How many parts of a cutting are done.
    pub(crate) async fn parts_done(
        &self,
        tenant: &TenantId,
        id: &EventId,
        cutting: &str,
    ) -> Result<u32, StoreError> {
        let (mut done, mut after) = (0, None);
        loop {
            let page = self.table.query(&keys::event_parts(tenant, id, cutting, after)).await?;
            done += u32::try_from(page.items.len()).unwrap_or(u32::MAX);
            after = page.next;
            if after.is_none() {
                return Ok(done);
            }
        }
    }

    async fn put_first(&self, write: Write) -> Result<(), StoreError> {
        match self.table.write(write).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records that fan-out is complete. The first record stays.
    pub async fn put_event_plan(
        &self,
        tenant: &TenantId,
        id: &EventId,
        plan: &EventPlan,
    ) -> Result<(), StoreError> {
        let write = Write::Put {
            key: keys::event_plan(tenant, id),
            item: to_item(plan)?,
            only_if: vec![Check::Absent],
        };
        self.put_first(write).await
    }
}

/// Extensions are stored beside the input, because the input's own type takes no unknown fields from a producer.
fn restored(mut event: Event) -> Event {
    event.input.extensions = std::mem::take(&mut event.extensions);
    event
}
