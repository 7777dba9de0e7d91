//! Schedules, and sweeps that somebody runs by hand.

use carillon_domain::{FieldError, Problem, ScheduleName, Sweep};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&pipeline.schedules_view(&request.caller()?.tenant).await?))
}

pub(crate) async fn put(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, body) = (request.naming::<ScheduleName>("schedule")?, request.json(&[])?);
    let (new, view) = pipeline.configure_schedule(&request.caller()?.tenant, &name, body).await?;
    Ok(Answer::put(new, &view))
}

pub(crate) async fn delete(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let name: ScheduleName = request.part("schedule")?;
    if pipeline.remove_schedule(&request.caller()?.tenant, &name).await? {
        Ok(Answer::no_content())
    } else {
        Err(Problem::not_found("schedule", &name))
    }
}

pub(crate) async fn run(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let text: String = request.part("sweep")?;
    let sweep: Sweep = text.parse().map_err(|()| unknown(&text))?;
    Ok(Answer::ok(&pipeline.run_sweep(request.caller()?, sweep).await?))
}

fn unknown(text: &str) -> Problem {
    let known = Sweep::ALL.map(Sweep::as_str).join(", ");
    vec![FieldError::new("", format!("the sweep in the path, {text:?}, is none of {known}"))].into()
}
