//! intake: accepts events. Reads the key, the route and the recipients that an event names; writes the event and puts it
//! on the events queue. fan-out comes next.

pub mod config;

use carillon_domain::{FieldError, Problem, ProblemKind, Scope};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Call, Request, Verb};
use serde::Deserialize;
use serde_json::{Value, json};

/// The largest event: 256 KiB.
const EVENT_LIMIT: usize = 262_144;

/// How many events a batch may hold.
const BATCH_EVENTS: usize = 100;

/// The calls that this function answers.
pub const CALLS: &[Call] = &[
    Call::keyed(Verb::Post, "/v1/events", Scope::EventsWrite, |p, r| Box::pin(post(p, r)))
        .limited(EVENT_LIMIT),
    Call::keyed(Verb::Post, "/v1/events/batch", Scope::EventsWrite, |p, r| Box::pin(post_batch(p, r))),
];

async fn post(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let body = request.json(&["application/cloudevents+json"])?;
    let accepted = pipeline.accept(request.caller()?, body, request.header("idempotency-key")?).await?;
    let answer = json!({"event_id": accepted.event_id, "status": "accepted", "replayed": accepted.replayed});
    Ok(Answer::json(202, &answer).at(format!("/v1/events/{}", accepted.event_id)))
}

#[derive(Deserialize)]
struct Batch {
    events: Vec<Value>,
}

async fn post_batch(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    if request.header("idempotency-key")?.is_some() {
        let detail = "A batch takes no Idempotency-Key header: each event has its own source and id.";
        return Err(Problem::new(ProblemKind::Malformed, detail));
    }
    let batch: Batch = carillon_domain::parse::from_value(request.json(&[])?)?;
    if batch.events.is_empty() || batch.events.len() > BATCH_EVENTS {
        return Err(FieldError::new("/events", format!("must hold 1 to {BATCH_EVENTS} events")).into());
    }
    let mut results = Vec::with_capacity(batch.events.len());
    for (i, event) in batch.events.into_iter().enumerate() {
        results.push(match accept_one(pipeline, request, event).await {
            Ok(result) => result,
            Err(mut problem) => {
                let at = format!("/events/{i}");
                problem.errors = problem.errors.into_iter().map(|error| error.under(&at)).collect();
                json!({"status": problem.kind.status(), "problem": problem.to_json(&format!("/v1/events/batch#{at}"))})
            }
        });
    }
    Ok(Answer::json(207, &json!({"results": results})))
}

async fn accept_one(pipeline: &Pipeline, request: &Request, event: Value) -> Result<Value, Problem> {
    if event.to_string().len() > EVENT_LIMIT {
        return Err(Problem::new(
            ProblemKind::TooLarge,
            format!("An event has at most {EVENT_LIMIT} bytes."),
        ));
    }
    let accepted = pipeline.accept(request.caller()?, event, None).await?;
    Ok(json!({"status": 202, "event_id": accepted.event_id, "replayed": accepted.replayed}))
}
