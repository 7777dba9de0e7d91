//! A test message: the template `carillon_test`, put when it is missing, sent to one address that need belong to nobody,
//! and followed until it is known what became of it.

use std::time::Duration;

use carillon_domain::Channel;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cause;
use super::item::Finding;
use crate::client::{CallError, Client, encoded};
use crate::log::field;

/// The template.
const TEMPLATE: &str = "carillon_test";

/// How long it may take until the message is sent, or is known not to be.
const SENT_WITHIN: Duration = Duration::from_mins(1);

/// How long a receipt is waited for; that a mailbox is slow is no fault of the setup.
const RECEIPT_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many held deliveries are looked through for the one that halted a channel.
const LOOKED_AT: usize = 1_000;

/// A test message and what became of it.
#[derive(Debug)]
pub(super) struct Trial {
    /// What happened, in a line.
    pub text: String,
    /// Why it did not go out.
    pub finding: Option<Finding>,
    /// For a program.
    pub json: Value,
}

/// Sends one message and waits for what becomes of it.
///
/// # Errors
/// When the API cannot be reached or refuses anything but the address.
pub(super) async fn send(client: &Client, channel: Channel, address: &str) -> Result<Trial, CallError> {
    ensure_template(client).await?;
    let kind = if channel == Channel::Email { "email" } else { "phone" };
    let event = json!({
        "type": "carillon.test",
        "template": TEMPLATE,
        "channels": [channel],
        "recipients": {"addresses": [{"name": "Test", kind: address, "locale": "en"}], "replace": true},
    });
    let accepted = match client.post("/v1/events", &event).await {
        Err(CallError::Refused { problem, .. }) if problem.status == 422 => {
            return Ok(Trial::refused(channel, address, &problem.detail));
        }
        answered => answered?,
    };
    let path = format!("/v1/events/{}/deliveries", encoded(&field(&accepted, "event_id")));
    let delivery = followed(client, &path).await?;
    let told = match &delivery {
        // The list leaves the timeline out, which holds the provider's own words.
        Some(delivery) => client.find(&format!("/v1/deliveries/{}", encoded(&field(delivery, "id")))).await?,
        None => None,
    };
    let told = told.or(delivery).unwrap_or_default();
    let mut trial = Trial::of(channel, address, &told);
    if told["reason"] == "channel_halted" && told["attempts"] == 0 {
        // The provider was not even asked, because of what it answered to somebody before.
        let first = refused_before(client, channel).await?;
        trial.finding = first.map(|refused| cause::finding(channel, &refused)).or(trial.finding);
    }
    Ok(trial)
}

/// The latest delivery whose call halted the channel.
async fn refused_before(client: &Client, channel: Channel) -> Result<Option<Value>, CallError> {
    let query = [("state", "held".to_owned()), ("channel", channel.to_string())];
    let held = client.list("/v1/deliveries", &query, LOOKED_AT).await?;
    let asked = held.iter().find(|d| d["reason"] == "channel_halted" && d["attempts"].as_u64() > Some(0));
    match asked {
        Some(delivery) => client.find(&format!("/v1/deliveries/{}", encoded(&field(delivery, "id")))).await,
        None => Ok(None),
    }
}

/// `hello_world` is the template that Meta gives every business account approved.
async fn ensure_template(client: &Client) -> Result<(), CallError> {
    if client.find(&format!("/v1/templates/{TEMPLATE}")).await?.is_some_and(|t| t["published"].is_u64()) {
        return Ok(());
    }
    let text =
        "This is a test message from Carillon. Whoever set it up asked for it; nothing has to be done.";
    let body = json!({"locales": {"en": {
        "email": {"subject": "Test message from Carillon", "html": format!("<p>{text}</p>"), "text": text},
        "whatsapp": {"text": text, "template": {"name": "hello_world", "language": "en_US", "parameters": []}},
    }}});
    client.put(&format!("/v1/templates/{TEMPLATE}?publish=true"), &body).await.map(drop)
}

/// The delivery, once it is where nothing but a receipt or a person moves it.
async fn followed(client: &Client, path: &str) -> Result<Option<Value>, CallError> {
    let started = Instant::now();
    let mut sent_after = None;
    loop {
        let delivery = client.list(path, &[], 1).await?.pop();
        let state = delivery.as_ref().map(|d| field(d, "state")).unwrap_or_default();
        let done = match state.as_str() {
            "" | "pending" | "sending" | "retrying" => started.elapsed() >= SENT_WITHIN,
            "sent" => started.elapsed() >= *sent_after.get_or_insert(started.elapsed()) + RECEIPT_WITHIN,
            _ => true,
        };
        if done {
            return Ok(delivery);
        }
        sleep(LOOK_EVERY).await;
    }
}

impl Trial {
    fn refused(channel: Channel, address: &str, detail: &str) -> Self {
        let fix = if channel == Channel::Email {
            "write it like ada@example.com"
        } else {
            "write it like +12025550101"
        };
        let (_, words) = detail.split_once(": ").unwrap_or(("", detail));
        let cause = format!("the address of the test by {channel} {words}");
        Self {
            text: format!("test by {channel} to {address}: not sent"),
            finding: Some(Finding::fault(cause, fix)),
            json: json!({"channel": channel, "address": address, "ok": false}),
        }
    }

    pub(super) fn of(channel: Channel, address: &str, delivery: &Value) -> Self {
        let state = field(delivery, "state");
        let ok = ["sent", "delivered", "read"].contains(&state.as_str());
        let id = field(delivery, "provider_message_id");
        let text = match (ok, state.is_empty()) {
            (true, _) => format!("test by {channel} to {address}: {state}, message {id}"),
            (false, false) => format!("test by {channel} to {address}: not sent, {state}"),
            (false, true) => format!("test by {channel} to {address}: not sent, still being planned"),
        };
        let json = json!({"channel": channel, "address": address, "ok": ok, "delivery": delivery});
        let finding = (!ok).then(|| cause::finding(channel, delivery));
        Self { text, finding, json }
    }
}
