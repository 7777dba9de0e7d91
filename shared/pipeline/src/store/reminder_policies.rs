//! Reminder policies: a head for each, and a version for each change, because a deadline keeps the version that it was
//! made or changed under.

use std::sync::Arc;

use carillon_domain::{Lane, PolicyName, ReminderPolicy, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, name_of, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, TransactError, Write};

/// The newest version of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PolicyHead {
    latest: u32,
    /// It is kept, so that no version is given twice.
    #[serde(default)]
    deleted: bool,
}

/// A policy in the version that new deadlines follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentPolicy {
    /// The version.
    pub version: u32,
    /// What it says.
    pub policy: Arc<ReminderPolicy>,
}

impl Pipeline {
    /// A policy as new deadlines follow it.
    pub async fn reminder_policy(
        &self,
        tenant: &TenantId,
        name: &PolicyName,
    ) -> Result<Option<CurrentPolicy>, StoreError> {
        let Some(head) = self.policy_head(tenant, name).await?.filter(|head| !head.deleted) else {
            return Ok(None);
        };
        let policy = self.reminder_policy_version(tenant, name, head.latest).await?;
        Ok(policy.map(|policy| CurrentPolicy { version: head.latest, policy }))
    }

    async fn policy_head(
        &self,
        tenant: &TenantId,
        name: &PolicyName,
    ) -> Result<Option<PolicyHead>, StoreError> {
        self.table.get(&keys::deadlines::policy(tenant, name)).await?.map(from_item).transpose()
    }

    /// A version of a policy; it never changes.
    pub async fn reminder_policy_version(
        &self,
        tenant: &TenantId,
        name: &PolicyName,
        version: u32,
    ) -> Result<Option<Arc<ReminderPolicy>>, StoreError> {
        let cached = (tenant.clone(), name.clone(), version);
        if let Some(policy) = self.remembered.policies.get(&cached, self.now()) {
            return Ok(Some(policy));
        }
        let stored = self.table.get(&keys::deadlines::policy_version(tenant, name, version)).await?;
        let Some(stored) = stored else { return Ok(None) };
        let policy: ReminderPolicy = from_item(stored)?;
        Ok(Some(self.remembered.policies.put(cached, policy, self.now())))
    }

    /// Stores a policy as a new version, unless it says what the newest one says. Answers whether the name is new.
    pub async fn put_reminder_policy(
        &self,
        tenant: &TenantId,
        name: &PolicyName,
        policy: &ReminderPolicy,
    ) -> Result<bool, StoreError> {
        let lanes = policy.classes().into_iter().map(|(lane, _)| lane).chain([Lane::overdue()]);
        self.add_lanes(tenant, lanes).await?;
        loop {
            let before = self.policy_head(tenant, name).await?;
            let latest = before.map_or(0, |head| head.latest);
            let newest = self.reminder_policy_version(tenant, name, latest).await?;
            let gone = before.is_none_or(|head| head.deleted);
            if !gone && newest.is_some_and(|newest| *newest == *policy) {
                return Ok(false);
            }
            let version = latest + 1;
            let only_if = match before {
                None => Check::Absent,
                Some(before) => Check::Equals("latest", before.latest.into()),
            };
            let head = to_item(&PolicyHead { latest: version, deleted: false })?;
            let key = keys::deadlines::policy_version(tenant, name, version);
            let writes = vec![
                Write::Put { key: keys::deadlines::policy(tenant, name), item: head, only_if: vec![only_if] },
                Write::Put { key, item: to_item(policy)?, only_if: vec![Check::Absent] },
            ];
            match self.table.transact(writes).await {
                Ok(()) => return Ok(gone),
                // Somebody else put a version in between: look again.
                Err(TransactError::Conflict { .. }) => {}
                Err(TransactError::Store(error)) => return Err(error),
            }
        }
    }

    /// Removes a policy: no new deadline can follow it; those that do go on. Answers whether there was one.
    pub async fn delete_reminder_policy(
        &self,
        tenant: &TenantId,
        name: &PolicyName,
    ) -> Result<bool, StoreError> {
        let write = Write::Update {
            key: keys::deadlines::policy(tenant, name),
            set: vec![("deleted".to_owned(), true.into())],
            add: Vec::new(),
            remove: Vec::new(),
            only_if: vec![Check::Equals("deleted", false.into())],
        };
        match self.table.write(write).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A page of a tenant's policies by name, and where the next begins.
    pub async fn reminder_policies(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<(PolicyName, CurrentPolicy)>, Option<String>), StoreError> {
        let page =
            self.table.query(&keys::partition(keys::deadlines::policies(tenant), limit, after)).await?;
        let mut found = Vec::with_capacity(page.items.len());
        for (key, item) in page.items {
            let (name, head): (PolicyName, PolicyHead) = (name_of(key.sk())?, from_item(item)?);
            if head.deleted {
                continue;
            }
            if let Some(policy) = self.reminder_policy_version(tenant, &name, head.latest).await? {
                found.push((name, CurrentPolicy { version: head.latest, policy }));
            }
        }
        Ok((found, page.next))
    }
}
