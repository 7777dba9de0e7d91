//! Keys: made, listed, removed. The text of a key is in the answer that makes it and nowhere else.

use carillon_domain::{Problem, TenantId};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};
use serde_json::{Value, json};

pub(crate) async fn post(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let issued = pipeline.issue_key(request.caller()?, request.json(&[])?).await?;
    let mut view = json!(issued.key);
    view["key"] = json!(issued.text);
    Ok(Answer::json(201, &view).at(format!("/v1/keys/{}", issued.key.id)))
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (window, tenant) = (request.window()?, request.query_as::<TenantId>("tenant")?);
    let (keys, next) =
        pipeline.issued_keys(request.caller()?, tenant.as_ref(), window.limit, window.cursor).await?;
    let items: Vec<Value> = keys.iter().map(|key| json!(key)).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn delete(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, tenant) = (request.part::<String>("key")?, request.query_as::<TenantId>("tenant")?);
    if pipeline.revoke_key(request.caller()?, tenant.as_ref(), &id).await? {
        Ok(Answer::no_content())
    } else {
        Err(Problem::not_found("key", &id))
    }
}
