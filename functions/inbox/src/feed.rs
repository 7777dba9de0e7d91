//! A recipient's feed, for the recipient with a token or for an app with its own key.

use carillon_domain::{DeliveryId, Priority, Problem, ProblemKind, RecipientId, RecipientKey, TenantId};
use carillon_pipeline::Pipeline;
use carillon_pipeline::inbox::{InboxFilter, Recent, item_view};
use carillon_pipeline::ports::StoreError;
use carillon_pipeline::recipient_tokens::Reader;
use carillon_pipeline::store::inbox_marks::{Mark, Shown};
use carillon_runtime::http::{Answer, Request};
use serde_json::{Value, json};

/// Whose feed a call is about. What the parameter `recipient` says must be true for a recipient, and a key needs it.
fn whose(pipeline: &Pipeline, request: &Request) -> Result<(TenantId, RecipientKey), Problem> {
    let reader = request.reader()?;
    let (tenant, named) = (reader.tenant().clone(), request.query_as::<RecipientId>("recipient")?);
    match (reader, named) {
        (Reader::Key(_), None) => Err(Problem::new(
            ProblemKind::Malformed,
            "Say whose inbox: the query parameter recipient is missing.",
        )),
        (Reader::Key(_), Some(named)) => {
            let key = pipeline.recipient_key(&tenant, &named);
            Ok((tenant, key))
        }
        (Reader::Recipient(token), named) => {
            let other = named.filter(|named| pipeline.recipient_key(&tenant, named) != token.recipient);
            other.map_or(Ok((tenant, token.recipient.clone())), |other| {
                Err(Problem::not_found("recipient", &other))
            })
        }
    }
}

/// The same, for somebody who is still there.
pub(crate) async fn known(
    pipeline: &Pipeline,
    request: &Request,
) -> Result<(TenantId, RecipientKey), Problem> {
    let (tenant, recipient) = whose(pipeline, request)?;
    if pipeline.is_recipient(&tenant, &recipient).await? {
        Ok((tenant, recipient))
    } else {
        Err(nobody(request))
    }
}

fn nobody(request: &Request) -> Problem {
    Problem::not_found("recipient", request.query("recipient").unwrap_or("of this token"))
}

/// A parameter of the query that is one of a closed list, in its JSON spelling.
fn word<T: serde::de::DeserializeOwned>(request: &Request, name: &str) -> Result<Option<T>, Problem> {
    let text = request.query(name);
    text.map(|text| serde_json::from_value(Value::from(text))).transpose().map_err(|_| {
        let detail = format!("The query parameter {name} has a value that it cannot have.");
        Problem::new(ProblemKind::Malformed, detail)
    })
}

pub(crate) async fn recent(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (tenant, recipient) = whose(pipeline, request)?;
    let seen = request.header("if-none-match")?.unwrap_or_default();
    let seen: Vec<&str> =
        seen.split(',').map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"')).collect();
    match pipeline.recent_in_inbox(&tenant, &recipient, &seen).await? {
        Recent::Nobody => Err(nobody(request)),
        Recent::Unchanged { tag } => Ok(Answer::not_modified().tagged(&tag)),
        Recent::Changed { tag, view } => Ok(Answer::ok(&view).tagged(&tag)),
    }
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let filter = InboxFilter {
        event_type: request.query_as("type")?,
        priority: word::<Priority>(request, "priority")?,
        origin: request.query_as("origin")?,
        unread: request.query_as("unread")?,
    };
    let window = request.window()?;
    let (tenant, recipient) = known(pipeline, request).await?;
    let (items, next) =
        pipeline.inbox_view(&tenant, &recipient, &filter, window.limit, window.cursor).await?;
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn unread_count(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (tenant, recipient) = known(pipeline, request).await?;
    Ok(Answer::ok(&json!({"unread_count": pipeline.inbox_head(&tenant, &recipient).await?.unread})))
}

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let ((tenant, recipient), id) =
        (known(pipeline, request).await?, request.part::<DeliveryId>("delivery")?);
    shown(pipeline.inbox_item(&tenant, &recipient, &id).await?, &id)
}

pub(crate) async fn mark(pipeline: &Pipeline, request: &Request, mark: Mark) -> Result<Answer, Problem> {
    let ((tenant, recipient), id) =
        (known(pipeline, request).await?, request.part::<DeliveryId>("delivery")?);
    match pipeline.mark_in_inbox(&tenant, &recipient, &id, mark).await {
        Err(StoreError::Conflict(_)) => {
            Err(Problem::new(ProblemKind::Conflict, "The item was archived: it is neither read nor unread."))
        }
        marked => shown(marked?, &id),
    }
}

fn shown(found: Option<Shown>, id: &DeliveryId) -> Result<Answer, Problem> {
    let found = found.ok_or_else(|| Problem::not_found("item", id))?;
    Ok(Answer::ok(&item_view(&found.item, &found.head)))
}

pub(crate) async fn read_all(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (tenant, recipient) = known(pipeline, request).await?;
    Ok(Answer::ok(&json!({"unread_count": pipeline.read_all(&tenant, &recipient).await?.unread})))
}
