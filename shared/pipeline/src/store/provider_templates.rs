//! What Meta says about a tenant's own things: the status of its approved templates, the quality of its numbers. Small
//! items, one for each template and language and one for each number, that say what was heard last.

use std::collections::BTreeMap;

use carillon_domain::{TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Item, Key, StoreError, Write};

/// How many templates and numbers are shown.
const SHOWN: usize = 500;

/// One thing that Meta says about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountNews {
    /// About a template in one language.
    Template {
        /// Its name at Meta.
        name: String,
        /// Meta's language code.
        language: String,
        /// What changed: `status`, `reason`, `category`, `quality`, in Meta's words.
        facts: BTreeMap<&'static str, String>,
    },
    /// About a number.
    Number {
        /// Its digits, as people see them.
        display: String,
        /// What changed: `event`, `limit`, in Meta's words.
        facts: BTreeMap<&'static str, String>,
    },
}

/// A template as Meta sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderTemplate {
    /// Its name at Meta.
    pub name: String,
    /// Meta's language code.
    pub language: String,
    /// When Meta last said something about it.
    #[serde(with = "ms")]
    pub changed_at: Timestamp,
    /// What it said.
    pub facts: BTreeMap<String, String>,
}

impl ProviderTemplate {
    /// Whether Meta refuses to send it for now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.facts.get("status").is_some_and(|status| status == "PAUSED")
    }
}

#[derive(Serialize, Deserialize)]
struct Number {
    display: String,
    #[serde(with = "ms")]
    changed_at: Timestamp,
    facts: BTreeMap<String, String>,
}

impl Pipeline {
    /// Notes which business account a tenant's number belongs to, so that what Meta says about the account finds its
    /// tenants. Learned from signed webhooks about the tenant's own numbers.
    pub async fn learn_business_account(&self, tenant: &TenantId, waba: &str) -> Result<(), StoreError> {
        let cached = (tenant.clone(), waba.to_owned());
        if self.remembered.business_accounts.get(&cached, self.now()).is_some() {
            return Ok(());
        }
        let key = keys::lookups::business_account(waba, tenant);
        if self.table.get(&key).await?.is_none() {
            let write = Write::Put { key, item: Item::new(), only_if: Vec::new() };
            self.table.write(write).await?;
        }
        self.remembered.business_accounts.put(cached, (), self.now());
        Ok(())
    }

    /// The tenants with a number in a business account.
    pub async fn tenants_of_business_account(&self, waba: &str) -> Result<Vec<TenantId>, StoreError> {
        let page = self.table.query(&keys::lookups::tenants_of_business_account(waba)).await?;
        Ok(page.items.iter().filter_map(|(key, _)| key.sk.parse().ok()).collect())
    }

    /// Keeps what Meta said at an instant; what is older than what is known is dropped.
    pub async fn record_account_news(
        &self,
        tenant: &TenantId,
        news: &AccountNews,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, facts) = match news {
            AccountNews::Template { name, language, facts } => {
                (keys::provider_template(tenant, name, language), facts)
            }
            AccountNews::Number { display, facts } => (keys::provider_number(tenant, display), facts),
        };
        let stored = self.table.get(&key).await?;
        let known_at = stored.as_ref().and_then(|item| item.get("changed_at")?.as_i64());
        if known_at.is_some_and(|known| known > at.as_millisecond()) {
            return Ok(());
        }
        let mut known: BTreeMap<String, String> = stored
            .and_then(|mut item| serde_json::from_value(item.remove("facts")?).ok())
            .unwrap_or_default();
        known.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let item = match news {
            AccountNews::Template { name, language, .. } => to_item(&ProviderTemplate {
                name: name.clone(),
                language: language.clone(),
                changed_at: at,
                facts: known,
            })?,
            AccountNews::Number { display, .. } => {
                to_item(&Number { display: display.clone(), changed_at: at, facts: known })?
            }
        };
        self.table.write(Write::Put { key, item, only_if: Vec::new() }).await?;
        tracing::info!(tenant.id = %tenant, news = ?news, "the provider changed something about the account");
        Ok(())
    }

    /// The templates that Meta does not send, with what it says of them.
    pub(crate) async fn refused_templates(&self, tenant: &TenantId) -> Result<Vec<String>, StoreError> {
        let templates = self.table.query(&keys::provider_templates(tenant, SHOWN)).await?.items;
        let templates = templates.into_iter().map(|(_, item)| from_item::<ProviderTemplate>(item));
        let mut refused = Vec::new();
        for template in templates.collect::<Result<Vec<_>, _>>()? {
            let status = template.facts.get("status").map_or("", String::as_str);
            if ["PAUSED", "REJECTED", "DISABLED"].contains(&status) {
                refused.push(format!("{} ({}): {status}", template.name, template.language));
            }
        }
        Ok(refused)
    }

    /// What Meta has said about a tenant's templates and numbers, for people.
    pub(crate) async fn account_news_view(
        &self,
        tenant: &TenantId,
    ) -> Result<(Vec<serde_json::Value>, Vec<serde_json::Value>), StoreError> {
        let shown = |(_, item): (Key, Item)| -> Result<serde_json::Value, StoreError> {
            let at = item.get("changed_at").and_then(serde_json::Value::as_i64).unwrap_or_default();
            let mut view = serde_json::json!({"changed_at": Timestamp::from_millisecond(at).ok()});
            for name in ["name", "language", "display"] {
                if let Some(value) = item.get(name) {
                    view[name] = value.clone();
                }
            }
            let facts = item.get("facts").cloned().unwrap_or_default();
            for (name, value) in from_facts(facts)? {
                view[name] = value.into();
            }
            Ok(view)
        };
        let templates = self.table.query(&keys::provider_templates(tenant, SHOWN)).await?;
        let numbers = self.table.query(&keys::provider_numbers(tenant, SHOWN)).await?;
        let templates = templates.items.into_iter().map(shown).collect::<Result<_, _>>()?;
        let numbers = numbers.items.into_iter().map(shown).collect::<Result<_, _>>()?;
        Ok((templates, numbers))
    }
}

fn from_facts(facts: serde_json::Value) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_value(facts)
        .map_err(|error| StoreError::Refused(format!("stored facts cannot be read: {error}")))
}

/// Whether the template in a stored item is paused.
pub(crate) fn is_paused(item: Option<Item>) -> Result<bool, StoreError> {
    Ok(item.map(from_item::<ProviderTemplate>).transpose()?.is_some_and(|template| template.is_paused()))
}
