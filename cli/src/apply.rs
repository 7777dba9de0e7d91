//! `carillon apply`: puts a pack's groups, templates and routes into a tenant, in that order, because a route names a
//! published template. What is the same already is left alone; applying twice changes nothing.

use std::fmt;

use carillon_domain::FieldError;
use serde_json::{Value, json};

use crate::client::{CallError, Client, encoded};
use crate::outcome::{Done, Failure};
use crate::pack::{self, Pack, PackFaults, Part};

/// How many differences of one thing are named.
const NAMED_DIFFERENCES: usize = 4;

/// What is to be done with one thing of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Create,
    /// With the pointers to what differs.
    Update(Vec<String>),
    Nothing,
}

/// One thing of a pack: where it goes, what it is to be, what is there.
struct Step<'a> {
    part: Part<'a>,
    kind: &'static str,
    name: String,
    path: String,
    body: Value,
    change: Change,
}

/// What applying a pack has changed, or would change.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    changes: Vec<(&'static str, String, Change)>,
    dry_run: bool,
}

/// Applies a pack, or says what that would do.
///
/// # Errors
/// When the API refuses a part, with the file and line it comes from, or cannot be reached.
pub async fn apply(client: &Client, pack: &Pack, dry_run: bool) -> Result<Summary, Failure> {
    let mut steps = steps(pack);
    for step in &mut steps {
        step.change = change(client, step).await?;
    }
    let needed: Vec<&Step> = steps.iter().filter(|step| step.change != Change::Nothing).collect();
    for (done, step) in needed.iter().enumerate().filter(|_| !dry_run) {
        let query = if step.kind == "template" { "?publish=true" } else { "" };
        if let Err(error) = client.put(&format!("{}{query}", step.path), &step.body).await {
            return Err(refused(pack, step, error, done, needed.len()));
        }
    }
    let changes = steps.into_iter().map(|step| (step.kind, step.name, step.change)).collect();
    Ok(Summary { changes, dry_run })
}

fn steps(pack: &Pack) -> Vec<Step<'_>> {
    let step = |part, kind: &'static str, name: &str, body| {
        let path = format!("/v1/{kind}s/{}", encoded(name));
        Step { part, kind, name: name.to_owned(), path, body, change: Change::Nothing }
    };
    let groups = pack.groups.iter().enumerate().map(|(i, group)| {
        step(Part::Group(i), "group", group.name.as_str(), json!({"description": group.description}))
    });
    let templates = pack
        .templates
        .iter()
        .map(|(name, template)| step(Part::Template(name), "template", name.as_str(), json!(template)));
    let routes =
        pack.routes.iter().map(|(name, route)| step(Part::Route(name), "route", name.as_str(), json!(route)));
    groups.chain(templates).chain(routes).collect()
}

/// Compares with what is there. Only the fields that a pack has are compared: the rest is the tenant's.
async fn change(client: &Client, step: &Step<'_>) -> Result<Change, CallError> {
    let Some(there) = client.find(&step.path).await? else { return Ok(Change::Create) };
    let mut differences = Vec::new();
    match step.kind {
        "group" => {
            differing(&there["description"], &step.body["description"], "/description", &mut differences);
        }
        "template" => {
            differing(&there["locales"], &step.body["locales"], "/locales", &mut differences);
            if differences.is_empty() && there["status"] != "published" {
                differences.push("/status".to_owned());
            }
        }
        _ => {
            let mut there = there;
            if let Some(fields) = there.as_object_mut() {
                fields.remove("event_type");
            }
            differing(&there, &step.body, "", &mut differences);
        }
    }
    Ok(if differences.is_empty() { Change::Nothing } else { Change::Update(differences) })
}

/// The pointers to the innermost values that differ.
fn differing(there: &Value, wanted: &Value, at: &str, found: &mut Vec<String>) {
    match (there, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> =
                a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))).collect();
            names.sort();
            for name in names {
                let pointer = format!("{at}/{}", carillon_domain::problem::pointer_part(name));
                differing(
                    a.get(name).unwrap_or(&Value::Null),
                    b.get(name).unwrap_or(&Value::Null),
                    &pointer,
                    found,
                );
            }
        }
        _ if there == wanted => {}
        _ => found.push(at.to_owned()),
    }
}

