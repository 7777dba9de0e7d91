//! What the platform puts: tenants. Checked whole before anything changes; the keys, the directory and the packs of a
//! tenant come after it.

use carillon_domain::parse::from_value;
use carillon_domain::{Problem, Tenant, TenantId};
use serde::Deserialize;
use serde_json::Value;

use crate::context::Pipeline;

/// A tenant as it is posted; its id stands in the path.
#[derive(Debug, Deserialize)]
pub struct TenantInput {
    name: String,
    locale: String,
    time_zone: String,
    region: String,
}

impl Pipeline {
    /// Puts a tenant. Answers whether it is new, and the tenant as stored.
    ///
    /// # Errors
    /// 422 for a locale, a time zone or a region that there is not.
    pub async fn configure_tenant(&self, id: TenantId, body: Value) -> Result<(bool, Tenant), Problem> {
        let TenantInput { name, locale, time_zone, region } = from_value(body)?;
        let tenant = Tenant { id, name, locale, time_zone, region };
        let faults = tenant.faults();
        if !faults.is_empty() {
            return Err(faults.into());
        }
        Ok((self.put_tenant(&tenant).await?, tenant))
    }
}
