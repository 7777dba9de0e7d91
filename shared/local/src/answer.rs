//! HTTP answers in JSON, for the fake providers and the dev cloud's own endpoints, and the bodies that the latter read.

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use carillon_domain::{Problem, ProblemKind, parse as typed};
use carillon_runtime::http::Answer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An answer with a JSON body.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A problem, as the API answers it.
pub(crate) fn problem(problem: &Problem, path: &str) -> Response {
    Answer::problem(problem, path).into_response().map(|bytes| Body::from(Bytes::from(bytes)))
}

/// A JSON body as its type, as strict as the API: unknown fields are faults with pointers.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let value = serde_json::from_slice(body)
        .map_err(|error| Problem::new(ProblemKind::Malformed, format!("The body is not JSON: {error}.")))?;
    typed::from_value(value).map_err(Problem::from)
}
