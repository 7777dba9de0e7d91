//! Routes: one item per event type of a tenant.

use std::sync::Arc;

use carillon_domain::{EventType, Route, TenantId};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, Write};

impl Pipeline {
    /// The route of an event type, at most a moment old.
    pub async fn route(
        &self,
        tenant: &TenantId,
        event_type: &EventType,
    ) -> Result<Option<Arc<Route>>, StoreError> {
        let cached = (tenant.clone(), event_type.as_str().to_owned());
        if let Some(route) = self.remembered.routes.get(&cached, self.now()) {
            return Ok(Some(route));
        }
        let Some(item) = self.table.get(&keys::route(tenant, event_type)).await? else { return Ok(None) };
        Ok(Some(self.remembered.routes.put(cached, from_item(item)?, self.now())))
    }

    /// Stores a route. Answers whether it is new.
    pub async fn put_route(
        &self,
        tenant: &TenantId,
        event_type: &EventType,
        route: &Route,
    ) -> Result<bool, StoreError> {
        let key = keys::route(tenant, event_type);
        let new = self.table.get(&key).await?.is_none();
        self.table.write(Write::Put { key, item: to_item(route)?, only_if: Vec::new() }).await?;
        self.remembered.routes.forget(&(tenant.clone(), event_type.as_str().to_owned()));
        Ok(new)
    }

    /// Removes a route. Answers whether there was one.
    pub async fn delete_route(&self, tenant: &TenantId, event_type: &EventType) -> Result<bool, StoreError> {
        let write = Write::Delete { key: keys::route(tenant, event_type), only_if: vec![Check::Present] };
        self.remembered.routes.forget(&(tenant.clone(), event_type.as_str().to_owned()));
        match self.table.write(write).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A page of a tenant's routes by event type, and where the next begins.
    pub async fn routes(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<(String, Route)>, Option<String>), StoreError> {
        let page = self.table.query(&keys::partition(keys::routes(tenant), limit, after)).await?;
        let routes = page.items.into_iter().map(|(key, item)| Ok((key.sk().to_owned(), from_item(item)?)));
        Ok((routes.collect::<Result<_, StoreError>>()?, page.next))
    }
}
