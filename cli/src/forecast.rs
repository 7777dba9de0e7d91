//! `carillon forecast`: who will be told what over the coming days; with `--pack`, what that pack would change.

use clap::Args;
use serde_json::{Value, json};

use crate::apply;
use crate::client::Client;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::pack;
use crate::table::table;
use crate::words::counted;

const PATH: &str = "/v1/system/forecast";

/// `carillon forecast`.
#[derive(Debug, Args)]
pub struct Forecast {
    /// How many days ahead.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=92))]
    days: u32,

    /// Show what would change with this pack: a name, or a folder.
    #[arg(long, value_name = "NAME|DIR")]
    pack: Option<String>,
}

/// Looks ahead; sends and stores nothing.
///
/// # Errors
/// When the pack is faulty, or the API refuses or cannot be reached.
pub async fn forecast(client: &Client, arguments: &Forecast) -> Result<Done, Failure> {
    let Some(name) = &arguments.pack else {
        let json = client.get(&format!("{PATH}?days={}", arguments.days)).await?;
        return Ok(Done { text: foreseen(&json, arguments.days), json, found_fault: false });
    };
    let pack = pack::load(&pack::folder(name)?)?;
    let json = client.post(PATH, &json!({"days": arguments.days, "pack": apply::body(&pack)})).await?;
    Ok(Done { text: compared(&json), json, found_fault: false })
}

fn items(json: &Value, name: &str) -> Vec<Value> {
    json[name].as_array().cloned().unwrap_or_default()
}

fn foreseen(json: &Value, days: u32) -> String {
    let items = items(json, "items");
    let sent = items.iter().filter(|item| item["decision"] == "send").count();
    let days = counted(usize::try_from(days).unwrap_or_default(), "day");
    let mut text = if items.is_empty() { String::new() } else { listed(&items) };
    text = format!("{text}{} in {days}", counted(sent, "message"));
    if json["truncated"] == true {
        text.push_str("; there is more than was looked at");
    }
    text
}

fn compared(json: &Value) -> String {
    let (added, removed) = (items(json, "added"), items(json, "removed"));
    let mut text = String::new();
    for (heading, items) in [("with it only:", &added), ("without it only:", &removed)] {
        if !items.is_empty() {
            text = format!("{text}{heading}\n{}", listed(items));
        }
    }
    format!("{text}{} added, {} removed", added.len(), removed.len())
}

fn listed(items: &[Value]) -> String {
    let rows: Vec<[String; 7]> = items.iter().map(row).collect();
    table(["at", "recipient", "channel", "kind", "about", "template", "decision"], &rows)
}

fn row(item: &Value) -> [String; 7] {
    let version = item["version"].as_u64().map(|n| format!(" v{n}")).unwrap_or_default();
    let reason = field(item, "reason");
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    [
        field(item, "at"),
        field(item, "recipient_id"),
        field(item, "channel"),
        field(item, "kind"),
        field(item, "subject"),
        format!("{}{version}", field(item, "template")),
        format!("{}{reason}", field(item, "decision")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(decision: &str, reason: Option<&str>) -> Value {
        json!({
            "at": "2026-11-20T14:10:00Z", "recipient_id": "u-1", "channel": "email", "kind": "soon", "subject": "L1",
            "template": "order", "version": 2, "decision": decision, "reason": reason
        })
    }

    #[test]
    fn what_will_be_sent_is_listed_and_counted() {
        let json =
            json!({"items": [item("send", None), item("skipped", Some("opted_out"))], "truncated": false});
        assert_eq!(
            foreseen(&json, 7),
            "AT                    RECIPIENT  CHANNEL  KIND  ABOUT  TEMPLATE  DECISION\n\
             2026-11-20T14:10:00Z  u-1        email    soon  L1     order v2  send\n\
             2026-11-20T14:10:00Z  u-1        email    soon  L1     order v2  skipped: opted_out\n\
             1 message in 7 days"
        );
        assert_eq!(
            foreseen(&json!({"items": [], "truncated": true}), 1),
            "0 messages in 1 day; there is more than was looked at"
        );
    }

    #[test]
    fn a_comparison_shows_what_comes_and_what_goes() {
        let json = json!({"added": [item("send", None)], "removed": []});
        let text = compared(&json);
        assert!(text.starts_with("with it only:\nAT ") && text.ends_with("1 added, 0 removed"), "{text}");
    }
}
