//! What has to wait because a provider said so: a channel of a tenant, or one address. Written when an error says it,
//! read at the last look before a call.

use carillon_domain::{Address, Channel, DeliveryId, HeldReason, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Item, Key, StoreError, Write};

/// That nothing is sent for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// What those wait for who meet it.
    pub reason: HeldReason,
    /// Until when.
    #[serde(with = "ms")]
    pub until: Timestamp,
}

impl Pipeline {
    /// The key of the pause of an address; none for the feed.
    pub(crate) fn address_pause_key(&self, tenant: &TenantId, channel: Channel, to: &Address) -> Option<Key> {
        Some(keys::address_pause(tenant, channel, &self.address_hash(tenant, channel, to)?))
    }

    /// The pause of a channel, or of one address of it, as stored. One that is over counts for nothing.
    pub(crate) fn paused(item: Option<Item>, now: Timestamp) -> Result<Option<Paused>, StoreError> {
        let paused: Option<Paused> = item.map(from_item).transpose()?;
        Ok(paused.filter(|paused| paused.until > now))
    }

    /// Lets a channel, or one address of it, wait. A pause is not made shorter by a later, shorter one.
    pub(crate) async fn put_pause(
        &self,
        tenant: &TenantId,
        channel: Channel,
        whom: Option<&Address>,
        reason: HeldReason,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let key = match whom {
            None => keys::channel_pause(tenant, channel),
            Some(to) => match self.address_pause_key(tenant, channel, to) {
                Some(key) => key,
                None => return Ok(()),
            },
        };
        let longer = Self::paused(self.table.get(&key).await?, self.now())?.is_some_and(|p| p.until >= until);
        if longer {
            return Ok(());
        }
        let item = to_item(&Paused { reason, until })?;
        self.table.write(Write::Put { key, item, only_if: Vec::new() }).await.map(drop)
    }

    /// Lets a channel send again: its configuration has changed.
    pub(crate) async fn end_pause(&self, tenant: &TenantId, channel: Channel) -> Result<(), StoreError> {
        let key = keys::channel_pause(tenant, channel);
        self.table.write(Write::Delete { key, only_if: Vec::new() }).await.map(drop)
    }

    /// Counts a message that met nobody at an address, once. Answers how many there have been.
    pub(crate) async fn add_unreachable(
        &self,
        tenant: &TenantId,
        channel: Channel,
        to: &Address,
        delivery: &DeliveryId,
    ) -> Result<u32, StoreError> {
        let Some(hash) = self.address_hash(tenant, channel, to) else { return Ok(0) };
        let key = keys::unreachable(tenant, channel, &hash);
        let last = serde_json::json!(delivery);
        let known = self.table.get(&key).await?;
        let count = |item: &Item| item.get("count").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if let Some(known) = known.as_ref().filter(|item| item.get("last") == Some(&last)) {
            return Ok(u32::try_from(count(known)).unwrap_or(u32::MAX));
        }
        let only_if = match known.as_ref().and_then(|item| item.get("last")) {
            Some(before) => vec![Check::Equals("last", before.clone())],
            None => vec![Check::Missing("last")],
        };
        let write = Write::Update {
            key,
            set: vec![("last".to_owned(), last)],
            add: vec![("count".to_owned(), 1)],
            remove: Vec::new(),
            only_if,
        };
        match self.table.write(write).await {
            Ok(item) | Err(StoreError::Conflict(Some(item))) => {
                Ok(u32::try_from(count(&item)).unwrap_or(u32::MAX))
            }
            Err(StoreError::Conflict(None)) => Ok(0),
            Err(error) => Err(error),
        }
    }
}
