//! Which web pages may read feeds from a browser: each tenant names its origins in its settings. A preflight comes without
//! a key, so the origins lie beside the settings under their own names too.

use carillon_domain::feed::{WEB_ORIGINS, is_web_origin};
use carillon_domain::{FieldError, TenantId};

use crate::context::Pipeline;
use crate::ports::{Item, StoreError, Write};
use crate::store::{keys, to_item};

impl Pipeline {
    /// Whether a page of this origin may read what a tenant answers; with no tenant, whether any tenant names it.
    pub async fn takes_web_origin(
        &self,
        tenant: Option<&TenantId>,
        origin: &str,
    ) -> Result<bool, StoreError> {
        if !is_web_origin(origin) {
            return Ok(false);
        }
        let known = (tenant.cloned(), origin.to_owned());
        if self.remembered.web_origins.get(&known, self.now()).is_some() {
            return Ok(true);
        }
        let taken = match tenant {
            Some(tenant) => self.settings(tenant).await?.inbox_origins.iter().any(|named| named == origin),
            None => !self.table.query(&keys::lookups::tenants_of_web_origin(origin)).await?.items.is_empty(),
        };
        if taken {
            self.remembered.web_origins.put(known, (), self.now());
        }
        Ok(taken)
    }

    /// Stores the origins that a tenant names from now on, before its settings say so.
    pub(crate) async fn put_web_origins(
        &self,
        tenant: &TenantId,
        named: &[String],
    ) -> Result<(), StoreError> {
        let nothing_more = to_item(&Item::new())?;
        let put = |origin: &String| Write::Put {
            key: keys::lookups::web_origin(origin, tenant),
            item: nothing_more.clone(),
            only_if: Vec::new(),
        };
        self.write_web_origins(named.iter().map(put).collect()).await
    }

    /// Forgets the origins that a tenant does not name any more, after its settings say so.
    pub(crate) async fn drop_web_origins(
        &self,
        tenant: &TenantId,
        dropped: impl Iterator<Item = &String> + Send,
    ) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        for origin in dropped {
            self.remembered.web_origins.forget(&(Some(tenant.clone()), origin.clone()));
            self.remembered.web_origins.forget(&(None, origin.clone()));
            let key = keys::lookups::web_origin(origin, tenant);
            writes.push(Write::Delete { key, only_if: Vec::new() });
        }
        self.write_web_origins(writes).await
    }

    async fn write_web_origins(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        for written in self.table.write_each(writes).await {
            written?;
        }
        Ok(())
    }
}

/// What is wrong with the origins that a tenant wants to name.
pub(crate) fn web_origin_faults(named: &[String]) -> Vec<FieldError> {
    if named.len() > WEB_ORIGINS {
        let detail = format!("names {} origins; there may be {WEB_ORIGINS}", named.len());
        return vec![FieldError::new("/inbox_origins", detail)];
    }
    let wrong = named.iter().enumerate().filter(|(_, origin)| !is_web_origin(origin));
    let detail = "is not a web origin; write it like https://app.example.com, without a path";
    wrong.map(|(i, _)| FieldError::new(format!("/inbox_origins/{i}"), detail)).collect()
}
