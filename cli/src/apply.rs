//! `carillon apply`: puts a pack's groups, templates, routes, settings, reminder policies and schedules into a tenant with one call, all or nothing, and shows what
//! that changed. What is the same already is left alone; applying twice changes nothing.

use std::fmt;

use carillon_domain::FieldError;
use carillon_domain::problem::pointer_part;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{CallError, Client, encoded};
use crate::outcome::{Done, Failure};
use crate::pack::{Pack, PackFault, PackFaults, Part};

/// How many differences of one thing are named.
const NAMED_DIFFERENCES: usize = 4;

/// What has become of one thing of a pack, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Create,
    /// With the pointers to what differs.
    Update(Vec<String>),
    Nothing,
}

/// What applying a pack has changed, or would change.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    changes: Vec<(&'static str, String, Change)>,
    dry_run: bool,
}

/// What the API answers: names by what became of them, and pointers into the pack to what differed.
#[derive(Debug, Deserialize)]
struct Applied {
    created: Names,
    updated: Names,
    differences: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Names {
    groups: Vec<String>,
    templates: Vec<String>,
    routes: Vec<String>,
    settings: Vec<String>,
    reminder_policies: Vec<String>,
    schedules: Vec<String>,
}

/// Applies a pack, or says what that would do.
///
/// # Errors
/// When the API refuses it, with the file and line of each fault, or cannot be reached.
pub async fn apply(client: &Client, pack: &Pack, dry_run: bool) -> Result<Summary, Failure> {
    let query = if dry_run { "?dry_run=true" } else { "" };
    let path = format!("/v1/packs/{}", encoded(&pack.name));
    let answered = client.put_for(&format!("{path}{query}"), &body(pack)).await;
    let answer = answered.map_err(|error| refused(pack, error))?;
    let applied = serde_json::from_value(answer)
        .map_err(|_| CallError::Unreadable { call: format!("PUT {path}"), status: 200 })?;
    Ok(Summary { changes: changes(pack, &applied), dry_run })
}

/// A pack as it is posted.
#[must_use]
pub fn body(pack: &Pack) -> Value {
    let groups: Vec<Value> =
        pack.groups.iter().map(|g| json!({"name": g.name, "description": g.description})).collect();
    let templates: Map<String, Value> =
        pack.templates.iter().map(|(name, template)| (name.to_string(), json!(template))).collect();
    let routes: Map<String, Value> =
        pack.routes.iter().map(|(event_type, route)| (event_type.to_string(), json!(route))).collect();
    let policies: Map<String, Value> =
        pack.policies.iter().map(|(name, policy)| (name.to_string(), json!(policy))).collect();
    json!({"name": pack.name, "title": pack.title, "groups": groups, "templates": templates, "routes": routes,
        "settings": pack.settings, "reminder_policies": policies, "schedules": pack.schedules})
}

/// Everything in the pack with what became of it, in the pack's order.
fn changes(pack: &Pack, applied: &Applied) -> Vec<(&'static str, String, Change)> {
    let Applied { created, updated, differences } = applied;
    let change = |created: &[String], updated: &[String], at: String, name: &str| {
        if created.iter().any(|n| n == name) {
            Change::Create
        } else if updated.iter().any(|n| n == name) {
            let inside = differences.iter().filter_map(|pointer| below(pointer, &at));
            Change::Update(inside.map(str::to_owned).collect())
        } else {
            Change::Nothing
        }
    };
    let groups = pack.groups.iter().enumerate().map(|(i, group)| {
        let name = group.name.as_str();
        ("group", name.to_owned(), change(&created.groups, &updated.groups, format!("/groups/{i}"), name))
    });
    let templates = pack.templates.keys().map(|name| {
        let at = format!("/templates/{}", pointer_part(name.as_str()));
        ("template", name.to_string(), change(&created.templates, &updated.templates, at, name.as_str()))
    });
    let routes = pack.routes.keys().map(|event_type| {
        let at = format!("/routes/{}", pointer_part(event_type.as_str()));
        ("route", event_type.to_string(), change(&created.routes, &updated.routes, at, event_type.as_str()))
    });
    let settings = settings_of(pack).into_iter().map(|name| {
        let at = format!("/settings/{name}");
        ("setting", name.clone(), change(&created.settings, &updated.settings, at, &name))
    });
    let policies = pack.policies.keys().map(|name| {
        let at = format!("/reminder_policies/{}", pointer_part(name.as_str()));
        let (created, updated) = (&created.reminder_policies, &updated.reminder_policies);
        ("policy", name.to_string(), change(created, updated, at, name.as_str()))
    });
    let schedules = pack.schedules.keys().map(|name| {
        let at = format!("/schedules/{}", pointer_part(name.as_str()));
        let (created, updated) = (&created.schedules, &updated.schedules);
        ("schedule", name.to_string(), change(created, updated, at, name.as_str()))
    });
    groups.chain(templates).chain(routes).chain(settings).chain(policies).chain(schedules).collect()
}

/// The names of the settings that a pack brings.
fn settings_of(pack: &Pack) -> Vec<String> {
    let settings = json!(pack.settings);
    settings.as_object().map(|settings| settings.keys().cloned().collect()).unwrap_or_default()
}

/// The rest of a pointer that leads to a part of a pack or into it.
fn below<'a>(pointer: &'a str, at: &str) -> Option<&'a str> {
    pointer.strip_prefix(at).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A refusal told by the files and lines of the pack.
