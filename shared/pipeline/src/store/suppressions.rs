//! The suppression list: addresses that may not be sent to. An address itself is not stored, only a keyed hash of it.

use carillon_domain::{Address, Channel, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Index, Key, Query, StoreError, Write};

/// An address that may not be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// A keyed hash of the address, after the channel: `email-...`.
    pub id: String,
    /// On which channel.
    pub channel: Channel,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    #[serde(with = "ms")]
    pub created_at: Timestamp,
}

impl Pipeline {
    /// The keyed hash of an address that stands for it in keys; none for the feed, which has none.
    pub(crate) fn address_hash(
        &self,
        tenant: &TenantId,
        channel: Channel,
        address: &Address,
    ) -> Option<String> {
        // Mailboxes are compared without regard to case, as mail systems do.
        let text = match address {
            Address::Email(email) => email.to_ascii_lowercase(),
            Address::Phone(text) | Address::Bsuid(text) => text.clone(),
            Address::Feed => return None,
        };
        Some(self.hash_key.hash(&["suppression", tenant.as_str(), channel.as_str(), &text]))
    }

    fn suppression_of(
        &self,
        tenant: &TenantId,
        channel: Channel,
        address: &Address,
    ) -> Option<(String, Key)> {
        let hash = self.address_hash(tenant, channel, address)?;
        Some((format!("{channel}-{hash}"), keys::suppression(tenant, channel, &hash)))
    }

    /// Which of these addresses are suppressed, in their order.
    pub(crate) async fn suppressed(
        &self,
        tenant: &TenantId,
        addresses: &[(Channel, Address)],
    ) -> Result<Vec<bool>, StoreError> {
        let named: Vec<Option<Key>> =
            addresses.iter().map(|(c, a)| self.suppression_of(tenant, *c, a).map(|(_, key)| key)).collect();
        let keys: Vec<Key> = named.iter().flatten().cloned().collect();
        if keys.is_empty() {
            return Ok(vec![false; addresses.len()]);
        }
        let mut found = self.table.get_many(&keys).await?.into_iter();
        Ok(named.iter().map(|key| key.is_some() && found.next().flatten().is_some()).collect())
    }

    /// Suppresses an address. Answers the entry; none for the feed, which has no address. The first reason stays.
    pub async fn suppress(
        &self,
        tenant: &TenantId,
        channel: Channel,
        address: &Address,
        reason: &str,
    ) -> Result<Option<Suppression>, StoreError> {
        let Some((id, key)) = self.suppression_of(tenant, channel, address) else { return Ok(None) };
        let entry = Suppression { id, channel, reason: reason.to_owned(), created_at: self.now() };
        let mut item = to_item(&entry)?;
        let (pk, sk) = Index::ByParent.attributes();
        item.insert(pk.to_owned(), keys::suppressions(tenant).into());
        item.insert(sk.to_owned(), entry.id.clone().into());
        match self.table.write(Write::Put { key, item, only_if: vec![Check::Absent] }).await {
            Ok(_) => Ok(Some(entry)),
            Err(StoreError::Conflict(Some(found))) => Ok(Some(from_item(found)?)),
            Err(error) => Err(error),
        }
    }

    /// Takes an address off the list. Answers whether it was on it.
    pub async fn unsuppress(&self, tenant: &TenantId, id: &str) -> Result<bool, StoreError> {
        let Some((channel, hash)) = id.split_once('-') else { return Ok(false) };
        let Ok(channel) = channel.parse::<Channel>() else { return Ok(false) };
        let write =
            Write::Delete { key: keys::suppression(tenant, channel, hash), only_if: vec![Check::Present] };
        match self.table.write(write).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes an address off the list if it is there for this reason.
    pub(crate) async fn unsuppress_for(
        &self,
        tenant: &TenantId,
        channel: Channel,
        address: &Address,
        reason: &str,
    ) -> Result<(), StoreError> {
        let Some((_, key)) = self.suppression_of(tenant, channel, address) else { return Ok(()) };
        let write = Write::Delete { key, only_if: vec![Check::Equals("reason", reason.into())] };
        match self.table.write(write).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A page of a tenant's suppression list, and where the next begins.
    pub async fn suppressions(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<Suppression>, Option<String>), StoreError> {
        let query =
            Query { index: Index::ByParent, ..keys::partition(keys::suppressions(tenant), limit, after) };
        let page = self.table.query(&query).await?;
        let keys: Vec<Key> = page.items.into_iter().map(|(key, _)| key).collect();
        let items = self.table.get_many(&keys).await?;
        Ok((items.into_iter().flatten().map(from_item).collect::<Result<_, _>>()?, page.next))
    }
}
