//! Packs: groups, templates and routes in one call.

use carillon_domain::Problem;
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn put(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, body) = (request.naming("pack")?, request.json(&[])?);
    let dry_run = request.query_as::<bool>("dry_run")?.unwrap_or(false);
    Ok(Answer::ok(&pipeline.apply_pack(&request.caller()?.tenant, &name, body, dry_run).await?))
}
