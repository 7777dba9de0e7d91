//! Templates: versions, publishing, previews.

use carillon_domain::parse::from_value;
use carillon_domain::{FieldError, Problem, RecipientId, TemplateName};
use carillon_pipeline::Pipeline;
use carillon_pipeline::preview::TemplatePreview;
use carillon_runtime::http::{Answer, Request};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(crate) async fn put(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, body) = (request.naming("template")?, request.json(&[])?);
    let publish = request.query_as::<bool>("publish")?.unwrap_or(false);
    let (new, view) = pipeline.configure_template(&request.caller()?.tenant, &name, body, publish).await?;
    Ok(Answer::put(new, &view))
}

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, tenant) = (request.part::<TemplateName>("template")?, &request.caller()?.tenant);
    let head =
        pipeline.template_head(tenant, &name).await?.ok_or_else(|| Problem::not_found("template", &name))?;
    let version = request.query_as::<u32>("version")?.or(head.published).unwrap_or(head.latest);
    let found = pipeline.template_version(tenant, &name, version).await?;
    let found = found.ok_or_else(|| Problem::not_found("version", version))?;
    let status = if head.published == Some(version) { "published" } else { "draft" };
    Ok(Answer::ok(&json!({
        "name": name,
        "version": version,
        "status": status,
        "published": head.published,
        "latest": head.latest,
        "locales": found.template.locales,
    })))
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let (heads, next) = pipeline.templates(&request.caller()?.tenant, window.limit, window.cursor).await?;
    let named = |(name, head): &(String, _)| {
        let mut view = json!(head);
        view["name"] = json!(name);
        view
    };
    let items: Vec<Value> = heads.iter().map(named).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn versions(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, tenant) = (request.part::<TemplateName>("template")?, &request.caller()?.tenant);
    let head =
        pipeline.template_head(tenant, &name).await?.ok_or_else(|| Problem::not_found("template", &name))?;
    let window = request.window()?;
    let (versions, next) = pipeline.template_versions(tenant, &name, window.limit, window.cursor).await?;
    let shown = |version: &u32| {
        let status = if head.published == Some(*version) { "published" } else { "draft" };
        json!({"name": name, "version": version, "status": status})
    };
    let items: Vec<Value> = versions.iter().map(shown).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

#[derive(Deserialize)]
struct Publish {
    version: u32,
}

pub(crate) async fn publish(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, tenant) = (request.part::<TemplateName>("template")?, &request.caller()?.tenant);
    let Publish { version } = from_value(request.json(&[])?)?;
    if pipeline.template_head(tenant, &name).await?.is_none() {
        return Err(Problem::not_found("template", &name));
    }
    if !pipeline.publish_template(tenant, &name, version).await? {
        return Err(FieldError::new("/version", "there is no such version").into());
    }
    Ok(Answer::ok(&json!({"name": name, "version": version, "status": "published"})))
}

#[derive(Deserialize)]
struct Preview {
    #[serde(default)]
    data: Map<String, Value>,
    recipient: Option<RecipientId>,
    locale: Option<String>,
    version: Option<u32>,
}

pub(crate) async fn preview(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let name = request.part("template")?;
    let Preview { data, recipient, locale, version } = from_value(request.json(&[])?)?;
    let job = TemplatePreview { name, version, data, recipient, locale };
    Ok(Answer::ok(&pipeline.preview_template(&request.caller()?.tenant, &job).await?))
}
