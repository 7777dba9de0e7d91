//! Tenants, and where each channel sends from.

use std::sync::Arc;

use carillon_domain::{Channel, Tenant, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, name_of, to_item};
use crate::context::Pipeline;
use crate::ports::{Account, Check, Item, SecretValues, StoreError, TransactError, Write};

/// A channel's configuration without its secrets, which lie in the secret store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ChannelConfiguration {
    /// WhatsApp.
    Whatsapp {
        /// Meta's id of the number that sends.
        phone_number_id: String,
        /// Meta's id of the business account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waba_id: Option<String>,
        /// Graph API version, such as `v25.0`.
        api_version: String,
    },
    /// Email.
    Email {
        /// The From address.
        from: String,
        /// SES's configuration set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        configuration_set: Option<String>,
        /// The AWS region of the identity, where it is not the deployment's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
}

/// The name of a tenant's secret for a channel.
#[must_use]
pub fn channel_secret(tenant: &TenantId, channel: Channel, what: &str) -> String {
    format!("{tenant}/{channel}/{what}")
}

impl Pipeline {
    /// A tenant, at most a moment old.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        if let Some(tenant) = self.remembered.tenants.get(id, self.now()) {
            return Ok(Some(tenant));
        }
        let Some(item) = self.table.get(&keys::tenant(id)).await? else { return Ok(None) };
        Ok(Some(self.remembered.tenants.put(id.clone(), from_item(item)?, self.now())))
    }

    /// Stores a tenant. Answers whether it is new.
    pub async fn put_tenant(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        let key = keys::tenant(&tenant.id);
        let new = self.table.get(&key).await?.is_none();
        // Listed first: a tenant that is there and in no list would not be swept.
        self.list_tenant(&tenant.id).await?;
        self.table.write(Write::Put { key, item: to_item(tenant)?, only_if: Vec::new() }).await?;
        self.remembered.tenants.forget(&tenant.id);
        Ok(new)
    }

    /// Puts a tenant into the list of all of them.
    pub(crate) async fn list_tenant(&self, id: &TenantId) -> Result<(), StoreError> {
        let key = keys::lookups::listed_tenant(id);
        self.table.write(Write::Put { key, item: Item::new(), only_if: Vec::new() }).await.map(drop)
    }

    /// Every tenant, by id: a page, and where the next begins.
    pub(crate) async fn tenants(
        &self,
        after: Option<String>,
    ) -> Result<(Vec<TenantId>, Option<String>), StoreError> {
        let page = self.table.query(&keys::lookups::tenants(after)).await?;
        let tenants = page.items.iter().map(|(key, _)| name_of(key.sk()));
        Ok((tenants.collect::<Result<_, _>>()?, page.next))
    }

    /// The tenant that sends from a WhatsApp phone-number id.
    pub async fn tenant_of_phone_number(
        &self,
        phone_number_id: &str,
    ) -> Result<Option<Arc<TenantId>>, StoreError> {
        let cached = phone_number_id.to_owned();
        if let Some(tenant) = self.remembered.phone_numbers.get(&cached, self.now()) {
            return Ok(Some(tenant));
        }
        let Some(item) = self.table.get(&keys::lookups::phone_number(phone_number_id)).await? else {
            return Ok(None);
        };
        let owner: PhoneNumberOwner = from_item(item)?;
        Ok(Some(self.remembered.phone_numbers.put(cached, owner.tenant, self.now())))
    }

    /// A channel's configuration without its secrets.
    pub async fn channel_configuration(
        &self,
        tenant: &TenantId,
        channel: Channel,
    ) -> Result<Option<ChannelConfiguration>, StoreError> {
        self.table.get(&keys::channel(tenant, channel)).await?.map(from_item).transpose()
    }

    /// Stores a channel's configuration. An earlier phone number stays the tenant's, because receipts of what it sent come
    /// for days. Answers `false` if its phone number belongs to another tenant.
    pub async fn put_channel_configuration(
        &self,
        tenant: &TenantId,
        channel: Channel,
        configuration: &ChannelConfiguration,
    ) -> Result<bool, StoreError> {
        let mut writes = vec![Write::Put {
            key: keys::channel(tenant, channel),
            item: to_item(configuration)?,
            only_if: Vec::new(),
        }];
        if let ChannelConfiguration::Whatsapp { phone_number_id, .. } = configuration {
            let key = keys::lookups::phone_number(phone_number_id);
            let stored = self.table.get(&key).await?;
            let owner: Option<PhoneNumberOwner> = stored.map(from_item).transpose()?;
            if owner.as_ref().is_some_and(|o| o.tenant != *tenant) {
                return Ok(false);
            }
            let only_if = if owner.is_none() { vec![Check::Absent] } else { vec![Check::Present] };
            writes.push(Write::Put {
                key,
                item: to_item(&PhoneNumberOwner { tenant: tenant.clone() })?,
                only_if,
            });
        }
        self.remembered.accounts.forget(&(tenant.clone(), channel));
        match self.table.transact(writes).await {
            Ok(()) => {
                // What was wrong with the old configuration is not wrong with this one.
                self.end_pause(tenant, channel).await?;
                Ok(true)
            }
            Err(TransactError::Conflict { .. }) => Ok(false),
            Err(TransactError::Store(error)) => Err(error),
        }
    }

    /// A secret's live values, at most [`crate::context::SECRET_TTL_MS`] old; empty when there is no such secret.
    pub async fn secret(&self, name: &str) -> Result<Arc<SecretValues>, StoreError> {
        let cached = name.to_owned();
        if let Some(values) = self.remembered.secrets.get(&cached, self.now()) {
            return Ok(values);
        }
        let values = self.secrets.get(name).await?;
        Ok(self.remembered.secrets.put(cached, values, self.now()))
    }

    /// Makes or replaces a secret.
    pub async fn put_secret(&self, name: &str, values: &[String]) -> Result<(), StoreError> {
        self.secrets.put(name, values).await?;
        self.remembered.secrets.forget(&name.to_owned());
        Ok(())
    }

    /// Where a tenant's messages on a channel are sent from; none when it is not configured.
    pub async fn account(
        &self,
        tenant: &TenantId,
        channel: Channel,
    ) -> Result<Option<Arc<Account>>, StoreError> {
        let cached = (tenant.clone(), channel);
        if let Some(account) = self.remembered.accounts.get(&cached, self.now()) {
            return Ok(Some(account));
        }
        let account = match self.channel_configuration(tenant, channel).await? {
            None => return Ok(None),
            Some(ChannelConfiguration::Whatsapp { phone_number_id, api_version, .. }) => {
                let tokens = self.secret(&channel_secret(tenant, channel, "token")).await?;
                let Some(token) = tokens.first().cloned() else { return Ok(None) };
                Account::Whatsapp { phone_number_id, api_version, token }
            }
            Some(ChannelConfiguration::Email { from, configuration_set, .. }) => {
                Account::Email { from, configuration_set }
            }
        };
        Ok(Some(self.remembered.accounts.put(cached, account, self.now())))
    }

    /// Whether the table answers.
    pub async fn store_answers(&self) -> bool {
        let probe = keys::lookups::phone_number("health");
        self.table.get(&probe).await.is_ok()
    }
}

#[derive(Serialize, Deserialize)]
struct PhoneNumberOwner {
    tenant: TenantId,
}
