//! Templates: a head that says which version is published, and the versions, which never change.

use std::sync::Arc;

use carillon_domain::{Template, TemplateName, TemplateVersion, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, TransactError, Write};

/// Which versions of a template there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateHead {
    /// The version in use; none before the first is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<u32>,
    /// The newest version.
    pub latest: u32,
}

impl Pipeline {
    /// A template's head, at most a moment old.
    pub async fn template_head(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
    ) -> Result<Option<Arc<TemplateHead>>, StoreError> {
        let cached = (tenant.clone(), name.clone());
        if let Some(head) = self.remembered.heads.get(&cached, self.now()) {
            return Ok(Some(head));
        }
        let Some(item) = self.table.get(&keys::template(tenant, name)).await? else { return Ok(None) };
        Ok(Some(self.remembered.heads.put(cached, from_item(item)?, self.now())))
    }

    /// One version of a template.
    pub async fn template_version(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
        version: u32,
    ) -> Result<Option<Arc<TemplateVersion>>, StoreError> {
        let cached = (tenant.clone(), name.clone(), version);
        if let Some(found) = self.remembered.versions.get(&cached, self.now()) {
            return Ok(Some(found));
        }
        let key = keys::template_version(tenant, name, version);
        let Some(item) = self.table.get(&key).await? else { return Ok(None) };
        Ok(Some(self.remembered.versions.put(cached, from_item(item)?, self.now())))
    }

    /// The published version of a template.
    pub async fn published_template(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
    ) -> Result<Option<Arc<TemplateVersion>>, StoreError> {
        let Some(head) = self.template_head(tenant, name).await? else { return Ok(None) };
        match head.published {
            Some(version) => self.template_version(tenant, name, version).await,
            None => Ok(None),
        }
    }

    /// Stores a template as a new version, and publishes it if asked to. The same texts as the newest version make no
    /// new one, so that applying a pack twice changes nothing. Answers the version and whether the template is new.
    pub async fn put_template(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
        template: &Template,
        publish: bool,
    ) -> Result<(u32, TemplateHead, bool), StoreError> {
        loop {
            let stored = self.table.get(&keys::template(tenant, name)).await?;
            let before: Option<TemplateHead> = stored.map(from_item).transpose()?;
            let newest = before.as_ref().map_or(0, |head| head.latest);
            let unchanged = match newest {
                0 => false,
                n => self.template_version(tenant, name, n).await?.is_some_and(|v| v.template == *template),
            };
            let version = if unchanged { newest } else { newest + 1 };
            let published =
                if publish { Some(version) } else { before.as_ref().and_then(|head| head.published) };
            let head = TemplateHead { published, latest: version };
            if before.as_ref() == Some(&head) {
                return Ok((version, head, false));
            }
            let only_if = match &before {
                None => vec![Check::Absent],
                // Both: a publication in between must not be undone.
                Some(before) => vec![
                    Check::Equals("latest", before.latest.into()),
                    Check::Equals("published", before.published.into()),
                ],
            };
            let mut writes =
                vec![Write::Put { key: keys::template(tenant, name), item: to_item(&head)?, only_if }];
            if !unchanged {
                let value = TemplateVersion { name: name.clone(), version, template: template.clone() };
                let key = keys::template_version(tenant, name, version);
                writes.push(Write::Put { key, item: to_item(&value)?, only_if: vec![Check::Absent] });
            }
            match self.table.transact(writes).await {
                Ok(()) => {
                    self.remembered.heads.forget(&(tenant.clone(), name.clone()));
                    return Ok((version, head, before.is_none()));
                }
                // Somebody else added a version in between: look again.
                Err(TransactError::Conflict { .. }) => {}
                Err(TransactError::Store(error)) => return Err(error),
            }
        }
    }

    /// Publishes a version, newer or older than the one in use. Answers whether there is such a version.
    pub async fn publish_template(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
        version: u32,
    ) -> Result<bool, StoreError> {
        if self.template_version(tenant, name, version).await?.is_none() {
            return Ok(false);
        }
        let set = vec![("published".to_owned(), version.into())];
        let key = keys::template(tenant, name);
        let only_if = vec![Check::Present];
        self.table.write(Write::Update { key, set, add: Vec::new(), remove: Vec::new(), only_if }).await?;
        self.remembered.heads.forget(&(tenant.clone(), name.clone()));
        Ok(true)
    }

    /// A page of a tenant's templates by name, and where the next begins.
    pub async fn templates(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<(String, TemplateHead)>, Option<String>), StoreError> {
        let page = self.table.query(&keys::partition(keys::templates(tenant), limit, after)).await?;
        let heads = page.items.into_iter().map(|(key, item)| Ok((key.sk().to_owned(), from_item(item)?)));
        Ok((heads.collect::<Result<_, StoreError>>()?, page.next))
    }

    /// A page of a template's versions, the oldest first, and where the next begins.
    pub async fn template_versions(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<u32>, Option<String>), StoreError> {
        let page =
            self.table.query(&keys::partition(keys::template_versions(tenant, name), limit, after)).await?;
        Ok((page.items.iter().filter_map(|(key, _)| key.sk().parse().ok()).collect(), page.next))
    }
}
