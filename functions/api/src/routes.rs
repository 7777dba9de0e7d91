//! Routes.

use carillon_domain::{EventType, Problem, Route};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};
use serde_json::{Value, json};

fn route_json(event_type: &str, route: &Route) -> Value {
    let mut view = json!(route);
    view["event_type"] = json!(event_type);
    view
}

pub(crate) async fn put(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (event_type, body) = (request.naming::<EventType>("event_type")?, request.json(&[])?);
    let (new, route) = pipeline.configure_route(&request.caller()?.tenant, &event_type, body).await?;
    Ok(Answer::put(new, &route_json(event_type.as_str(), &route)))
}

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let event_type: EventType = request.part("event_type")?;
    let found = pipeline.route(&request.caller()?.tenant, &event_type).await?;
    let found = found.ok_or_else(|| Problem::not_found("route", &event_type))?;
    Ok(Answer::ok(&route_json(event_type.as_str(), &found)))
}

pub(crate) async fn delete(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let event_type = request.part("event_type")?;
    if pipeline.delete_route(&request.caller()?.tenant, &event_type).await? {
        Ok(Answer::no_content())
    } else {
        Err(Problem::not_found("route", &event_type))
    }
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let (routes, next) = pipeline.routes(&request.caller()?.tenant, window.limit, window.cursor).await?;
    let items: Vec<Value> = routes.iter().map(|(event_type, route)| route_json(event_type, route)).collect();
    Ok(Answer::list(&items, next.as_deref()))
}
