//! Long work: how far a job is, and what came of it.

use carillon_domain::Problem;
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};
use serde_json::json;

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part("job")?;
    let job = pipeline.job(&request.caller()?.tenant, &id).await?;
    let job = job.ok_or_else(|| Problem::not_found("job", &id))?;
    let mut view = json!({
        "id": job.id,
        "kind": job.input.kind(),
        "state": job.state,
        "progress": job.progress,
        "created_at": job.created_at,
        "changed_at": job.changed_at,
    });
    if let Some(result) = job.result {
        view["result"] = result;
    }
    if let Some(problem) = job.problem {
        view["problem"] = problem;
    }
    Ok(Answer::ok(&view))
}
