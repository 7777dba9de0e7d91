//! Deliveries that somebody asks for again: one, many, or decided anew.

use carillon_domain::{DeliveryId, Problem};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn retry(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, caller) = (request.part("delivery")?, request.caller()?);
    pipeline.retry(caller, &id, request.json_or_nothing()?).await?;
    view(pipeline, request, &id).await
}

pub(crate) async fn reconsider(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, caller) = (request.part("delivery")?, request.caller()?);
    pipeline.reconsider(caller, &id).await?;
    view(pipeline, request, &id).await
}

pub(crate) async fn retry_many(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    pipeline.retry_many(request.caller()?, request.json(&[])?).await.map(Answer::worked)
}

async fn view(pipeline: &Pipeline, request: &Request, id: &DeliveryId) -> Result<Answer, Problem> {
    let view = pipeline.delivery_view(&request.caller()?.tenant, id).await?;
    view.map(|view| Answer::ok(&view)).ok_or_else(|| Problem::not_found("delivery", id))
}
