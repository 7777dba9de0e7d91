//! People in number, and what holds for all of them: suppressions, settings, import, normalise, search, cleaning.

use carillon_domain::parse::from_value;
use carillon_domain::{FieldError, Problem, ProblemKind};
use carillon_pipeline::Pipeline;
use carillon_pipeline::jobs::JobInput;
use carillon_runtime::http::{Answer, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::directory::recipient_json;

pub(crate) async fn list_suppressions(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let (found, next) = pipeline.suppressions(&request.caller()?.tenant, window.limit, window.cursor).await?;
    let items: Vec<Value> = found.iter().map(|entry| json!(entry)).map(with_time).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

/// Stored times are milliseconds; answers are RFC 3339.
fn with_time(mut entry: Value) -> Value {
    let at =
        entry["created_at"].as_i64().and_then(|ms| carillon_domain::Timestamp::from_millisecond(ms).ok());
    entry["created_at"] = json!(at);
    entry
}

pub(crate) async fn post_suppression(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let entry = pipeline.configure_suppression(&request.caller()?.tenant, request.json(&[])?).await?;
    Ok(Answer::json(201, &with_time(entry)))
}

pub(crate) async fn delete_suppression(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id: String = request.part("suppression")?;
    if pipeline.unsuppress(&request.caller()?.tenant, &id).await? {
        return Ok(Answer::no_content());
    }
    Err(Problem::not_found("suppression", &id))
}

pub(crate) async fn get_settings(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&json!(*pipeline.settings(&request.caller()?.tenant).await?)))
}

pub(crate) async fn put_settings(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let settings = pipeline.configure_settings(&request.caller()?.tenant, request.json(&[])?).await?;
    Ok(Answer::ok(&json!(settings)))
}

pub(crate) async fn import(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let media_type = request.header("content-type")?.unwrap_or_default();
    if !media_type.starts_with("application/x-ndjson") {
        let detail = format!("Send Content-Type: application/x-ndjson; this was {media_type:?}.");
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    }
    Ok(Answer::ok(&pipeline.import_recipients(&request.caller()?.tenant, request.body()).await?))
}

#[derive(Deserialize)]
struct Normalise {
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn normalise(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let Normalise { dry_run } = from_value(request.json(&[])?)?;
    let input = JobInput::Normalise { dry_run };
    pipeline.work_or_start_job(&request.caller()?.tenant, input).await.map(Answer::worked)
}

pub(crate) async fn cleanup(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    pipeline.cleanup(request.caller()?, request.json_or_nothing()?).await.map(Answer::worked)
}

#[derive(Deserialize)]
struct Search {
    query: String,
}

pub(crate) async fn search(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let Search { query } = from_value(request.json(&[])?)?;
    if query.trim().is_empty() {
        return Err(FieldError::new("/query", "must not be empty").into());
    }
    let found = pipeline.search_recipients(&request.caller()?.tenant, &query).await?;
    let items: Vec<Value> = found.iter().map(|(id, recipient)| recipient_json(id, recipient)).collect();
    Ok(Answer::list(&items, None))
}