/// A refusal told by the file and line of the pack, with how far it came.
fn refused(pack: &Pack, step: &Step<'_>, error: CallError, done: usize, needed: usize) -> Failure {
    let CallError::Refused { problem, .. } = &error else { return error.into() };
    if ![409, 422].contains(&problem.status) {
        return error.into();
    }
    let whole = || vec![FieldError::new("", problem.detail.clone())];
    let found = if problem.errors.is_empty() { whole() } else { problem.errors.clone() };
    let faults = PackFaults(found.into_iter().map(|fault| pack.fault(step.part, fault)).collect());
    if done == 0 {
        return faults.into();
    }
    let listed = pack::listed(&faults.0);
    let after = format!(
        "{done} of {needed} changes were made before it; mend it and apply again, which makes the rest"
    );
    Failure::Fault(format!("the API refused the {} {:?}; {after}{listed}", step.kind, step.name))
}

impl Summary {
    /// What `carillon apply` prints.
    #[must_use]
    pub fn done(&self, pack: &str, url: &str) -> Done {
        let mut json = json!({"pack": pack, "dry_run": self.dry_run});
        for kind in ["group", "template", "route"] {
            let names = |wanted: fn(&Change) -> bool| -> Value {
                self.changes
                    .iter()
                    .filter(|(k, _, c)| *k == kind && wanted(c))
                    .map(|(_, name, _)| json!(name))
                    .collect()
            };
            json[format!("{kind}s")] = json!({
                "created": names(|c| matches!(c, Change::Create)),
                "updated": names(|c| matches!(c, Change::Update(_))),
                "unchanged": names(|c| matches!(c, Change::Nothing)),
            });
        }
        let would = if self.dry_run { ", dry run: nothing was changed" } else { "" };
        Done { text: format!("pack {pack} -> {url}{would}\n{self}"), json, found_fault: false }
    }

    fn count(&self, kind: &str, wanted: fn(&Change) -> bool) -> usize {
        self.changes.iter().filter(|(k, _, change)| *k == kind && wanted(change)).count()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, name, change) in &self.changes {
            match change {
                Change::Nothing => {}
                Change::Create => writeln!(f, "  + {kind} {name}")?,
                Change::Update(pointers) => {
                    let named: Vec<&str> =
                        pointers.iter().take(NAMED_DIFFERENCES).map(String::as_str).collect();
                    let more = pointers.len() - named.len();
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    writeln!(f, "  ~ {kind} {name}: {}{more}", named.join(", "))?;
                }
            }
        }
        let (to_create, to_update) =
            if self.dry_run { ("to create", "to update") } else { ("created", "updated") };
        for (kind, heading) in [("group", "groups:   "), ("template", "templates:"), ("route", "routes:   ")]
        {
            let created = self.count(kind, |c| matches!(c, Change::Create));
            let updated = self.count(kind, |c| matches!(c, Change::Update(_)));
            let unchanged = self.count(kind, |c| matches!(c, Change::Nothing));
            writeln!(f, "{heading} {created} {to_create}, {updated} {to_update}, {unchanged} unchanged")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_pointed_at_where_it_is() {
        let there = json!({"audience": {"groups": ["A"]}, "channels": ["email"], "priority": "normal"});
        let wanted = json!({"audience": {"groups": ["B"]}, "channels": ["email"], "expires_after_s": 60, "priority": "normal"});
        let mut found = Vec::new();
        differing(&there, &wanted, "", &mut found);
        assert_eq!(found, ["/audience/groups", "/expires_after_s"]);
    }

    #[test]
    fn the_summary_shows_what_changes_and_counts_the_rest() {
        let changes = vec![
            ("group", "Sales".to_owned(), Change::Nothing),
            ("template", "welcome".to_owned(), Change::Create),
            ("route", "user.joined".to_owned(), Change::Update(vec!["/channels".to_owned()])),
        ];
        let text = Summary { changes, dry_run: true }.to_string();
        assert_eq!(
            text,
            "  + template welcome\n\
             \x20 ~ route user.joined: /channels\n\
             groups:    0 to create, 0 to update, 1 unchanged\n\
             templates: 1 to create, 0 to update, 0 unchanged\n\
             routes:    0 to create, 1 to update, 0 unchanged\n"
        );
    }
}
