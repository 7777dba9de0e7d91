//! The lists of kill switches: one for each tenant, and one switch for the whole deployment. Read by planning and at the
//! last look before each call; a function remembers them for two seconds.

use std::sync::Arc;

use carillon_domain::switch::{Stoppable, stop};
use carillon_domain::{Switch, SwitchMode, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Key, StoreError, Write};

/// A stored list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchList {
    /// The switches.
    #[serde(default)]
    pub switches: Vec<Switch>,
}

/// Everything that may stop a tenant's deliveries.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// The deployment's.
    pub global: Arc<SwitchList>,
    /// The tenant's.
    pub own: Arc<SwitchList>,
}

impl Switches {
    /// All of them, the deployment's first.
    pub fn iter(&self) -> impl Iterator<Item = &Switch> {
        self.global.switches.iter().chain(&self.own.switches)
    }

    /// How they stop something; none when they let it go.
    #[must_use]
    pub fn stop(&self, what: Stoppable<'_>) -> Option<SwitchMode> {
        stop(self.iter(), what)
    }
}

impl Pipeline {
    /// What may stop a tenant's deliveries, at most two seconds old.
    pub async fn switches(&self, tenant: &TenantId) -> Result<Switches, StoreError> {
        let (global, own) = (self.switch_list(None), self.switch_list(Some(tenant)));
        let (global, own) = futures_util::future::try_join(global, own).await?;
        Ok(Switches { global, own })
    }

    async fn switch_list(&self, tenant: Option<&TenantId>) -> Result<Arc<SwitchList>, StoreError> {
        // When the reading began, not when it ended: a slow read must not be remembered for longer.
        let now = self.now();
        if let Some(list) = self.remembered.switches.get(&tenant.cloned(), now) {
            return Ok(list);
        }
        let stored = self.table.get(&list_key(tenant)).await?.map(from_item).transpose()?;
        Ok(self.remembered.switches.put(tenant.cloned(), stored.unwrap_or_default(), now))
    }

    /// A list as of now; the deployment's without a tenant.
    pub(crate) async fn stored_switches(&self, tenant: Option<&TenantId>) -> Result<SwitchList, StoreError> {
        let stored = self.table.get(&list_key(tenant)).await?.map(from_item).transpose()?;
        Ok(stored.unwrap_or_default())
    }

    /// Replaces a list; the deployment's without a tenant.
    pub(crate) async fn put_switches(
        &self,
        tenant: Option<&TenantId>,
        list: &SwitchList,
    ) -> Result<(), StoreError> {
        let write = Write::Put { key: list_key(tenant), item: to_item(list)?, only_if: Vec::new() };
        self.table.write(write).await?;
        self.remembered.switches.forget(&tenant.cloned());
        Ok(())
    }
}

fn list_key(tenant: Option<&TenantId>) -> Key {
    tenant.map_or_else(keys::lookups::global_switch, keys::switches)
}
