//! `POST /dev/ses-events`: an SES event from outside, on the path of the fake's own: to the receipts queue, as EventBridge
//! delivers it. Tests call it, with events that the fake never makes.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use carillon_domain::{FieldError, Problem, ProblemKind};
use serde_json::{Value, json};

use super::EventSink;
use crate::answer;

const PATH: &str = "/dev/ses-events";

/// The endpoint, in front of whoever takes events.
pub(crate) fn routes(sink: EventSink) -> Router {
    Router::new().route(PATH, post(take)).with_state(sink)
}

async fn take(State(sink): State<EventSink>, body: Bytes) -> Response {
    match taken(&sink, &body).await {
        Ok(()) => answer::json(StatusCode::ACCEPTED, &json!({"queued": true})),
        Err(problem) => answer::problem(&problem, PATH),
    }
}

async fn taken(sink: &EventSink, body: &[u8]) -> Result<(), Problem> {
    let event: Value = answer::parse(body)?;
    // The rule of template.yaml lets only these through.
    if event["source"] != "aws.ses" {
        return Err(FieldError::new("/source", "EventBridge delivers events whose source is aws.ses").into());
    }
    if !event["detail"].is_object() {
        return Err(FieldError::new("/detail", "the event of SES is an object in here").into());
    }
    sink(event).await.map_err(|error| Problem::new(ProblemKind::Unavailable, error))
}
