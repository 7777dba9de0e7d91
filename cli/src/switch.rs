//! `carillon switch`: what is stopped, as a table; with `--stop` something is stopped, with `--go` it is let go again.

use carillon_domain::{SwitchMode, SwitchScope};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use crate::client::Client;
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::table::table;

const PATH: &str = "/v1/system/switches";

/// `carillon switch`.
#[derive(Debug, Args)]
pub struct Switch {
    /// Stop it; no provider is called for it any more 5 seconds later.
    #[arg(long)]
    stop: bool,

    /// Let it go; what was held goes out.
    #[arg(long, conflicts_with = "stop")]
    go: bool,

    /// What is meant; global is every tenant and needs the scope platform.
    #[arg(long, default_value = "tenant", value_parser = scopes())]
    scope: String,

    /// Which channel, category or template.
    #[arg(long, required_if_eq_any = [("scope", "channel"), ("scope", "category"), ("scope", "template")])]
    value: Option<String>,

    /// What becomes of what is stopped: it waits, or it is never sent.
    #[arg(long, default_value = "hold", requires = "stop", conflicts_with = "go", value_parser = modes())]
    mode: String,
}

/// Shows, stops or lets go.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn switch(client: &Client, arguments: &Switch) -> Result<Done, Failure> {
    let mut json = client.get(PATH).await?;
    if arguments.stop || arguments.go {
        let switches = json["switches"].as_array().cloned().unwrap_or_default();
        json = client.put_for(PATH, &json!({"switches": set(switches, arguments)})).await?;
    }
    Ok(Done {
        text: text(json["switches"].as_array().map(Vec::as_slice).unwrap_or_default()),
        json,
        found_fault: false,
    })
}

/// The list with this one set. What was stopped and goes again stays in the list, with who let it go.
fn set(mut switches: Vec<Value>, arguments: &Switch) -> Vec<Value> {
    let value = json!(arguments.value);
    let is_meant = |one: &Value| one["scope"] == arguments.scope && one["value"] == value;
    let found = switches.iter_mut().find(|one| is_meant(one));
    match found {
        Some(one) => {
            one["stopped"] = json!(arguments.stop);
            if arguments.stop {
                one["mode"] = json!(arguments.mode);
            }
        }
        None if arguments.stop => switches.push(json!({
            "scope": arguments.scope, "value": value, "stopped": true, "mode": arguments.mode
        })),
        None => {}
    }
    switches
}

fn text(switches: &[Value]) -> String {
    let stopped: Vec<&Value> = switches.iter().filter(|one| one["stopped"] == true).collect();
    if stopped.is_empty() {
        return "nothing is stopped".to_owned();
    }
    let row = |one: &&Value| ["scope", "value", "mode", "at", "by"].map(|name| field(one, name));
    let rows: Vec<[String; 5]> = stopped.iter().map(row).collect();
    table(["stopped", "value", "mode", "at", "by"], &rows)
}

fn scopes() -> PossibleValuesParser {
    SwitchScope::ALL.map(SwitchScope::as_str).into()
}

fn modes() -> PossibleValuesParser {
    SwitchMode::ALL.map(SwitchMode::as_str).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(stop: bool, mode: &str) -> Switch {
        let (scope, value) = ("channel".to_owned(), Some("email".to_owned()));
        Switch { stop, go: !stop, scope, value, mode: mode.to_owned() }
    }

    #[test]
    fn one_switch_is_set_and_the_others_stay() {
        let tenant = json!({"scope": "tenant", "stopped": false, "mode": "hold"});
        let email =
            |stopped: bool| json!({"scope": "channel", "value": "email", "stopped": stopped, "mode": "drop"});
        let stopped = set(vec![tenant.clone()], &asked(true, "drop"));
        assert_eq!(stopped, [tenant.clone(), email(true)]);
        assert_eq!(set(stopped, &asked(false, "hold")), [tenant.clone(), email(false)]);
        assert_eq!(set(vec![tenant.clone()], &asked(false, "hold")), [tenant]);
    }

    #[test]
    fn the_table_shows_what_is_stopped_by_whom() {
        let at = "2026-11-20T09:00:00Z";
        let switches = [
            json!({"scope": "channel", "value": "email", "stopped": true, "mode": "hold", "by": "k1", "at": at}),
            json!({"scope": "tenant", "stopped": false, "mode": "hold", "by": "k1", "at": at}),
        ];
        assert_eq!(
            text(&switches),
            "STOPPED  VALUE  MODE  AT                    BY\n\
             channel  email  hold  2026-11-20T09:00:00Z  k1\n"
        );
        assert_eq!(text(&switches[1..]), "nothing is stopped");
    }
}
