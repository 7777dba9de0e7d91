//! `carillon stats`: what was sent, as numbers, from the counters: a table of days or of whatever it is grouped by, and the
//! total below it.

use clap::Args;
use serde_json::Value;

use crate::client::Client;
use crate::outcome::{Done, Failure};
use crate::table::table;

/// `carillon stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// From this day on, such as 2026-11-20; 30 days when absent.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,

    /// Before this day; today is the last one when absent.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,

    /// What the numbers are grouped by, with commas between: channel, category, event_type, template, day, state.
    #[arg(long, default_value = "channel")]
    by: String,
}

/// Asks and shows.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn stats(client: &Client, wanted: &Stats) -> Result<Done, Failure> {
    let mut path = format!("/v1/system/stats?by={}", escaped(&wanted.by));
    for (name, value) in [("from", &wanted.from), ("to", &wanted.to)] {
        if let Some(value) = value {
            path = format!("{path}&{name}={}", escaped(value));
        }
    }
    let json = client.get(&path).await?;
    Ok(Done { text: text(&json), json, found_fault: false })
}

/// A value of a query: days, instants and lists need no more than this.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('&', "%26").replace('+', "%2B").replace('#', "%23").replace(' ', "%20")
}

fn text(json: &Value) -> String {
    let by: Vec<&str> = json["by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let group = |item: &Value| by.iter().map(|name| field(item, name)).collect::<Vec<_>>().join(" ");
    let items = json["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let heading = by.join(" ");
    let mut text = format!("from {} to {}\n\n", field(json, "from"), field(json, "to"));
    if by.contains(&"state") {
        let rows: Vec<[String; 3]> =
            items.iter().map(|item| [group(item), field(item, "count"), reasons(item)]).collect();
        text.push_str(&table([heading.as_str(), "count", "why"], &rows));
    } else {
        let mut rows: Vec<[String; 11]> = items.iter().map(|item| row(group(item), item)).collect();
        rows.push(row("total".to_owned(), &json["total"]));
        let headings = [
            heading.as_str(),
            "count",
            "sent",
            "delivered",
            "read",
            "failed",
            "skipped",
            "success",
            "p50",
            "p95",
            "cost",
        ];
        text.push_str(&table(headings, &rows));
    }
    let why = reasons(&json["total"]);
    if !why.is_empty() {
        text = format!("{text}\n{why}\n");
    }
    text
}

fn row(group: String, item: &Value) -> [String; 11] {
    let number = |name: &str| field(item, name);
    let success =
        item["success_rate"].as_f64().map_or_else(String::new, |share| format!("{:.1} %", share * 100.0));
    let latency = |name: &str| item["latency_ms"][name].as_u64().map_or_else(String::new, seconds);
    [
        group,
        number("count"),
        number("sent"),
        number("delivered"),
        number("read"),
        number("failed"),
        number("skipped"),
        success,
        latency("p50"),
        latency("p95"),
        money(&item["cost"]),
    ]
}

/// A text or a number.
fn field(item: &Value, name: &str) -> String {
    match &item[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// `failed(bounced) 2, skipped(opted_out) 1`.
fn reasons(item: &Value) -> String {
    let each = item["reasons"].as_object().into_iter().flatten().map(|(reason, n)| format!("{reason} {n}"));
    each.collect::<Vec<_>>().join(", ")
}

fn seconds(ms: u64) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}

/// An amount with four decimals; a guess has a `~` before it.
fn money(cost: &Value) -> String {
    let Some(micros) = cost["amount_micros"].as_i64() else { return String::new() };
    let guess = if cost["estimated"] == true { "~" } else { "" };
    let currency = cost["currency"].as_str().unwrap_or_default();
    format!("{guess}{}.{:04} {currency}", micros / 1_000_000, micros.rem_euclid(1_000_000) / 100)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn numbers() -> Value {
        json!({
            "count": 4, "sent": 3, "delivered": 2, "read": 0, "failed": 1, "skipped": 0, "success_rate": 0.75,
            "latency_ms": {"p50": 724, "p95": 1_448}, "reasons": {"failed(bounced)": 1},
            "cost": {"amount_micros": 10_260, "currency": "USD", "estimated": true}
        })
    }

    #[test]
    fn the_table_shows_each_group_and_the_total() {
        let mut item = numbers();
        item["channel"] = json!("email");
        let answer = json!({"from": "2026-11-20", "to": "2026-11-21", "by": ["channel"], "items": [item], "total": numbers()});
        let text = text(&answer);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "from 2026-11-20 to 2026-11-21");
        let words = |line: &str| {
            line.split("  ").filter(|w| !w.is_empty()).map(|w| w.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            words(lines[3]),
            ["email", "4", "3", "2", "0", "1", "0", "75.0 %", "724 ms", "1.4 s", "~0.0102 USD"]
        );
        assert_eq!(words(lines[4])[0], "total");
        assert_eq!(lines[6], "failed(bounced) 1");
    }

    #[test]
    fn states_are_shown_with_their_reasons() {
        let item = json!({"state": "failed", "count": 1, "reasons": {"failed(bounced)": 1}});
        let answer = json!({"from": "a", "to": "b", "by": ["state"], "items": [item], "total": {}});
        assert!(text(&answer).contains("failed  1      failed(bounced) 1"), "{}", text(&answer));
    }
}
