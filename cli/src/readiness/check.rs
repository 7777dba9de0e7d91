//! `carillon check`: at a glance what is configured and what is missing; `--verbose` lists everything there is.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::item::{Finding, Item, tally};
use super::{Required, examined};
use crate::client::Client;
use crate::outcome::{Done, Failure};

/// `carillon check`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    required: Required,

    /// List everything there is.
    #[arg(long)]
    verbose: bool,
}

/// Looks, and changes nothing.
///
/// # Errors
/// When a pack is faulty, or the API refuses or cannot be reached.
pub async fn check(client: &Client, arguments: &Check) -> Result<Done, Failure> {
    let items = examined(client, &arguments.required).await?;
    Ok(shown(&items, arguments.verbose))
}

pub(super) fn shown(items: &[Item], verbose: bool) -> Done {
    let mut text = String::new();
    let written = items.iter().try_for_each(|item| write_item(&mut text, item, verbose));
    let findings: Vec<&Finding> = items.iter().flat_map(|item| &item.findings).collect();
    let missing = items.iter().any(|item| !item.ok());
    if written.and_then(|()| write!(text, "{}", tally(&findings))).is_err() {
        text.push_str("...");
    }
    let listed: Vec<Value> = items.iter().map(Item::to_json).collect();
    Done { text, json: json!({"ok": !missing, "items": listed}), found_fault: missing }
}

fn write_item(text: &mut String, item: &Item, verbose: bool) -> std::fmt::Result {
    let state = if item.ok() { "ok" } else { "MISSING" };
    writeln!(text, "{state:<8} {:<10} {}", item.name, item.text)?;
    for finding in &item.findings {
        writeln!(text, "{:20}{}: {}", "", finding.kind(), finding.cause)?;
        if finding.fault {
            writeln!(text, "{:20}  fix: {}", "", finding.fix)?;
        }
    }
    for detail in item.details.iter().filter(|_| verbose) {
        writeln!(text, "{:20}- {detail}", "")?;
    }
    Ok(())
}
