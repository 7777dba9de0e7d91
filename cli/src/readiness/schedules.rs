//! Whether what runs by the clock does: else nothing that waits goes out, and nobody is reminded.

use serde_json::Value;

use super::examine::NAMED;
use super::item::{Finding, Item};
use super::setup::Setup;
use crate::log::field;
use crate::pack::Pack;
use crate::words::{counted, quoted, some_of};

/// Judges the schedules.
pub(super) fn schedules(setup: &Setup, packs: &[Pack]) -> Item {
    let mut findings: Vec<Finding> = setup.schedules.iter().filter_map(finding).collect();
    for pack in packs {
        let is_there = |name: &&str| setup.schedules.iter().any(|item| item["name"] == **name);
        let names = pack.schedules.keys().map(carillon_domain::ScheduleName::as_str);
        let missing: Vec<&str> = names.filter(|name| !is_there(name)).collect();
        if !missing.is_empty() {
            let cause = format!("schedule missing: {}", some_of(&missing, NAMED));
            findings.push(Finding::warning(cause, format!("carillon apply {}", quoted(&pack.name))));
        }
    }
    let details = setup.schedules.iter().map(|item| {
        let last = field(item, "last_run_at");
        let last = if last.is_empty() { "never".to_owned() } else { last };
        let next = item["next_runs"][0].as_str().unwrap_or("never");
        format!(
            "{}: {} {}, last run {last}, next {next}",
            field(item, "name"),
            field(item, "sweep"),
            field(item, "cadence")
        )
    });
    Item {
        name: "schedules",
        title: "Schedules",
        text: format!("{}, running", counted(setup.schedules.len(), "schedule")),
        details: details.collect(),
        findings,
    }
}

fn finding(item: &Value) -> Option<Finding> {
    let (name, sweep) = (field(item, "name"), field(item, "sweep"));
    let own = item["deployment"] == true;
    let (cause, fix) = match item["fault"].as_str()? {
        "late" if own => (
            format!("scheduler not running: {sweep} has not run when it should"),
            format!(
                "look at the schedule, the log and the alarms of {sweep}; carillon schedules --run {sweep} runs it once"
            ),
        ),
        "late" => (
            format!("schedule late: {name} has not run when it should"),
            format!(
                "carillon schedules --run {sweep}; if it stays late, look at the log and the alarms of {sweep}"
            ),
        ),
        "missing" => (
            format!("schedule missing: nothing starts {name}"),
            format!("put it again: PUT /v1/system/schedules/{name}"),
        ),
        _ => (
            format!("schedule disabled: {name}, so that what it is for stands still"),
            format!("PUT /v1/system/schedules/{name} with enabled true, or DELETE it"),
        ),
    };
    Some(Finding::fault(cause, fix))
}
