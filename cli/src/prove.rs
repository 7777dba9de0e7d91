//! `carillon prove`: compares what was accepted in a period with what became of it; exit code 1 when something does not add
//! up.

use std::fmt::Write as _;

use carillon_domain::Timestamp;
use clap::Args;
use serde_json::{Value, json};

use crate::client::Client;
use crate::job;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::words::counted;

/// `carillon prove`.
#[derive(Debug, Args)]
pub struct Prove {
    /// From this instant on, such as 2026-11-20T09:00:00Z; a day before `--to` when absent.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,

    /// Before this instant; now when absent.
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

/// Proves.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn prove(client: &Client, wanted: &Prove, now: Timestamp) -> Result<Done, Failure> {
    let to = wanted.to.unwrap_or(now);
    let day_before = || Timestamp::from_second(to.as_second() - 86_400).unwrap_or(Timestamp::MIN);
    let from = wanted.from.unwrap_or_else(day_before);
    let answer = client.post("/v1/system/prove", &json!({"from": from, "to": to})).await?;
    Ok(proved(job::follow(client, answer, "adding up").await?))
}

fn proved(json: Value) -> Done {
    let count = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let mut text = format!(
        "{} accepted, {} planned\n",
        counted(count(&json["accepted"]), "event"),
        counted(count(&json["planned"]), "message")
    );
    for (state, n) in json["states"].as_object().into_iter().flatten() {
        // Writing to a String does not fail.
        writeln!(text, "  {state:<10} {n}").unwrap_or_default();
    }
    let faults = json["faults"].as_array().cloned().unwrap_or_default();
    for fault in &faults {
        writeln!(text, "event {}: {}", field(fault, "event_id"), field(fault, "what")).unwrap_or_default();
    }
    if let Some(more) = json["more_faults"].as_u64() {
        writeln!(text, "and {more} more").unwrap_or_default();
    }
    let balanced = json["balanced"] == true;
    text.push_str(if balanced { "everything adds up" } else { "it does not add up" });
    Done { text, json, found_fault: !balanced }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_add_up_is_named_and_a_fault() {
        let proof = json!({
            "accepted": 1, "planned": 2, "states": {"sent": 1}, "balanced": false,
            "faults": [{"event_id": "e", "what": "2 deliveries were planned and 1 are there"}]
        });
        let done = proved(proof);
        assert!(done.found_fault);
        assert_eq!(
            done.text,
            "1 event accepted, 2 messages planned\n  sent       1\n\
             event e: 2 deliveries were planned and 1 are there\nit does not add up"
        );
    }
}
