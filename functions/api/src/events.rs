//! Events and deliveries: the log, and previews.

use carillon_domain::{EventType, Problem, StateKind};
use carillon_pipeline::Pipeline;
use carillon_pipeline::read::DeliveryFilter;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn preview(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let body = request.json(&["application/cloudevents+json"])?;
    Ok(Answer::ok(&pipeline.preview_event(request.caller()?, body).await?))
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let event_type = request.query_as::<EventType>("type")?;
    let tenant = &request.caller()?.tenant;
    let (items, next) = pipeline.events_view(tenant, event_type.as_ref(), &request.log_page()?).await?;
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part("event")?;
    let view = pipeline.event_view(&request.caller()?.tenant, &id).await?;
    view.map(|view| Answer::ok(&view)).ok_or_else(|| Problem::not_found("event", &id))
}

pub(crate) async fn deliveries_of(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, tenant) = (request.part("event")?, &request.caller()?.tenant);
    if pipeline.event(tenant, &id).await?.is_none() {
        return Err(Problem::not_found("event", &id));
    }
    let window = request.window()?;
    let (found, next) = pipeline.deliveries_of(tenant, &id, window.limit, window.cursor).await?;
    Ok(Answer::list(&pipeline.delivery_views(tenant, &found).await?, next.as_deref()))
}

pub(crate) async fn explain(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part("event")?;
    let only = request.query_as("recipient")?;
    let explained = pipeline.explain(&request.caller()?.tenant, &id, only.as_ref()).await?;
    explained.map(|view| Answer::ok(&view)).ok_or_else(|| Problem::not_found("event", &id))
}

pub(crate) async fn cancel(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    pipeline.cancel(request.caller()?, &request.part("event")?).await.map(Answer::worked)
}

pub(crate) async fn acknowledge(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, body) = (request.part("event")?, request.json_or_nothing()?);
    pipeline.acknowledge(request.caller()?, &id, body).await.map(Answer::worked)
}

pub(crate) async fn prove(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    pipeline.prove(request.caller()?, request.json(&[])?).await.map(Answer::worked)
}

pub(crate) async fn list_deliveries(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let filter = DeliveryFilter {
        state: request.query_as::<StateKind>("state")?,
        channel: request.query_as("channel")?,
        recipient: request.query_as("recipient")?,
        event_type: request.query_as("event_type")?,
        subject: request.query("subject").map(str::to_owned),
    };
    let (items, next) =
        pipeline.deliveries_view(&request.caller()?.tenant, &filter, &request.log_page()?).await?;
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn get_delivery(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part("delivery")?;
    let view = pipeline.delivery_view(&request.caller()?.tenant, &id).await?;
    view.map(|view| Answer::ok(&view)).ok_or_else(|| Problem::not_found("delivery", &id))
}
