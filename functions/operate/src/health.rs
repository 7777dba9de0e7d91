//! How a tenant is, and its problems.

use carillon_domain::Problem;
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&pipeline.health_view(request.caller()?).await?))
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let (items, next) =
        pipeline.problems_view(&request.caller()?.tenant, window.limit, window.cursor).await?;
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn report(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let view = pipeline.report_problem(request.caller()?, request.json(&[])?).await?;
    Ok(Answer::json(201, &view))
}

pub(crate) async fn resolve(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id: String = request.part("problem")?;
    Ok(Answer::ok(&pipeline.resolve_problem(request.caller()?, &id).await?))
}
