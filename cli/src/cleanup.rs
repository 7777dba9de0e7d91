//! `carillon cleanup`: removes what is older than the tenant keeps it; `--dry-run` says how much that is.

use clap::Args;
use serde_json::{Value, json};

use crate::client::Client;
use crate::job;
use crate::outcome::{Done, Failure};
use crate::words::counted;

/// `carillon cleanup`.
#[derive(Debug, Args)]
pub struct Cleanup {
    /// Remove nothing; say what would be removed.
    #[arg(long)]
    dry_run: bool,
}

/// Cleans.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn cleanup(client: &Client, wanted: &Cleanup) -> Result<Done, Failure> {
    let answer = client.post("/v1/system/cleanup", &json!({"dry_run": wanted.dry_run})).await?;
    Ok(cleaned(job::follow(client, answer, "cleaning").await?))
}

fn cleaned(json: Value) -> Done {
    let count = |name: &str| json[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let removed = [
        counted(count("events"), "event"),
        counted(count("deliveries"), "message"),
        counted(count("inbox"), "feed item"),
        counted(count("deadlines"), "closed deadline"),
    ];
    let verb = if json["dry_run"] == true { "would remove" } else { "removed" };
    Done { text: format!("{verb} {}", removed.join(", ")), json, found_fault: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_said_by_kind() {
        let said = |dry_run: bool| {
            cleaned(json!({"events": 1, "deliveries": 3, "inbox": 0, "deadlines": 2, "dry_run": dry_run}))
                .text
        };
        assert_eq!(said(false), "removed 1 event, 3 messages, 0 feed items, 2 closed deadlines");
        assert!(said(true).starts_with("would remove 1 event"));
    }
}
