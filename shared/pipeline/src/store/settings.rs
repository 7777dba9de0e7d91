//! What a tenant has settled for everybody: the preferences of those who said nothing.

use std::sync::Arc;

use carillon_domain::{Preferences, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{StoreError, Write};

/// A tenant's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What those want who said nothing.
    #[serde(default)]
    pub preferences: Preferences,
}

impl Pipeline {
    /// A tenant's settings, at most a moment old.
    pub async fn settings(&self, tenant: &TenantId) -> Result<Arc<Settings>, StoreError> {
        if let Some(settings) = self.remembered.settings.get(tenant, self.now()) {
            return Ok(settings);
        }
        let stored = self.table.get(&keys::settings(tenant)).await?.map(from_item).transpose()?;
        Ok(self.remembered.settings.put(tenant.clone(), stored.unwrap_or_default(), self.now()))
    }

    /// Stores a tenant's settings.
    pub async fn put_settings(&self, tenant: &TenantId, settings: &Settings) -> Result<(), StoreError> {
        let write = Write::Put { key: keys::settings(tenant), item: to_item(settings)?, only_if: Vec::new() };
        self.table.write(write).await?;
        self.remembered.settings.forget(tenant);
        Ok(())
    }
}
