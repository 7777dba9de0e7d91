//! A recipient's feed, for an app that shows it with its own key.

use carillon_domain::{Problem, ProblemKind, RecipientId, RecipientKey};
use carillon_pipeline::Pipeline;
use carillon_pipeline::store::inbox::InboxItem;
use carillon_runtime::http::{Answer, Request};
use serde_json::{Value, json};

async fn whose(pipeline: &Pipeline, request: &Request) -> Result<RecipientKey, Problem> {
    let named = request.query_as::<RecipientId>("recipient")?;
    let named = named.ok_or_else(|| {
        Problem::new(ProblemKind::Malformed, "Say whose inbox: the query parameter recipient is missing.")
    })?;
    let tenant = &request.caller()?.tenant;
    if pipeline.recipient(tenant, &named).await?.is_none() {
        return Err(Problem::not_found("recipient", &named));
    }
    Ok(pipeline.recipient_key(tenant, &named))
}

fn item_json(item: &InboxItem) -> Value {
    json!({
        "id": item.id,
        "title": item.title,
        "body": item.body,
        "type": item.event_type,
        "priority": item.priority,
        "origin": "user",
        "action_url": item.action_url,
        "created_at": item.created_at,
        "read_at": item.read_at,
    })
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (recipient, window) = (whose(pipeline, request).await?, request.window()?);
    let (found, next) =
        pipeline.inbox(&request.caller()?.tenant, &recipient, window.limit, window.cursor).await?;
    let items: Vec<Value> = found.iter().map(item_json).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn unread_count(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let recipient = whose(pipeline, request).await?;
    let count = pipeline.unread_count(&request.caller()?.tenant, &recipient).await?;
    Ok(Answer::ok(&json!({"unread_count": count})))
}
