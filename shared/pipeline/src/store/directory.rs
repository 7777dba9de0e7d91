//! The directory: recipients, their addresses, and what they want. Groups are in [`super::groups`].

use carillon_domain::recipient::Role;
use carillon_domain::{Preferences, Recipient, RecipientId, RecipientKey, TenantId};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::problems::admin_write;
use super::{from_item, keys, shards, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Index, Item, Key, Query, StoreError, TransactError, Write};

/// How many entries a page of counting has.
const COUNTED_AT_ONCE: usize = 5_000;

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
pub(super) struct AddressOwner {
    pub(super) recipient_id: RecipientId,
}

impl Pipeline {
    pub(super) fn phone_hash(&self, tenant: &TenantId, phone: &str) -> String {
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

    /// The recipient that a key stands for, as of now.
    pub async fn recipient_by_key(
        &self,
        tenant: &TenantId,
        key: &RecipientKey,
    ) -> Result<Option<StoredRecipient>, StoreError> {
        self.table.get(&keys::recipient(tenant, key)).await?.map(from_item).transpose()
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
        let items = self.get_many_surely(&keys).await?;
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
        let before = self.stored_recipient(tenant, id).await?;
        self.put_recipient_after(tenant, id, before, recipient).await
    }

    /// Stores a recipient in the place of what was read `before`; a conflict when somebody changed them since.
    pub(crate) async fn put_recipient_after(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        before: Option<StoredRecipient>,
        recipient: &Recipient,
    ) -> Result<PutRecipient, StoreError> {
        let person = self.recipient_key(tenant, id);
        let key = keys::recipient(tenant, &person);
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
        // A person whom an event brought has claimed no number.
        let was_one_off = before.as_ref().is_some_and(|b| b.one_off);
        let old_phone = before.as_ref().and_then(|b| b.recipient.phone.as_ref());
        if old_phone != recipient.phone.as_ref() || was_one_off {
            if let Some(phone) = &recipient.phone {
                let key = keys::address(tenant, &self.phone_hash(tenant, phone));
                if let Some(owner) = self.table.get(&key).await?.map(from_item::<AddressOwner>).transpose()?
                    && owner.recipient_id != *id
                {
                    return Ok(PutRecipient::PhoneTaken(owner.recipient_id));
                }
                let item = to_item(&AddressOwner { recipient_id: id.clone() })?;
                writes.push(Write::Put { key, item, only_if: vec![free_or_of(id)] });
            }
            if let Some(phone) = old_phone.filter(|_| !was_one_off) {
                let key = keys::address(tenant, &self.phone_hash(tenant, phone));
                writes.push(Write::Delete { key, only_if: vec![free_or_of(id)] });
            }
        }
        let old_bsuid = before.as_ref().filter(|_| !was_one_off).and_then(|b| b.recipient.bsuid.as_deref());
        writes.extend(self.bsuid_writes(tenant, id, old_bsuid, recipient.bsuid.as_deref()).await?);
        let is_admin = |recipient: &Recipient| recipient.roles.contains(&Role::Admin);
        let was = before.as_ref().is_some_and(|b| !b.one_off && is_admin(&b.recipient));
        writes.extend(admin_write(tenant, id, was, is_admin(recipient)));
        match self.put_together(writes).await {
            Ok(()) if before.is_some() => Ok(PutRecipient::Replaced),
            Ok(()) => Ok(PutRecipient::Created),
            // Somebody else changed the recipient, or took the number, in between: what they did comes first.
            Err(TransactError::Conflict { at, found }) => match found {
                Some(found) if at > 0 => {
                    Ok(PutRecipient::PhoneTaken(from_item::<AddressOwner>(found)?.recipient_id))
                }
                found => Err(StoreError::Conflict(found)),
            },
            Err(TransactError::Store(error)) => Err(error),
        }
    }

    /// How many recipients a tenant has; a moment old.
    pub(crate) async fn count_recipients(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let shards = (0..keys::RECIPIENT_SHARDS).map(|shard| self.count_recipients_of(tenant, shard));
        Ok(try_join_all(shards).await?.into_iter().sum())
    }

    async fn count_recipients_of(&self, tenant: &TenantId, shard: u8) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let partition = keys::recipients(tenant, shard);
            let query =
                Query { index: Index::ByParent, ..keys::partition(partition, COUNTED_AT_ONCE, after) };
            let page = self.table.query(&query).await?;
            count += page.items.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// A transaction, unless there is one write: alone it costs half.
    async fn put_together(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        let [Write::Put { item, .. }] = &writes[..] else {
            return self.table.transact(writes).await;
        };
        match self.table.write(writes[0].clone()).await {
            Ok(_) => Ok(()),
            // Our own write, which the client library repeated because its answer was lost.
            Err(StoreError::Conflict(Some(found))) if found == *item => Ok(()),
            Err(StoreError::Conflict(found)) => Err(TransactError::Conflict { at: 0, found }),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a recipient and frees their phone number. Answers whether there was one.
    pub async fn delete_recipient(&self, tenant: &TenantId, id: &RecipientId) -> Result<bool, StoreError> {
        let Some(stored) = self.stored_recipient(tenant, id).await? else {
            // Gone already; a deletion that was cut short may have left memberships.
            self.leave_all_groups(tenant, id).await?;
            return Ok(false);
        };
        let key = keys::recipient(tenant, &self.recipient_key(tenant, id));
        let mut writes = vec![Write::Delete { key, only_if: vec![Check::Equals("rev", stored.rev.into())] }];
        if let Some(phone) = stored.recipient.phone.as_ref().filter(|_| !stored.one_off) {
            let key = keys::address(tenant, &self.phone_hash(tenant, phone));
            writes.push(Write::Delete { key, only_if: vec![free_or_of(id)] });
        }
        let bsuid = stored.recipient.bsuid.as_deref().filter(|_| !stored.one_off);
        writes.extend(self.bsuid_writes(tenant, id, bsuid, None).await?);
        let was = !stored.one_off && stored.recipient.roles.contains(&Role::Admin);
        writes.extend(admin_write(tenant, id, was, false));
        self.table.transact(writes).await.map_err(conflict_as_store)?;
        self.leave_all_groups(tenant, id).await?;
        Ok(true)
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

    /// Several items. What a read that may be a moment old does not find is asked for once more: somebody who was made
    /// just now must not be taken for nobody.
    pub(crate) async fn get_many_surely(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        let mut items = self.table.get_many(keys).await?;
        for (key, item) in keys.iter().zip(&mut items).filter(|(_, item)| item.is_none()) {
            *item = self.table.get(key).await?;
        }
        Ok(items)
    }
}

/// That a number is nobody's, or this recipient's.
pub(super) fn free_or_of(id: &RecipientId) -> Check {
    Check::OneOf("recipient_id", vec![serde_json::Value::Null, id.as_str().into()])
}

fn conflict_as_store(error: TransactError) -> StoreError {
    match error {
        TransactError::Conflict { found, .. } => StoreError::Conflict(found),
        TransactError::Store(store) => store,
    }
}
