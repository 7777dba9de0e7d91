//! `carillon recent` and `carillon deliveries`: the log, as a table.

use serde_json::{Value, json};

use crate::arguments::DeliveryFilters;
use crate::client::Client;
use crate::outcome::{Done, Failure};
use crate::table::table;

/// How many deliveries `carillon recent` shows.
const RECENT: usize = 10;

/// The last deliveries.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn recent(client: &Client) -> Result<Done, Failure> {
    let items = client.list("/v1/deliveries", &[], RECENT).await?;
    Ok(listed(&items))
}

/// The deliveries that every given filter takes, newest first.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn deliveries(client: &Client, filters: &DeliveryFilters) -> Result<Done, Failure> {
    let given = [
        ("state", &filters.state),
        ("channel", &filters.channel),
        ("recipient", &filters.recipient),
        ("event_type", &filters.event_type),
        ("subject", &filters.subject),
        ("from", &filters.from),
        ("to", &filters.to),
    ];
    let query: Vec<(&str, String)> =
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let items = client.list("/v1/deliveries", &query, filters.limit).await?;
    Ok(listed(&items))
}

fn listed(items: &[Value]) -> Done {
    let text = if items.is_empty() { "no deliveries".to_owned() } else { rows(items) };
    Done { text, json: json!({"items": items}), found_fault: false }
}

/// Deliveries of the API as rows.
#[must_use]
pub fn rows(items: &[Value]) -> String {
    let row = |item: &Value| {
        let [created_at, event, recipient, channel, state] =
            ["created_at", "event_type", "recipient_id", "channel", "state"].map(|name| field(item, name));
        [created_at, event, recipient, channel, state, reason(item)]
    };
    let rows: Vec<[String; 6]> = items.iter().map(row).collect();
    table(["created_at", "event", "recipient", "channel", "state", "reason"], &rows)
}

/// The reason, and the words that go with it where it does not say everything.
#[must_use]
pub fn reason(item: &Value) -> String {
    let parts = [field(item, "reason"), field(item, "note")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// A field as text; empty when it is not there.
#[must_use]
pub fn field(item: &Value, name: &str) -> String {
    item[name].as_str().unwrap_or_default().to_owned()
}
