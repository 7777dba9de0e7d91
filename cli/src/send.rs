//! `carillon send`: posts an event by hand, or shows what it would lead to; with `--wait` follows it to its end.

use std::time::Duration;

use carillon_domain::Rendered;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::arguments::Send;
use crate::client::{Client, encoded};
use crate::headline::headline;
use crate::log::{field, rows};
use crate::outcome::{Done, Failure, complain};
use crate::table::table;

/// How long `--wait` waits.
const WAIT: Duration = Duration::from_mins(1);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many deliveries are listed.
const LISTED: usize = 1_000;

/// Posts or previews the event.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn send(client: &Client, arguments: &Send) -> Result<Done, Failure> {
    let event = event(arguments)?;
    if arguments.dry_run {
        return Ok(previewed(client.post("/v1/events/preview", &event).await?));
    }
    let accepted = client.post("/v1/events", &event).await?;
    let id = field(&accepted, "event_id");
    if !arguments.wait {
        return Ok(Done { text: id, json: accepted, found_fault: false });
    }
    complain(&format!("accepted: {id}"));
    followed(client, &id).await
}

fn event(arguments: &Send) -> Result<Value, Failure> {
    if arguments.only && arguments.to.is_empty() && arguments.groups.is_empty() {
        return Err(Failure::Usage("--only needs somebody: name them with --to or --group".to_owned()));
    }
    let mut event = Map::new();
    event.insert("type".to_owned(), json!(arguments.event_type));
    if let Some(data) = &arguments.data {
        let data: Value = serde_json::from_str(data)
            .map_err(|error| Failure::Usage(format!("--data is not JSON: {error}")))?;
        event.insert("data".to_owned(), data);
    }
    if let Some(subject) = &arguments.subject {
        event.insert("subject".to_owned(), json!(subject));
    }
    if let Some(template) = &arguments.template {
        event.insert("template".to_owned(), json!(template));
        event.insert("channels".to_owned(), json!(arguments.channels));
    }
    if !arguments.to.is_empty() || !arguments.groups.is_empty() {
        let recipients = json!({"ids": arguments.to, "groups": arguments.groups, "replace": arguments.only});
        event.insert("recipients".to_owned(), recipients);
    }
    Ok(Value::Object(event))
}

fn previewed(answer: Value) -> Done {
    let notifications = answer["notifications"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |n: &Value| {
        let says =
            serde_json::from_value::<Rendered>(n["rendered"].clone()).map(|message| headline(&message));
        let why = if n["note"].is_string() { field(n, "note") } else { String::new() };
        [
            field(n, "recipient_id"),
            field(n, "channel"),
            field(n, "decision"),
            field(n, "reason"),
            says.unwrap_or(why),
        ]
    };
    let rows: Vec<[String; 5]> = notifications.iter().map(row).collect();
    let mut text = if rows.is_empty() {
        "nobody would be told".to_owned()
    } else {
        table(["recipient", "channel", "decision", "reason", "says"], &rows)
    };
    if let Some(unknown) = answer["unknown"].as_array().filter(|list| !list.is_empty()) {
        let names: Vec<&str> = unknown.iter().filter_map(Value::as_str).collect();
        text = format!("{}\nunknown, and so not told: {}", text.trim_end(), names.join(", "));
    }
    let found_fault = notifications.iter().any(|n| n["decision"] == "failed");
    Done { text, json: answer, found_fault }
}

/// Waits until the event is settled and lists what became of it; a message that nobody got is a fault.
async fn followed(client: &Client, id: &str) -> Result<Done, Failure> {
    let path = format!("/v1/events/{}", encoded(id));
    let deadline = Instant::now() + WAIT;
    let view = loop {
        let view = client.get(&path).await?;
        if view["settled"] == json!(true) || Instant::now() >= deadline {
            break view;
        }
        sleep(LOOK_EVERY).await;
    };
    let deliveries = client.list(&format!("{path}/deliveries"), &[], LISTED).await?;
    let settled = view["settled"] == json!(true);
    let unsent = deliveries.iter().any(|d| ["failed", "expired"].contains(&field(d, "state").as_str()));
    let mut text = if deliveries.is_empty() { "nobody was told".to_owned() } else { rows(&deliveries) };
    if !settled {
        text = format!("{}\nnot settled after {} s", text.trim_end(), WAIT.as_secs());
    }
    Ok(Done { text, json: json!({"event": view, "deliveries": deliveries}), found_fault: unsent || !settled })
}
