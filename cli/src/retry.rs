//! `carillon retry`: sends ended deliveries again, one by its id or many by a filter; `--reconsider` decides again about one.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::client::{Client, encoded};
use crate::job;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::words::counted;

/// `carillon retry`.
#[derive(Debug, Args)]
pub struct Retry {
    /// The delivery; a filter when absent.
    #[arg(conflicts_with_all = ["state", "channel", "to", "event_type", "subject", "from", "before", "dry_run"])]
    id: Option<String>,

    /// Also what is sent or in doubt, as a possible duplicate.
    #[arg(long, requires = "id")]
    force: bool,

    /// Decide again, with today's preferences, address, template and settings.
    #[arg(long, requires = "id", conflicts_with = "force")]
    reconsider: bool,

    /// In this state: failed, expired or cancelled; any of them when absent.
    #[arg(long)]
    state: Option<String>,

    /// On this channel.
    #[arg(long)]
    channel: Option<String>,

    /// To this recipient.
    #[arg(long, value_name = "ID")]
    to: Option<String>,

    /// Of this type of event.
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,

    /// About this subject.
    #[arg(long)]
    subject: Option<String>,

    /// Planned from this instant on, such as 2026-11-20T09:00:00Z; 30 days ago when absent.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Planned before this instant.
    #[arg(long, value_name = "TIME")]
    before: Option<String>,

    /// Only count them.
    #[arg(long)]
    dry_run: bool,
}

/// Sends again.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn retry(client: &Client, wanted: &Retry) -> Result<Done, Failure> {
    if let Some(id) = &wanted.id {
        let path = format!("/v1/deliveries/{}", encoded(id));
        let json = if wanted.reconsider {
            client.post(&format!("{path}/reconsider"), &json!({})).await?
        } else {
            client.post(&format!("{path}/retry"), &json!({"force": wanted.force})).await?
        };
        let text = format!("{} is {} again", field(&json, "id"), field(&json, "state"));
        return Ok(Done { text, json, found_fault: false });
    }
    let given = [
        ("state", &wanted.state),
        ("channel", &wanted.channel),
        ("recipient", &wanted.to),
        ("event_type", &wanted.event_type),
        ("subject", &wanted.subject),
        ("from", &wanted.from),
        ("to", &wanted.before),
    ];
    let filter: Map<String, Value> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))))
        .collect();
    let body = json!({"filter": filter, "dry_run": wanted.dry_run});
    let answer = client.post("/v1/deliveries/retry", &body).await?;
    Ok(retried(job::follow(client, answer, "sending again").await?, wanted.dry_run))
}

fn retried(json: Value, dry_run: bool) -> Done {
    let count = |name: &str| json[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let (matched, again) = (count("matched"), count("retried"));
    let left = if dry_run { 0 } else { matched.saturating_sub(again) };
    let text = match (dry_run, left) {
        (true, _) => format!("{} would be sent again", counted(matched, "message")),
        (false, 0) => format!("{} sent again", counted(again, "message")),
        (false, left) => format!("{} sent again, {left} could not be", counted(again, "message")),
    };
    Done { text, json, found_fault: left > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_sent_again_is_a_fault() {
        let done = retried(json!({"matched": 3, "retried": 2}), false);
        assert_eq!((done.text.as_str(), done.found_fault), ("2 messages sent again, 1 could not be", true));
        let done = retried(json!({"matched": 3, "retried": 0}), true);
        assert_eq!((done.text.as_str(), done.found_fault), ("3 messages would be sent again", false));
    }
}