fn refused(pack: &Pack, error: CallError) -> Failure {
    match error {
        CallError::Refused { problem, .. } if problem.status == 422 && !problem.errors.is_empty() => {
            PackFaults(problem.errors.into_iter().map(|fault| located(pack, fault)).collect()).into()
        }
        other => other.into(),
    }
}

/// A fault of the posted pack, by the file that the part comes from.
fn located(pack: &Pack, FieldError { pointer, detail }: FieldError) -> PackFault {
    let groups = (0..pack.groups.len()).map(|i| (format!("/groups/{i}"), Part::Group(i)));
    let templates = pack
        .templates
        .keys()
        .map(|name| (format!("/templates/{}", pointer_part(name.as_str())), Part::Template(name)));
    let routes = pack.routes.keys().map(|event_type| {
        (format!("/routes/{}", pointer_part(event_type.as_str())), Part::Route(event_type))
    });
    let policies = pack
        .policies
        .keys()
        .map(|name| (format!("/reminder_policies/{}", pointer_part(name.as_str())), Part::Policy(name)));
    let schedules = pack
        .schedules
        .keys()
        .map(|name| (format!("/schedules/{}", pointer_part(name.as_str())), Part::Schedule(name)));
    let mut parts = groups.chain(templates).chain(routes).chain(policies).chain(schedules);
    match parts.find_map(|(at, part)| Some((part, below(&pointer, &at)?))) {
        Some((part, inside)) => pack.fault(part, FieldError::new(inside, detail)),
        None => pack.manifest_fault(FieldError { pointer, detail }),
    }
}

impl Summary {
    /// What `carillon apply` prints.
    #[must_use]
    pub fn done(&self, pack: &str, url: &str) -> Done {
        let mut json = json!({"pack": pack, "dry_run": self.dry_run});
        for (kind, plural) in [
            ("group", "groups"),
            ("template", "templates"),
            ("route", "routes"),
            ("setting", "settings"),
            ("policy", "reminder_policies"),
            ("schedule", "schedules"),
        ] {
            let names = |wanted: fn(&Change) -> bool| -> Value {
                self.changes
                    .iter()
                    .filter(|(k, _, c)| *k == kind && wanted(c))
                    .map(|(_, name, _)| json!(name))
                    .collect()
            };
            json[plural] = json!({
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
                    let named = |pointer: &String| {
                        if pointer.is_empty() { "not published".to_owned() } else { pointer.clone() }
                    };
                    let named: Vec<String> = pointers.iter().take(NAMED_DIFFERENCES).map(named).collect();
                    let more = pointers.len() - named.len();
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    writeln!(f, "  ~ {kind} {name}: {}{more}", named.join(", "))?;
                }
            }
        }
        let (to_create, to_update) =
            if self.dry_run { ("to create", "to update") } else { ("created", "updated") };
        let headings = [
            ("group", "groups:   "),
            ("template", "templates:"),
            ("route", "routes:   "),
            ("setting", "settings: "),
            ("policy", "policies: "),
            ("schedule", "schedules:"),
        ];
        for (kind, heading) in headings {
            // Few packs bring settings, policies or schedules.
            let few = ["setting", "policy", "schedule"].contains(&kind);
            if few && !self.changes.iter().any(|(of, _, _)| *of == kind) {
                continue;
            }
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
    fn a_pointer_leads_into_the_part_that_it_names_and_into_no_other() {
        assert_eq!(below("/groups/1/name", "/groups/1"), Some("/name"));
        assert_eq!(below("/groups/1", "/groups/1"), Some(""));
        assert_eq!(below("/groups/10/name", "/groups/1"), None);
    }

    #[test]
    fn the_summary_shows_what_changes_and_counts_the_rest() {
        let changes = vec![
            ("group", "Sales".to_owned(), Change::Nothing),
            ("template", "farewell".to_owned(), Change::Update(vec![String::new()])),
            ("template", "welcome".to_owned(), Change::Create),
            ("route", "user.joined".to_owned(), Change::Update(vec!["/channels".to_owned()])),
        ];
        let text = Summary { changes, dry_run: true }.to_string();
        assert_eq!(
            text,
            "  ~ template farewell: not published\n\
             \x20 + template welcome\n\
             \x20 ~ route user.joined: /channels\n\
             groups:    0 to create, 0 to update, 1 unchanged\n\
             templates: 1 to create, 1 to update, 0 unchanged\n\
             routes:    0 to create, 1 to update, 0 unchanged\n"
        );
    }
}
