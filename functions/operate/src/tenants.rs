//! Tenants.

use carillon_domain::{Problem, TenantId};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};
use serde_json::json;

pub(crate) async fn put(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, body) = (request.naming("tenant")?, request.json(&[])?);
    let (new, tenant) = pipeline.configure_tenant(id, body).await?;
    Ok(Answer::put(new, &json!(tenant)))
}

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id: TenantId = request.part("tenant")?;
    let found = pipeline.tenant(&id).await?;
    found.map(|tenant| Answer::ok(&json!(*tenant))).ok_or_else(|| Problem::not_found("tenant", &id))
}
