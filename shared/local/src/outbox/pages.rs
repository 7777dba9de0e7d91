//! `GET /dev/outbox`, `/dev/outbox.json` and `/dev/queues`: what the fake providers received, and how full the queues
//! are. Read by people, `carillon demo` and tests.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::page;
use crate::answer;
use crate::journal::{Journal, JournalError, chain};
use crate::queues::LocalQueues;

/// How many messages a page shows.
const PAGE_SIZE: usize = 25;

/// No script at all. Inline styles are allowed because an email's frame inherits this policy, and email is styled inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src https: data:; \
     frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The outbox page, its style sheet, and the same as JSON.
pub fn outbox(journal: Arc<Journal>) -> Router {
    Router::new()
        .route("/dev/outbox", get(show))
        .route("/dev/outbox.css", get(style))
        .route("/dev/outbox.json", get(list))
        .with_state(journal)
}

/// `{"events": {"visible", "in_flight", "oldest_age_s", "dead_letters"}, ...}`.
pub fn queues(queues: Arc<LocalQueues>) -> Router {
    Router::new().route("/dev/queues", get(count)).with_state(queues)
}

async fn show(State(journal): State<Arc<Journal>>, uri: Uri) -> Response {
    let before = match before(&uri) {
        Ok(before) => before,
        Err(value) => {
            let detail = format!("before={value}: give the number of a message, as the page's own links do");
            return (StatusCode::BAD_REQUEST, detail).into_response();
        }
    };
    let items = match super::before(&journal, before, PAGE_SIZE).await {
        Ok(items) => items,
        Err(error) => return failed(&error),
    };
    let html = match page::render(&items, before.is_some(), items.len() == PAGE_SIZE) {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "the outbox page cannot be rendered");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    secured("text/html; charset=utf-8", html)
}

async fn style() -> Response {
    secured("text/css; charset=utf-8", page::STYLE.to_owned())
}

async fn list(State(journal): State<Arc<Journal>>) -> Response {
    match super::all(&journal).await {
        Ok(items) => answer::json(StatusCode::OK, &json!({"items": items})),
        Err(error) => failed(&error),
    }
}

async fn count(State(queues): State<Arc<LocalQueues>>) -> Response {
    match queues.counts().await {
        Ok(counts) => answer::json(StatusCode::OK, &counts),
        Err(error) => failed(&error),
    }
}

/// `?before=`, or its value when that is not a number.
fn before(uri: &Uri) -> Result<Option<i64>, String> {
    let query = uri.query().unwrap_or_default();
    let value = query.split('&').find_map(|pair| pair.strip_prefix("before="));
    value.map(|value| value.parse().map_err(|_| value.to_owned())).transpose()
}

fn secured(content_type: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let headers: [(HeaderName, HeaderValue); 5] =
        headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, body).into_response()
}

fn failed(error: &JournalError) -> Response {
    tracing::error!(error = %chain(error), "the journal cannot be read");
    (StatusCode::INTERNAL_SERVER_ERROR, "the journal cannot be read; the log says why").into_response()
}
