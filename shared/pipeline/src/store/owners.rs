//! Whose an address is: found when somebody writes to a number. Phone numbers are claimed by the directory itself, which
//! refuses a second owner; a WhatsApp user id belongs to whoever named it first.

use carillon_domain::{Address, Preferences, RecipientId, RecipientKey, TenantId};

use super::directory::{AddressOwner, StoredRecipient, free_or_of};
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Key, StoreError, Write};

impl Pipeline {
    fn owner_key(&self, tenant: &TenantId, address: &Address) -> Option<Key> {
        let hash = match address {
            Address::Phone(phone) => self.phone_hash(tenant, phone),
            Address::Bsuid(bsuid) => self.hash_key.hash(&["bsuid", tenant.as_str(), bsuid]),
            Address::Email(_) | Address::Feed => return None,
        };
        Some(keys::address(tenant, &hash))
    }

    /// The recipient of the directory whose one of these addresses is.
    pub(crate) async fn owner_of(
        &self,
        tenant: &TenantId,
        addresses: &[Address],
    ) -> Result<Option<RecipientId>, StoreError> {
        for key in addresses.iter().filter_map(|address| self.owner_key(tenant, address)) {
            if let Some(owner) = self.table.get(&key).await?.map(from_item::<AddressOwner>).transpose()? {
                return Ok(Some(owner.recipient_id));
            }
        }
        Ok(None)
    }

    /// The writes by which a recipient's WhatsApp user id finds them, when it changes from one to another.
    pub(super) async fn bsuid_writes(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<Vec<Write>, StoreError> {
        let mut writes = Vec::new();
        if old == new {
            return Ok(writes);
        }
        for (bsuid, claimed) in [(old, false), (new, true)] {
            let Some(key) = bsuid.and_then(|b| self.owner_key(tenant, &Address::Bsuid(b.to_owned()))) else {
                continue;
            };
            let owner = self.table.get(&key).await?.map(from_item::<AddressOwner>).transpose()?;
            let free = owner.as_ref().is_none_or(|owner| owner.recipient_id == *id);
            if free && claimed {
                let item = to_item(&AddressOwner { recipient_id: id.clone() })?;
                writes.push(Write::Put { key, item, only_if: vec![free_or_of(id)] });
            } else if free {
                writes.push(Write::Delete { key, only_if: vec![free_or_of(id)] });
            }
        }
        Ok(writes)
    }

    /// Changes what a recipient wants, on top of what they want now. Answers the recipient as they were read, if there
    /// is one.
    pub(crate) async fn change_preferences(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        change: impl Fn(&mut Preferences),
    ) -> Result<Option<StoredRecipient>, StoreError> {
        let key = keys::recipient(tenant, person);
        loop {
            let Some(item) = self.table.get(&key).await? else { return Ok(None) };
            let stored: StoredRecipient = from_item(item)?;
            let mut preferences = stored.preferences.clone();
            change(&mut preferences);
            if preferences == stored.preferences {
                return Ok(Some(stored));
            }
            let write = Write::Update {
                key: key.clone(),
                set: vec![("preferences".to_owned(), serde_json::json!(preferences))],
                add: vec![("rev".to_owned(), 1)],
                remove: Vec::new(),
                only_if: vec![Check::Equals("rev", stored.rev.into())],
            };
            match self.table.write(write).await {
                Ok(_) => return Ok(Some(stored)),
                // Somebody else changed them in between: once more on top of that.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
