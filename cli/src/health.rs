//! `carillon health`: whether the cloud answers, and its version, which needs no key; with one, how the tenant is: what is
//! wrong, and with `--verbose` every check.

use clap::Args;
use serde_json::Value;

use crate::arguments::Connection;
use crate::client::Client;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::table::table;

/// `carillon health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Show each check, also those that are well.
    #[arg(long)]
    verbose: bool,
}

/// Asks.
///
/// # Errors
/// When the cloud answers that it is not well, or not at all.
pub async fn health(connection: &Connection, wanted: &Health) -> Result<Done, Failure> {
    let client = Client::new(&connection.url, None)?;
    let mut json = client.get("/health").await?;
    let mut text =
        format!("{}: {}, version {}", client.url(), field(&json, "status"), field(&json, "version"));
    let mut found_fault = json["status"] != "ok";
    if let Some(key) = connection.key.as_deref().filter(|key| !key.is_empty()) {
        let checked = Client::new(&connection.url, Some(key))?.get("/v1/system/health").await?;
        text.push_str(&shown(&checked, wanted.verbose));
        found_fault |= ["warning", "critical"].iter().any(|bad| checked["status"] == *bad);
        json["health"] = checked;
    }
    Ok(Done { text, json, found_fault })
}

/// The checks as a table, below the worst of what they say.
fn shown(checked: &Value, verbose: bool) -> String {
    let checks = checked["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<[String; 3]> = checks
        .iter()
        .filter(|check| verbose || check["severity"] != "ok")
        .map(|check| ["severity", "problem_id", "text"].map(|name| field(check, name)))
        .collect();
    let status = field(checked, "status");
    if rows.is_empty() {
        return format!("\n{status}: all {} checks are well", checks.len());
    }
    format!("\n{status}\n\n{}", table(["severity", "problem", "what"], &rows))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// E7, E27: what is wrong is shown, and everything with `--verbose`.
    #[test]
    fn what_is_wrong_is_shown_and_what_is_well_on_demand() {
        let low = "WhatsApp: 50% success rate (below 80% threshold)";
        let checked = json!({"status": "warning", "checks": [
            {"name": "database", "severity": "ok", "text": "Database: answers in 3 ms"},
            {"name": "success_rate", "severity": "warning", "text": low, "problem_id": "p1"},
        ]});
        let brief = shown(&checked, false);
        assert!(brief.contains(low) && brief.contains("p1") && !brief.contains("Database"), "{brief}");
        assert!(shown(&checked, true).contains("Database: answers in 3 ms"));
        let well =
            json!({"status": "ok", "checks": [{"severity": "ok", "text": "Database: answers in 3 ms"}]});
        assert_eq!(shown(&well, false), "\nok: all 1 checks are well");
    }
}
