//! The directory: recipients, their addresses, groups and members.

use std::collections::BTreeSet;

use carillon_domain::{GroupName, Preferences, Recipient, RecipientId, RecipientKey, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, shards, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Index, Query, StoreError, TransactError, Write};

/// A recipient with their id, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRecipient {
    /// Their id.
    pub id: RecipientId,
    /// Counts the writes: each says which one it follows.
    #[serde(default)]
    pub rev: u32,
    /// What they want to hear.
    #[serde(default)]
    pub preferences: Preferences,
    /// Made for one event, from an address that the event brought: listed nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_off: bool,
    /// The person.
    #[serde(flatten)]
    pub recipient: Recipient,
}

impl StoredRecipient {
    /// A person whom one event brought.
    #[must_use]
    pub fn one_off(id: RecipientId, recipient: Recipient) -> Self {
        Self { id, rev: 1, preferences: Preferences::default(), one_off: true, recipient }
    }
}

/// A group without its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What became of storing a recipient; the caller must not ignore that an address is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutRecipient {
    /// There was none by that id.
    Created,
    /// There was one, and it is replaced.
    Replaced,
    /// Another recipient has the phone number.
    PhoneTaken(RecipientId),
}

#[derive(Serialize, Deserialize)]
struct AddressOwner {
    recipient_id: RecipientId,
}

impl Pipeline {
    fn phone_hash(&self, tenant: &TenantId, phone: &str) -> String {
        self.hash_key.hash(&["phone", tenant.as_str(), phone])
    }

    /// A recipient, as of now.
    pub async fn recipient(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
    ) -> Result<Option<Recipient>, StoreError> {
        Ok(self.stored_recipient(tenant, id).await?.map(|s| s.recipient))
    }

    /// A recipient with what they want, as of now.
    pub async fn stored_recipient(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
    ) -> Result<Option<StoredRecipient>, StoreError> {
        let key = keys::recipient(tenant, &self.recipient_key(tenant, id));
        self.table.get(&key).await?.map(from_item).transpose()
    }

