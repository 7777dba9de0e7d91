//! `GET` and `POST /dev/faults`: what goes wrong at the fake providers. Each post replaces everything; `{}` clears it.
//! Tests and people call it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use carillon_domain::{Channel, FieldError, Problem, ProblemKind};
use carillon_pipeline::ports::Entropy;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Faults, Switch};
use crate::answer;
use crate::fakes::random_bytes;

const PATH: &str = "/dev/faults";

/// No provider takes longer, and no caller waits so long.
const MOST_LATENCY_MS: u64 = 600_000;

/// The switches of a cloud; none for a channel whose provider is not a fake.
#[derive(Clone)]
pub(crate) struct Switches {
    pub(crate) whatsapp: Option<Arc<Switch>>,
    pub(crate) email: Option<Arc<Switch>>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    whatsapp: Option<Faults>,
    email: Option<Faults>,
    /// Where the dice begin; the same calls in the same order meet the same faults.
    seed: Option<u32>,
}

/// The endpoint of these switches.
pub(crate) fn routes(switches: Switches) -> Router {
    Router::new().route(PATH, get(show).post(replace)).with_state(switches)
}

async fn show(State(switches): State<Switches>) -> Response {
    answer::json(StatusCode::OK, &shown(&switches))
}

async fn replace(State(switches): State<Switches>, body: Bytes) -> Response {
    match replaced(&switches, &body).await {
        Ok(seed) => {
            let mut answered = shown(&switches);
            answered["seed"] = json!(seed);
            answer::json(StatusCode::OK, &answered)
        }
        Err(problem) => answer::problem(&problem, PATH),
    }
}

async fn replaced(switches: &Switches, body: &[u8]) -> Result<u32, Problem> {
    let wanted: Wanted = answer::parse(body)?;
    let faulty: Vec<FieldError> = [(Channel::Whatsapp, &wanted.whatsapp), (Channel::Email, &wanted.email)]
        .into_iter()
        .flat_map(|(channel, faults)| faults.iter().flat_map(move |faults| impossible(channel, faults)))
        .collect();
    if !faulty.is_empty() {
        return Err(faulty.into());
    }
    let seed = wanted.seed.unwrap_or_else(|| u32::from_be_bytes(random_bytes(&*switches.entropy)));
    let each = [
        (Channel::Whatsapp, &switches.whatsapp, wanted.whatsapp),
        (Channel::Email, &switches.email, wanted.email),
    ];
    for (channel, switch, faults) in &each {
        if switch.is_none() && faults.is_some() {
            let detail = format!(
                "The provider of {channel} is not the built-in fake, so nothing can be made to fail."
            );
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
    }
    for (number, (_, switch, faults)) in (0_u64..).zip(each) {
        if let Some(switch) = switch {
            // Dice of its own for each provider: what one is asked does not change the other's throws.
            switch.set(faults.unwrap_or_default(), u64::from(seed) + (number << 32)).await;
        }
    }
    Ok(seed)
}

/// What no provider could do.
fn impossible(channel: Channel, faults: &Faults) -> Vec<FieldError> {
    let mut found = Vec::new();
    if faults.latency_ms > MOST_LATENCY_MS {
        let pointer = format!("/{channel}/latency_ms");
        found.push(FieldError::new(pointer, format!("at most {MOST_LATENCY_MS}")));
    }
    let expected = match (channel, faults.refuse.as_ref().map(|refuse| &refuse.code)) {
        (_, None) => None,
        (Channel::Email, Some(Value::String(name))) if is_name(name) => None,
        (Channel::Email, _) => Some("the name of an error of SES, such as \"TooManyRequestsException\""),
        (_, Some(code)) if code.as_u64().is_some_and(|code| u32::try_from(code).is_ok()) => None,
        _ => Some("an error code of Meta, such as 131026"),
    };
    found.extend(expected.map(|detail| FieldError::new(format!("/{channel}/refuse/code"), detail)));
    found
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn shown(switches: &Switches) -> Value {
    let of = |switch: &Option<Arc<Switch>>| switch.as_ref().map(|switch| switch.faults());
    json!({"whatsapp": of(&switches.whatsapp), "email": of(&switches.email)})
}
