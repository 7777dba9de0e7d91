//! `carillon dead-letters`: messages that no worker could work, as a table; with `--redrive` they are put back to work.

use carillon_pipeline::ports::Queue;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::job;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::table::table;
use crate::words::counted;

/// `carillon dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLetters {
    /// Put them back to work; exit code 1 if some could not be.
    #[arg(long)]
    redrive: bool,

    /// Only count what would be put back.
    #[arg(long, requires = "redrive")]
    dry_run: bool,

    /// Put back this one. May be repeated.
    #[arg(long = "id", value_name = "ID", requires = "redrive")]
    ids: Vec<String>,

    /// Of this queue.
    #[arg(long, value_parser = queues())]
    queue: Option<String>,

    /// From this instant on, such as 2026-11-20T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Before this instant.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    /// List at most so many.
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "redrive")]
    limit: usize,
}

/// Lists or redrives.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn dead_letters(client: &Client, arguments: &DeadLetters) -> Result<Done, Failure> {
    let given = [("queue", &arguments.queue), ("from", &arguments.from), ("to", &arguments.to)];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    if arguments.redrive {
        let mut filter: Map<String, Value> =
            given.map(|(name, value)| (name.to_owned(), value.into())).collect();
        if !arguments.ids.is_empty() {
            filter.insert("ids".to_owned(), json!(arguments.ids));
        }
        let body = json!({"filter": filter, "dry_run": arguments.dry_run});
        let answer = client.post("/v1/dead-letters/redrive", &body).await?;
        return Ok(redriven(job::follow(client, answer, "redriving").await?, arguments.dry_run));
    }
    let query: Vec<(&str, String)> = given.collect();
    let items = client.list("/v1/dead-letters", &query, arguments.limit).await?;
    let text = if items.is_empty() { "no dead letters".to_owned() } else { rows(&items) };
    Ok(Done { text, json: json!({"items": items}), found_fault: false })
}

fn redriven(json: Value, dry_run: bool) -> Done {
    let count = |name: &str| json[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let (matched, back) = (count("matched"), count("redriven"));
    let left = if dry_run { 0 } else { matched.saturating_sub(back) };
    let text = match (dry_run, left) {
        (true, _) => format!("{} would be put back to work", counted(matched, "dead letter")),
        (false, 0) => format!("{} put back to work", counted(back, "dead letter")),
        (false, left) => format!("{} put back to work, {left} could not be", counted(back, "dead letter")),
    };
    Done { text, json, found_fault: left > 0 }
}

fn rows(items: &[Value]) -> String {
    let row = |item: &Value| {
        let [created_at, id, queue, reason] =
            ["created_at", "id", "queue", "reason"].map(|name| field(item, name));
        let about = [field(item, "delivery_id"), field(item, "event_id")];
        let about = about.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        [created_at, id, queue, reason, field(item, "redriven_at"), about]
    };
    let rows: Vec<[String; 6]> = items.iter().map(row).collect();
    table(["created_at", "id", "queue", "reason", "redriven_at", "about"], &rows)
}

fn queues() -> PossibleValuesParser {
    Queue::ALL.map(Queue::as_str).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_it_was_about() {
        let at = "2026-11-20T09:00:00Z";
        let items = [
            json!({"id": "a", "queue": "email", "reason": "unreadable", "created_at": at}),
            json!({"id": "b", "queue": "events", "reason": "received_too_often", "created_at": at, "event_id": "e"}),
        ];
        assert_eq!(
            rows(&items),
            "CREATED_AT            ID  QUEUE   REASON              REDRIVEN_AT  ABOUT\n\
             2026-11-20T09:00:00Z  a   email   unreadable\n\
             2026-11-20T09:00:00Z  b   events  received_too_often               e\n"
        );
    }

    #[test]
    fn what_could_not_be_put_back_is_a_fault() {
        let done = redriven(json!({"matched": 3, "redriven": 2}), false);
        assert_eq!(
            (done.text.as_str(), done.found_fault),
            ("2 dead letters put back to work, 1 could not be", true)
        );
        let counted = redriven(json!({"matched": 1, "redriven": 0}), true);
        assert_eq!(
            (counted.text.as_str(), counted.found_fault),
            ("1 dead letter would be put back to work", false)
        );
    }
}
