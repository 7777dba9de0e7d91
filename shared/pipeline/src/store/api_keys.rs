//! API keys. Each is two items, written and removed together: one under the hash of the key, by which a caller is
//! known, and a record in its tenant's list. The key itself is stored nowhere.

use std::sync::Arc;

use carillon_domain::{ApiKey, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{StoreError, TransactError, Write};

/// A key as its tenant lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Everything but the key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// Where the other item lies; never shown.
    hash: String,
}

impl Pipeline {
    /// The key with this hash, at most a moment old.
    pub async fn api_key(&self, hash: &str) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let cached = hash.to_owned();
        if let Some(key) = self.remembered.keys.get(&cached, self.now()) {
            return Ok(Some(key));
        }
        let Some(item) = self.table.get(&keys::lookups::api_key(hash)).await? else { return Ok(None) };
        Ok(Some(self.remembered.keys.put(cached, from_item(item)?, self.now())))
    }

    /// Stores a key under its hash and in its tenant's list.
    pub async fn put_api_key(&self, hash: &str, key: &ApiKey) -> Result<(), StoreError> {
        let record = KeyRecord { key: key.clone(), hash: hash.to_owned() };
        let put = |key, item| Write::Put { key, item, only_if: Vec::new() };
        self.all_or_none(vec![
            put(keys::lookups::api_key(hash), to_item(key)?),
            put(keys::key_record(&key.tenant, &key.id), to_item(&record)?),
        ])
        .await?;
        self.remembered.keys.forget(&hash.to_owned());
        Ok(())
    }

    /// A page of a tenant's keys by id, and where the next begins.
    pub async fn api_keys(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<KeyRecord>, Option<String>), StoreError> {
        let page = self.table.query(&keys::partition(keys::key_records(tenant), limit, after)).await?;
        let records = page.items.into_iter().map(|(_, item)| from_item(item));
        Ok((records.collect::<Result<_, StoreError>>()?, page.next))
    }

    /// Removes a key of a tenant. Answers whether there was one. Other processes may take it for the moment that they
    /// remember it.
    pub async fn delete_api_key(&self, tenant: &TenantId, id: &str) -> Result<bool, StoreError> {
        let at = keys::key_record(tenant, id);
        let Some(item) = self.table.get(&at).await? else { return Ok(false) };
        let KeyRecord { hash, .. } = from_item(item)?;
        let delete = |key| Write::Delete { key, only_if: Vec::new() };
        self.all_or_none(vec![delete(at), delete(keys::lookups::api_key(&hash))]).await?;
        self.remembered.keys.forget(&hash);
        Ok(true)
    }

    async fn all_or_none(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.table.transact(writes).await.map_err(|error| match error {
            TransactError::Conflict { found, .. } => StoreError::Conflict(found),
            TransactError::Store(error) => error,
        })
    }
}
