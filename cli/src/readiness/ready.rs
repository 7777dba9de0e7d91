//! `carillon ready`: a line for each thing that must be in order; made to be read by a script's log.

use clap::Args;
use serde_json::{Value, json};

use super::item::Item;
use super::{Required, examined};
use crate::client::Client;
use crate::outcome::{Done, Failure};

/// `carillon ready`.
#[derive(Debug, Args)]
pub struct Ready {
    #[command(flatten)]
    required: Required,
}

/// Looks, and changes nothing.
///
/// # Errors
/// When a pack is faulty, or the API refuses or cannot be reached.
pub async fn ready(client: &Client, arguments: &Ready) -> Result<Done, Failure> {
    Ok(shown(&examined(client, &arguments.required).await?))
}

pub(super) fn shown(items: &[Item]) -> Done {
    let ready = items.iter().all(Item::ok);
    let mut lines: Vec<String> = items.iter().map(line).collect();
    lines.push(if ready { "ready" } else { "not ready" }.to_owned());
    let listed: Vec<Value> = items.iter().map(to_json).collect();
    Done { text: lines.join("\n"), json: json!({"ready": ready, "items": listed}), found_fault: !ready }
}

fn line(item: &Item) -> String {
    let state = if item.ok() { "ok" } else { "not ok" };
    let fix = joined(item.faults().map(|f| &f.fix), "; ").map(|fix| format!(" (fix: {fix})"));
    format!("{state:<7} {:<10} {}{}", item.name, words(item), fix.unwrap_or_default())
}

/// What is wrong, else how it is.
fn words(item: &Item) -> String {
    joined(item.faults().map(|fault| &fault.cause), "; ").unwrap_or_else(|| item.text.clone())
}

fn to_json(item: &Item) -> Value {
    let mut view = json!({"name": item.name, "ok": item.ok(), "text": words(item)});
    if let Some(fix) = joined(item.faults().map(|fault| &fault.fix), "\n") {
        view["fix"] = json!(fix);
    }
    view
}

/// Each once, in order; none when there are none.
fn joined<'a>(words: impl Iterator<Item = &'a String>, between: &str) -> Option<String> {
    let mut each: Vec<&str> = Vec::new();
    for word in words {
        if !each.contains(&word.as_str()) {
            each.push(word);
        }
    }
    (!each.is_empty()).then(|| each.join(between))
}
