//! `carillon explain`: every decision about an event, in order: who was told, on which channel, and why not.

use clap::Args;
use serde_json::Value;

use crate::client::{Client, encoded};
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::table::table;

/// `carillon explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The event's id, as posting it answers.
    #[arg(value_name = "EVENT")]
    event: String,

    /// Only what concerns this recipient.
    #[arg(long, value_name = "ID")]
    recipient: Option<String>,
}

/// Asks.
///
/// # Errors
/// When there is no such event, or the API cannot be reached.
pub async fn explain(client: &Client, arguments: &Explain) -> Result<Done, Failure> {
    let query = arguments.recipient.as_deref().map(|id| format!("?recipient={}", encoded(id)));
    let path = format!("/v1/events/{}/explain{}", encoded(&arguments.event), query.unwrap_or_default());
    let json = client.get(&path).await?;
    let decisions = json["decisions"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Done { text: rows(decisions), json, found_fault: false })
}

fn rows(decisions: &[Value]) -> String {
    let names = ["at", "recipient_id", "channel", "step", "outcome", "reason"];
    let rows: Vec<[String; 6]> = decisions.iter().map(|d| names.map(|name| field(d, name))).collect();
    table(["at", "recipient", "channel", "step", "outcome", "reason"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_decision_has_its_line() {
        let at = "2026-11-20T09:00:00Z";
        let decisions = [
            json!({"at": at, "step": "accepted", "outcome": "event stored"}),
            json!({"at": at, "recipient_id": "ada", "channel": "email", "step": "state", "outcome": "skipped", "reason": "no_address"}),
        ];
        assert_eq!(
            rows(&decisions),
            "AT                    RECIPIENT  CHANNEL  STEP      OUTCOME       REASON\n\
             2026-11-20T09:00:00Z                      accepted  event stored\n\
             2026-11-20T09:00:00Z  ada        email    state     skipped       no_address\n"
        );
    }
}
