//! `carillon send`: posts an event by hand, or shows what it would lead to; with `--wait` follows it to its end. A text of
//! one's own (`--raw-text`) goes out through a template that holds nothing but that text, so that it is planned, recorded
//! and proved like every other message.

use std::time::Duration;

use carillon_domain::Rendered;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::arguments::Send;
use crate::client::{Client, encoded};
use crate::headline::headline;
use crate::log::{field, reason};
use crate::outcome::{Done, Failure, complain};
use crate::table::table;

/// How long `--wait` waits.
const WAIT: Duration = Duration::from_mins(1);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many deliveries are listed.
const LISTED: usize = 1_000;

/// The template of `--raw-text`.
const RAW_TEXT: &str = "raw_text";

/// Posts or previews the event.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn send(client: &Client, arguments: &Send) -> Result<Done, Failure> {
    let event = event(arguments)?;
    if arguments.raw_text.is_some() {
        // Also before a dry run: a preview is of a template that is there.
        ensure_raw_text(client).await?;
    }
    if arguments.dry_run {
        return Ok(previewed(client.post("/v1/events/preview", &event).await?));
    }
    let accepted = client.post("/v1/events", &event).await?;
    let id = field(&accepted, "event_id");
    if !arguments.wait && arguments.raw_text.is_none() {
        return Ok(Done { text: id, json: accepted, found_fault: false });
    }
    complain(&format!("accepted: {id}"));
    followed(client, &id).await
}

/// The text stands alone: outside the window no approved template could say it.
async fn ensure_raw_text(client: &Client) -> Result<(), Failure> {
    let locales = json!({"en": {"whatsapp": {"text": "{{ data.text }}", "window_only": true}}});
    let path = format!("/v1/templates/{RAW_TEXT}");
    let there = client.find(&path).await?;
    if there.is_some_and(|found| found["status"] == "published" && found["locales"] == locales) {
        return Ok(());
    }
    client.put(&format!("{path}?publish=true"), &json!({"locales": locales})).await?;
    Ok(())
}

fn event(arguments: &Send) -> Result<Value, Failure> {
    let is_raw = arguments.raw_text.is_some();
    if (arguments.only || is_raw) && arguments.to.is_empty() && arguments.groups.is_empty() {
        let option = if is_raw { "--raw-text" } else { "--only" };
        return Err(Failure::Usage(format!("{option} needs somebody: name them with --to or --group")));
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
    if let Some(text) = &arguments.raw_text {
        event.insert("data".to_owned(), json!({"text": text}));
        event.insert("template".to_owned(), json!(RAW_TEXT));
        event.insert("channels".to_owned(), json!(["whatsapp"]));
    }
    if !arguments.to.is_empty() || !arguments.groups.is_empty() {
        let only = arguments.only || is_raw;
        let recipients = json!({"ids": arguments.to, "groups": arguments.groups, "replace": only});
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
    let list = format!("{path}/deliveries");
    let deadline = Instant::now() + WAIT;
    let (view, deliveries) = loop {
        let view = client.get(&path).await?;
        let settled = view["settled"] == json!(true);
        if settled || Instant::now() >= deadline || view["states"]["held"].as_u64() > Some(0) {
            let deliveries = client.list(&list, &[], LISTED).await?;
            if settled || Instant::now() >= deadline || wait_for_their_readers(&deliveries) {
                break (view, deliveries);
            }
        }
        sleep(LOOK_EVERY).await;
    };
    let settled = view["settled"] == json!(true);
    let unsent = deliveries.iter().any(|d| ["failed", "expired"].contains(&field(d, "state").as_str()));
    let mut text = if deliveries.is_empty() { "nobody was told".to_owned() } else { told(&deliveries) };
    if !settled && wait_for_their_readers(&deliveries) {
        text = format!("{}\nfree text waits until its reader has written to the number", text.trim_end());
    } else if !settled {
        text = format!("{}\nnot settled after {} s", text.trim_end(), WAIT.as_secs());
    }
    Ok(Done { text, json: json!({"event": view, "deliveries": deliveries}), found_fault: unsent || !settled })
}

/// Each delivery with the provider's id of its message, by which Meta and AWS know it.
fn told(deliveries: &[Value]) -> String {
    let row = |d: &Value| {
        let [recipient, channel, state, message] =
            ["recipient_id", "channel", "state", "provider_message_id"].map(|name| field(d, name));
        [recipient, channel, state, reason(d), message]
    };
    let rows: Vec<[String; 5]> = deliveries.iter().map(row).collect();
    table(["recipient", "channel", "state", "reason", "message"], &rows)
}

/// Whether nothing will move any more by itself: what is still open waits for WhatsApp's window.
fn wait_for_their_readers(deliveries: &[Value]) -> bool {
    let open = |d: &&Value| {
        ["pending", "held", "sending", "retrying", "in_doubt"].contains(&field(d, "state").as_str())
    };
    let mut open = deliveries.iter().filter(open).peekable();
    open.peek().is_some() && open.all(|d| d["state"] == "held" && d["reason"] == "window_closed")
}
