//! What a recipient's own token opens beside the feed: what they want to hear. And the token itself, for the tenant's
//! backend.

use carillon_domain::{Problem, RecipientId, TenantId};
use carillon_pipeline::Pipeline;
use carillon_pipeline::recipient_tokens::Reader;
use carillon_runtime::http::{Answer, Request};
use serde_json::json;

/// The recipient in the path. For somebody else's token there is no such recipient.
fn whose(pipeline: &Pipeline, request: &Request) -> Result<(TenantId, RecipientId), Problem> {
    let (reader, id) = (request.reader()?, request.part::<RecipientId>("recipient")?);
    let tenant = reader.tenant().clone();
    match reader {
        Reader::Recipient(token) if token.recipient != pipeline.recipient_key(&tenant, &id) => {
            Err(Problem::not_found("recipient", &id))
        }
        _ => Ok((tenant, id)),
    }
}

pub(crate) async fn get_preferences(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (tenant, id) = whose(pipeline, request)?;
    let found = pipeline.stored_recipient(&tenant, &id).await?;
    found.map(|r| Answer::ok(&json!(r.preferences))).ok_or_else(|| Problem::not_found("recipient", &id))
}

pub(crate) async fn put_preferences(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let ((tenant, id), body) = (whose(pipeline, request)?, request.json(&[])?);
    Ok(Answer::ok(&json!(pipeline.configure_preferences(&tenant, &id, body).await?)))
}

pub(crate) async fn post_token(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part::<RecipientId>("recipient")?;
    let (text, token) = pipeline.issue_recipient_token(&request.caller()?.tenant, &id).await?;
    Ok(Answer::ok(&json!({"token": text, "expires_at": token.expires_at})))
}
