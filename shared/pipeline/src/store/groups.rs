//! Groups, without who is in them: that is in [`super::members`].

use carillon_domain::{GroupName, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, name_of, to_item};
use crate::context::Pipeline;
use crate::ports::{StoreError, Write};

/// A group without its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Pipeline {
    /// A group, if there is one.
    pub async fn group(&self, tenant: &TenantId, name: &GroupName) -> Result<Option<Group>, StoreError> {
        self.table.get(&keys::group(tenant, name)).await?.map(from_item).transpose()
    }

    /// Which of these groups do not exist.
    pub async fn unknown_groups(
        &self,
        tenant: &TenantId,
        names: &[GroupName],
    ) -> Result<Vec<GroupName>, StoreError> {
        let keys: Vec<_> = names.iter().map(|name| keys::group(tenant, name)).collect();
        let items = self.get_many_surely(&keys).await?;
        Ok(names.iter().zip(items).filter(|(_, item)| item.is_none()).map(|(name, _)| name.clone()).collect())
    }

    /// Stores a group's head. Answers whether it is new.
    pub async fn put_group(
        &self,
        tenant: &TenantId,
        name: &GroupName,
        group: &Group,
    ) -> Result<bool, StoreError> {
        let new = self.group(tenant, name).await?.is_none();
        let write = Write::Put { key: keys::group(tenant, name), item: to_item(group)?, only_if: Vec::new() };
        self.table.write(write).await?;
        Ok(new)
    }

    /// Removes a group and its memberships. Answers whether there was one.
    pub async fn delete_group(&self, tenant: &TenantId, name: &GroupName) -> Result<bool, StoreError> {
        if self.group(tenant, name).await?.is_none() {
            return Ok(false);
        }
        // The head goes last: a deletion that is cut short can be asked for again.
        self.set_members(tenant, name, &[]).await?;
        let write = Write::Delete { key: keys::group(tenant, name), only_if: Vec::new() };
        self.table.write(write).await.map(|_| true)
    }

    /// A page of a tenant's groups by name, and where the next begins.
    pub async fn groups(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<(GroupName, Group)>, Option<String>), StoreError> {
        let page = self.table.query(&keys::partition(keys::groups(tenant), limit, after)).await?;
        let groups = page.items.into_iter().map(|(key, item)| Ok((name_of(key.sk())?, from_item(item)?)));
        Ok((groups.collect::<Result<_, StoreError>>()?, page.next))
    }
}
