//! `GET` and `POST /dev/clock`: what time it is in the cloud, and moving it. Read and called by tests, and by people who
//! do not want to wait for a reminder.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use carillon_domain::{FieldError, Problem, ProblemKind};
use carillon_pipeline::ports::Clock;
use serde::Deserialize;
use serde_json::json;

use super::TimeKeeper;
use crate::answer;
use crate::journal::chain;

const PATH: &str = "/dev/clock";

/// Ten years: far enough for every test, and no calendar ends on the way.
const MOST_S: u64 = 10 * 366 * 86_400;

#[derive(Clone)]
struct Times {
    clock: Arc<dyn Clock>,
    /// Whoever moves the clock; nobody when it is the machine's.
    keeper: Option<Arc<TimeKeeper>>,
}

#[derive(Deserialize)]
struct Advance {
    advance_s: u64,
}

/// The endpoint of a clock.
pub(crate) fn routes(clock: Arc<dyn Clock>, keeper: Option<Arc<TimeKeeper>>) -> Router {
    Router::new().route(PATH, get(show).post(advance)).with_state(Times { clock, keeper })
}

async fn show(State(times): State<Times>) -> Response {
    now(&times)
}

async fn advance(State(times): State<Times>, body: Bytes) -> Response {
    match moved(&times, &body).await {
        Ok(()) => now(&times),
        Err(problem) => answer::problem(&problem, PATH),
    }
}

async fn moved(times: &Times, body: &[u8]) -> Result<(), Problem> {
    let Advance { advance_s } = answer::parse(body)?;
    if advance_s > MOST_S {
        return Err(FieldError::new("/advance_s", format!("at most {MOST_S} seconds at a time")).into());
    }
    let Some(keeper) = &times.keeper else {
        let detail = "The clock is the machine's; start the dev cloud with --clock virtual to move it.";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    };
    keeper.advance(Duration::from_secs(advance_s)).await.map_err(|error| {
        tracing::error!(error = %chain(&error), "the clock was not moved all the way");
        Problem::new(ProblemKind::Internal, format!("The clock was not moved all the way: {error}."))
    })?;
    Ok(())
}

fn now(times: &Times) -> Response {
    let clock = if times.keeper.is_some() { "virtual" } else { "real" };
    answer::json(StatusCode::OK, &json!({"now": times.clock.now(), "clock": clock}))
}
