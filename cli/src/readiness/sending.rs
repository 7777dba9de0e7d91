//! Whether messages go out now, by the last deliveries: workers that do not run, a provider that refuses, failures.

use std::collections::BTreeMap;

use carillon_domain::Timestamp;
use serde_json::Value;

use super::item::{Finding, Item};
use super::setup::Setup;
use crate::log::field;
use crate::words::counted;

/// A delivery that is as long on its way is stuck.
const STUCK_MS: i64 = 15 * 60 * 1_000;

/// Judges the last deliveries.
pub(super) fn sending(setup: &Setup) -> Item {
    let deliveries = &setup.deliveries;
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in deliveries {
        *states.entry(field(delivery, "state")).or_default() += 1;
    }
    let count = |wanted: &dyn Fn(&Value) -> bool| deliveries.iter().filter(|d| wanted(d)).count();
    let mut findings = Vec::new();
    let stuck = count(&|d| is_stuck(d, setup.read_at));
    if stuck > 0 {
        let cause =
            format!("workers not running: {} on the way for over 15 minutes", counted(stuck, "message"));
        findings
            .push(Finding::fault(cause, "look at the logs and alarms of deliver-whatsapp and deliver-email"));
    }
    for (channel, address) in [("whatsapp", "PHONE"), ("email", "ADDRESS")] {
        let halted =
            count(&|d| d["channel"] == channel && d["state"] == "held" && d["reason"] == "channel_halted");
        if halted > 0 {
            let cause = format!("the provider of {channel} refuses what we send from: {halted} held back");
            findings.push(Finding::fault(
                cause,
                format!("carillon validate --test-{channel} {address} tells the cause"),
            ));
        }
    }
    let failed = count(&|d| d["state"] == "failed" || d["state"] == "expired");
    if failed > 0 {
        let cause = format!("{failed} of the last {} failed", deliveries.len());
        findings.push(Finding::warning(cause, "carillon deliveries --state failed"));
    }
    let text = if deliveries.is_empty() {
        "nothing was sent yet".to_owned()
    } else {
        let states: Vec<String> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
        format!("the last {}: {}", deliveries.len(), states.join(", "))
    };
    Item { name: "sending", title: "Sending", text, findings, ..Item::default() }
}

fn is_stuck(delivery: &Value, now: Timestamp) -> bool {
    let on_its_way = ["pending", "sending"].contains(&delivery["state"].as_str().unwrap_or_default());
    let since = field(delivery, "created_at").parse::<Timestamp>();
    on_its_way && since.is_ok_and(|since| now.as_millisecond() - since.as_millisecond() > STUCK_MS)
}