    /// Changes what a recipient wants. Answers whether there is such a recipient.
    pub async fn put_preferences(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        preferences: &Preferences,
    ) -> Result<bool, StoreError> {
        let write = Write::Update {
            key: keys::recipient(tenant, &self.recipient_key(tenant, id)),
            set: vec![("preferences".to_owned(), serde_json::json!(preferences))],
            // Counted, so that a recipient put at the same time does not bring the old preferences back.
            add: vec![("rev".to_owned(), 1)],
            remove: Vec::new(),
            only_if: vec![Check::Present],
        };
        match self.table.write(write).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores a person whom one event brought, unless they are stored.
    pub(crate) async fn put_one_off(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        recipient: &Recipient,
    ) -> Result<(), StoreError> {
        let key = keys::recipient(tenant, &self.recipient_key(tenant, id));
        let stored = StoredRecipient::one_off(id.clone(), recipient.clone());
        match self
            .table
            .write(Write::Put { key, item: to_item(&stored)?, only_if: vec![Check::Absent] })
            .await
        {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Recipients in the order of their ids; none where there is no such recipient.
    pub async fn recipients(
        &self,
        tenant: &TenantId,
        ids: &[RecipientId],
    ) -> Result<Vec<(RecipientKey, Option<StoredRecipient>)>, StoreError> {
        let named: Vec<RecipientKey> = ids.iter().map(|id| self.recipient_key(tenant, id)).collect();
        let keys: Vec<_> = named.iter().map(|key| keys::recipient(tenant, key)).collect();
        let items = self.table.get_many(&keys).await?;
        let read = |item: Option<_>| item.map(from_item::<StoredRecipient>).transpose();
        named.into_iter().zip(items).map(|(key, item)| Ok((key, read(item)?))).collect()
    }

    /// Stores a recipient whose addresses are in their one form. The phone number is claimed in the same transaction.
    pub async fn put_recipient(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        recipient: &Recipient,
    ) -> Result<PutRecipient, StoreError> {
        let person = self.recipient_key(tenant, id);
        let key = keys::recipient(tenant, &person);
        let before: Option<StoredRecipient> = self.table.get(&key).await?.map(from_item).transpose()?;
        let rev = before.as_ref().map_or(0, |b| b.rev) + 1;
        let mut item = to_item(&StoredRecipient {
            id: id.clone(),
            rev,
            preferences: before.as_ref().map(|b| b.preferences.clone()).unwrap_or_default(),
            one_off: false,
            recipient: recipient.clone(),
        })?;
        let (pk, sk) = Index::ByParent.attributes();
        let shard = keys::shard(person.as_str(), keys::RECIPIENT_SHARDS);
        item.insert(pk.to_owned(), keys::recipients(tenant, shard).into());
        item.insert(sk.to_owned(), id.as_str().into());
        let only_if = vec![before.as_ref().map_or(Check::Absent, |b| Check::Equals("rev", b.rev.into()))];
        let mut writes = vec![Write::Put { key, item, only_if }];
        let old_phone = before.as_ref().and_then(|b| b.recipient.phone.as_ref());
        if old_phone != recipient.phone.as_ref() {
            if let Some(phone) = &recipient.phone {
                let key = keys::address(tenant, &self.phone_hash(tenant, phone));
                if let Some(owner) = self.table.get(&key).await?.map(from_item::<AddressOwner>).transpose()?
                    && owner.recipient_id != *id
                {
                    return Ok(PutRecipient::PhoneTaken(owner.recipient_id));
                }
                let item = to_item(&AddressOwner { recipient_id: id.clone() })?;
                writes.push(Write::Put { key, item, only_if: vec![Check::Missing("recipient_id")] });
            }
            if let Some(phone) = old_phone {
                let key = keys::address(tenant, &self.phone_hash(tenant, phone));
                writes.push(Write::Delete { key, only_if: Vec::new() });
            }
        }
        match self.table.transact(writes).await {
            Ok(()) if before.is_some() => Ok(PutRecipient::Replaced),
            Ok(()) => Ok(PutRecipient::Created),
            // Somebody else changed the recipient, or took the number, in between: what they did comes first.
            Err(TransactError::Conflict { at, found }) => match found {
                Some(found) if at > 0 => match from_item::<AddressOwner>(found)?.recipient_id {
                    // The transaction was repeated by the client library after its own answer was lost.
                    owner if owner == *id => Ok(PutRecipient::Replaced),
                    owner => Ok(PutRecipient::PhoneTaken(owner)),
                },
                found => Err(StoreError::Conflict(found)),
            },
            Err(TransactError::Store(error)) => Err(error),
        }
    }

    /// Removes a recipient and frees their phone number. Answers whether there was one.
    pub async fn delete_recipient(&self, tenant: &TenantId, id: &RecipientId) -> Result<bool, StoreError> {
        let Some(recipient) = self.recipient(tenant, id).await? else { return Ok(false) };
        let key = keys::recipient(tenant, &self.recipient_key(tenant, id));
        let mut writes = vec![Write::Delete { key, only_if: Vec::new() }];
        if let Some(phone) = &recipient.phone {
            let key = keys::address(tenant, &self.phone_hash(tenant, phone));
            writes.push(Write::Delete { key, only_if: Vec::new() });
        }
        self.table.transact(writes).await.map_err(conflict_as_store)?;
        self.leave_all_groups(tenant, id).await?;
        Ok(true)
    }

    async fn leave_all_groups(&self, tenant: &TenantId, id: &RecipientId) -> Result<(), StoreError> {
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

    /// A page of a tenant's recipients by id, after a given id.
    pub async fn list_recipients(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<(Vec<StoredRecipient>, Option<String>), StoreError> {
        let partitions = (0..keys::RECIPIENT_SHARDS).map(|shard| keys::recipients(tenant, shard));
        let query = Query {
            index: Index::ByParent,
            // The least text above the last id.
            from: after.map(|id| format!("{id}\u{1}")),
            ..keys::partition(String::new(), limit, None)
        };
        let found =
            shards::merged(self.table.as_ref(), partitions, &query, Index::ByParent.attributes().1).await?;
        // From the index, which may still name somebody who is gone: a short page is not the last one.
        let next = found.last().filter(|_| found.len() == limit).map(|(id, _, _)| id.clone());
        let keys: Vec<_> = found.into_iter().map(|(_, key, _)| key).collect();
        let items = self.table.get_many(&keys).await?;
        Ok((items.into_iter().flatten().map(from_item).collect::<Result<_, _>>()?, next))
    }

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
        let items = self.table.get_many(&keys).await?;
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
        let write = Write::Delete { key: keys::group(tenant, name), only_if: vec![Check::Present] };
        match self.table.write(write).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.set_members(tenant, name, &[]).await?;
        Ok(true)
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

fn conflict_as_store(error: TransactError) -> StoreError {
    match error {
        TransactError::Conflict { found, .. } => StoreError::Conflict(found),
        TransactError::Store(store) => store,
    }
}
