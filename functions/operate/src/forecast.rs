//! What will be sent over the coming days.

use carillon_domain::Problem;
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let days = request.query_as("days")?;
    Ok(Answer::ok(&pipeline.forecast(&request.caller()?.tenant, days).await?))
}

pub(crate) async fn compare(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&pipeline.forecast_with(&request.caller()?.tenant, request.json(&[])?).await?))
}
