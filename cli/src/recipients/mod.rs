//! `carillon recipients`: people in number. [`import`] puts them in from a file; normalising brings the phone numbers
//! that are stored into their one form.

mod import;
mod request;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::Client;
use crate::job;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::words::counted;

/// `carillon recipients`.
#[derive(Debug, Args)]
pub struct Recipients {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create or replace recipients from a file with one of them as JSON in each line
    Import {
        /// The file; - reads standard input.
        #[arg(value_name = "FILE|-")]
        file: String,
    },
    /// Write every stored phone number as E.164 and report those that cannot be
    Normalise {
        /// Only say what would change.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Imports or normalises.
///
/// # Errors
/// When the file cannot be read, or the API refuses the whole or cannot be reached.
pub async fn recipients(client: &Client, arguments: &Recipients) -> Result<Done, Failure> {
    match &arguments.what {
        What::Import { file } => import::import(client, file).await,
        What::Normalise { dry_run } => {
            let body = json!({"dry_run": dry_run});
            let answer = client.post("/v1/recipients/normalise", &body).await?;
            Ok(normalised(job::follow(client, answer, "normalising").await?, *dry_run))
        }
    }
}

/// A number that cannot be normalised is a fault: nobody can be reached there.
fn normalised(report: Value, dry_run: bool) -> Done {
    let impossible = report["impossible"].as_array().map(Vec::as_slice).unwrap_or_default();
    let count = |name: &str| report[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let (changed, verb) = (count("changed"), if dry_run { "would be changed" } else { "changed" });
    let left = impossible.iter().map(|one| format!("{}: {}\n", field(one, "id"), faults(&one["errors"])));
    let more = count("more_impossible");
    let unnamed = if more == 0 { String::new() } else { format!("... and {more} more\n") };
    let text = format!(
        "{}{unnamed}{} {verb}, {} unchanged, {} impossible",
        left.collect::<String>(),
        counted(changed, "recipient"),
        count("unchanged"),
        impossible.len() + more
    );
    Done { text, found_fault: !impossible.is_empty(), json: report }
}

/// The faults of a problem in one line.
fn faults(errors: &Value) -> String {
    let one = |error: &Value| format!("{}: {}", field(error, "pointer"), field(error, "detail"));
    errors.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_reports_what_cannot_be() {
        let report = json!({
            "changed": 353, "unchanged": 12,
            "impossible": [{"id": "bo", "errors": [{"pointer": "/phone", "detail": "is no phone number"}]}]
        });
        let done = normalised(report, true);
        assert!(done.found_fault);
        assert_eq!(
            done.text,
            "bo: /phone: is no phone number\n353 recipients would be changed, 12 unchanged, 1 impossible"
        );
        let many = json!({"changed": 0, "unchanged": 0, "impossible": [{"id": "bo", "errors": []}], "more_impossible": 2});
        let done = normalised(many, false);
        assert_eq!(done.text, "bo: \n... and 2 more\n0 recipients changed, 0 unchanged, 3 impossible");
        let done = normalised(json!({"changed": 1, "unchanged": 0, "impossible": []}), false);
        assert_eq!(
            (done.text.as_str(), done.found_fault),
            ("1 recipient changed, 0 unchanged, 0 impossible", false)
        );
    }
}
