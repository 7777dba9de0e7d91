//! `carillon schedules`: what runs by the clock, when it ran, when it runs next; `--run` runs a sweep now.

use carillon_domain::Sweep;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use crate::client::Client;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::table::table;

/// Where schedules are read.
pub const PATH: &str = "/v1/system/schedules";

/// `carillon schedules`.
#[derive(Debug, Args)]
pub struct Schedules {
    /// Run this sweep now, and show the schedules afterwards. Doing it once more changes nothing.
    #[arg(long, value_name = "SWEEP", value_parser = sweeps())]
    run: Option<String>,
}

/// Shows, or runs and shows. Exit code 1 when something does not run as it should.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn schedules(client: &Client, arguments: &Schedules) -> Result<Done, Failure> {
    if let Some(sweep) = &arguments.run {
        client.post(&format!("/v1/system/sweeps/{sweep}/run"), &json!({})).await?;
    }
    Ok(shown(client.get(PATH).await?))
}

fn shown(json: Value) -> Done {
    let items = json["items"].as_array().cloned().unwrap_or_default();
    let rows: Vec<[String; 8]> = items.iter().map(row).collect();
    let headings = ["name", "sweep", "classes", "cadence", "state", "last run", "planned to", "next runs"];
    let mut text = table(headings, &rows);
    let running = json["running"] == true;
    text.push_str(if running { "running" } else { "not running" });
    // That somebody has disabled a schedule is their wish.
    let found_fault =
        !running || items.iter().any(|item| ["late", "missing"].map(Value::from).contains(&item["fault"]));
    Done { text, json, found_fault }
}

fn row(item: &Value) -> [String; 8] {
    let list = |name: &str, shown: fn(&str) -> String| {
        let each = item[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(shown);
        each.collect::<Vec<_>>().join(" ")
    };
    let fault = field(item, "fault");
    let state = if fault.is_empty() { "ok".to_owned() } else { fault };
    let short = |name: &str| without_seconds(&field(item, name));
    let classes = list("classes", str::to_owned);
    let classes =
        if classes.is_empty() && item["sweep"] == "sweep-reminders" { "all".to_owned() } else { classes };
    [
        field(item, "name"),
        field(item, "sweep"),
        classes,
        field(item, "cadence"),
        state,
        short("last_run_at"),
        short("watermark_at"),
        list("next_runs", without_seconds),
    ]
}

/// Sweeps run to the minute.
fn without_seconds(at: &str) -> String {
    match at.get(..16) {
        Some(minute) => format!("{minute}Z"),
        None => at.to_owned(),
    }
}

fn sweeps() -> PossibleValuesParser {
    Sweep::ALL.map(Sweep::as_str).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, fault: &Value) -> Value {
        json!({
            "name": name, "sweep": "sweep-reminders", "cadence": "30m", "enabled": true, "fault": fault,
            "last_run_at": "2026-11-20T09:00:01Z", "watermark_at": null,
            "next_runs": ["2026-11-20T09:30:00Z", "2026-11-20T10:00:00Z"]
        })
    }

    #[test]
    fn the_table_has_a_line_for_each_schedule() {
        let done = shown(json!({"running": true, "items": [item("a", &Value::Null)]}));
        assert_eq!(
            done.text,
            "NAME  SWEEP            CLASSES  CADENCE  STATE  LAST RUN           PLANNED TO  NEXT RUNS\n\
             a     sweep-reminders  all      30m      ok     2026-11-20T09:00Z              2026-11-20T09:30Z 2026-11-20T10:00Z\n\
             running"
        );
        assert!(!done.found_fault);
    }

    #[test]
    fn what_is_late_or_missing_is_a_fault_and_what_is_disabled_is_not() {
        for (fault, found) in [("late", true), ("missing", true), ("disabled", false)] {
            let done = shown(json!({"running": true, "items": [item("a", &json!(fault))]}));
            assert_eq!(done.found_fault, found, "{fault}");
        }
        assert!(shown(json!({"running": false, "items": []})).found_fault);
    }
}
