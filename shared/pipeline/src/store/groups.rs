//! Groups and their members.

use std::collections::BTreeSet;

use carillon_domain::{GroupName, RecipientId, RecipientKey, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Index, Query, StoreError, Write};

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

    /// A page of a group's members by id, and where the next begins.
    pub async fn members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<RecipientId>, Option<String>), StoreError> {
        let page = self.table.query(&keys::partition(keys::members(tenant, group), limit, after)).await?;
        let ids = page.items.iter().map(|(key, _)| name_of(key.sk()));
        Ok((ids.collect::<Result<_, StoreError>>()?, page.next))
    }

    /// Every member of a group, by id.
    pub async fn all_members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
    ) -> Result<Vec<RecipientId>, StoreError> {
        let mut members = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.members(tenant, group, 1_000, after).await?;
            members.extend(page);
            after = next;
            if after.is_none() {
                return Ok(members);
            }
        }
    }

    /// Adds and removes members.
    pub async fn change_members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        add: &[RecipientId],
        remove: &[RecipientId],
    ) -> Result<(), StoreError> {
        let put = |id| {
            let item = member_item(tenant, &self.recipient_key(tenant, id), group);
            Write::Put { key: keys::member(tenant, group, id), item, only_if: Vec::new() }
        };
        let delete = |id| Write::Delete { key: keys::member(tenant, group, id), only_if: Vec::new() };
        let writes = add.iter().map(put).chain(remove.iter().map(delete)).collect();
        self.table.write_each(writes).await.into_iter().try_for_each(|written| written.map(drop))
    }

    /// Makes these, and only these, the members of a group.
    pub async fn set_members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        members: &[RecipientId],
    ) -> Result<(), StoreError> {
        let wanted: BTreeSet<&RecipientId> = members.iter().collect();
        let gone: Vec<RecipientId> =
            self.all_members(tenant, group).await?.into_iter().filter(|id| !wanted.contains(id)).collect();
        self.change_members(tenant, group, members, &gone).await
    }

    /// Whether a recipient is a member of a group.
    pub async fn is_member(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        id: &RecipientId,
    ) -> Result<bool, StoreError> {
        Ok(self.table.get(&keys::member(tenant, group, id)).await?.is_some())
    }

    /// Takes a recipient out of every group.
    pub(crate) async fn leave_all_groups(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
    ) -> Result<(), StoreError> {
        let partition = keys::memberships(tenant, &self.recipient_key(tenant, id));
        let mut after = None;
        loop {
            let query = Query { index: Index::ByParent, ..keys::partition(partition.clone(), 100, after) };
            let page = self.table.query(&query).await?;
            let leave =
                page.items.into_iter().map(|(key, _)| Write::Delete { key, only_if: Vec::new() }).collect();
            self.table.write_each(leave).await.into_iter().try_for_each(|left| left.map(drop))?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// A membership, listed under its recipient so that it goes with them.
fn member_item(tenant: &TenantId, recipient: &RecipientKey, group: &GroupName) -> crate::ports::Item {
    let (pk, sk) = Index::ByParent.attributes();
    [
        ("v".to_owned(), 1.into()),
        (pk.to_owned(), keys::memberships(tenant, recipient).into()),
        (sk.to_owned(), group.as_str().into()),
    ]
    .into_iter()
    .collect()
}

fn name_of<T: TryFrom<String>>(text: &str) -> Result<T, StoreError> {
    T::try_from(text.to_owned()).map_err(|_| StoreError::Refused("a stored name cannot be read".to_owned()))
}
