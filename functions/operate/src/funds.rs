//! Credits and budgets.

use carillon_domain::Problem;
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn get_credits(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&pipeline.credits_view(&request.caller()?.tenant).await?))
}

pub(crate) async fn put_credits(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let tenant = &request.caller()?.tenant;
    Ok(Answer::ok(&pipeline.configure_credits(tenant, request.json(&[])?).await?))
}

pub(crate) async fn get_budgets(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&pipeline.budgets_view(&request.caller()?.tenant).await?))
}

pub(crate) async fn put_budgets(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let tenant = &request.caller()?.tenant;
    Ok(Answer::ok(&pipeline.configure_budgets(tenant, request.json(&[])?).await?))
}
