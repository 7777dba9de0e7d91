//! A whole pack at once: its groups, templates, routes, settings, reminder policies and schedules. All of it is checked before anything
//! changes; then the groups are put, the templates published, then the routes, because a route names a published template. What is the same
//! already is left alone, so that applying twice changes nothing, and applying again completes what a crash cut short.

use std::collections::BTreeMap;

use carillon_domain::parse::from_value;
use carillon_domain::problem::pointer_part;
use carillon_domain::window::WindowReminder;
use carillon_domain::{
    EventType, FieldError, GroupName, PackName, PolicyName, Problem, QuietHours, ReminderPolicy, Route,
    Schedule, ScheduleName, Template, TemplateName, TenantId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::deadlines::words_faults;
use crate::ports::StoreError;
use crate::schedules::schedule_faults;
use crate::store::groups::Group;
use crate::store::settings::Settings;

/// The parts of a pack, in the order in which they are put.
const KINDS: [&str; 6] = ["groups", "templates", "routes", "settings", "reminder_policies", "schedules"];

/// A pack as it is posted. Templates and routes are read one by one, so that one answer has the faults of all.
#[derive(Debug, Deserialize)]
pub struct PackInput {
    name: PackName,
    /// For those who read the pack.
    #[serde(rename = "title")]
    _title: Option<String>,
    #[serde(default)]
    groups: Vec<PackGroup>,
    #[serde(default)]
    templates: BTreeMap<String, Value>,
    #[serde(default)]
    routes: BTreeMap<String, Value>,
    #[serde(default)]
    settings: PackSettings,
    #[serde(default)]
    reminder_policies: BTreeMap<String, Value>,
    #[serde(default)]
    schedules: BTreeMap<String, Value>,
}

/// The settings that a pack may bring; what it does not name stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackSettings {
    /// Who is told before a WhatsApp window closes, by which event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_reminder: Option<WindowReminder>,
    /// When those who said nothing are not to be disturbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
}

/// A group of a pack; its members are the tenant's own.
#[derive(Debug, Deserialize)]
pub struct PackGroup {
    name: GroupName,
    description: Option<String>,
}

/// A pack in which everything can be stored.
struct Pack {
    groups: Vec<PackGroup>,
    templates: BTreeMap<TemplateName, Template>,
    routes: BTreeMap<EventType, Route>,
    settings: PackSettings,
    policies: BTreeMap<PolicyName, ReminderPolicy>,
    schedules: BTreeMap<ScheduleName, Schedule>,
}

/// What is to be done with one part of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Create,
    /// With pointers into the pack to what differs.
    Update(Vec<String>),
    Nothing,
}

/// The changes of each kind, in the order of [`KINDS`].
type Changes = [Vec<(String, Change)>; 6];

impl Pipeline {
    /// Applies a pack, or with `dry_run` only says what that would change: names by what becomes of them, and pointers
    /// to what differs.
    ///
    /// # Errors
    /// 422 with a pointer to everything that is wrong; then nothing was changed.
    pub async fn apply_pack(
        &self,
        tenant: &TenantId,
        name: &PackName,
        body: Value,
        dry_run: bool,
    ) -> Result<Value, Problem> {
        let pack = self.checked_pack(tenant, name, from_value(body)?).await?;
        let changes = self.pack_changes(tenant, &pack).await?;
        if !dry_run {
            self.put_pack(tenant, &pack, &changes).await?;
        }
        Ok(shown(name, dry_run, &changes))
    }

    async fn checked_pack(
        &self,
        tenant: &TenantId,
        name: &PackName,
        input: PackInput,
    ) -> Result<Pack, Problem> {
        let PackInput {
            name: own_name,
            groups,
            templates,
            routes,
            settings,
            reminder_policies,
            schedules,
            ..
        } = input;
        let mut faults = Vec::new();
        if own_name != *name {
            let detail = format!("is not the name in the path, {:?}", name.as_str());
            faults.push(FieldError::new("/name", detail));
        }
        for (i, group) in groups.iter().enumerate() {
            if groups[..i].iter().any(|g| g.name == group.name) {
                let detail = format!("the group {:?} is there twice", group.name.as_str());
                faults.push(FieldError::new(format!("/groups/{i}/name"), detail));
            }
        }
        // A template that is there and wrong is not missing as well: its routes are read, and not compared with it.
        let named: Vec<String> = templates.keys().cloned().collect();
        let templates: BTreeMap<TemplateName, Template> = each_read("/templates", templates, &mut faults);
        let routes: BTreeMap<EventType, Route> = each_read("/routes", routes, &mut faults);
        for (name, template) in &templates {
            let at = format!("/templates/{}", pointer_part(name.as_str()));
            faults.extend(self.template_faults(template).into_iter().map(|fault| fault.under(&at)));
        }
        for (event_type, route) in &routes {
            let at = format!("/routes/{}", pointer_part(event_type.as_str()));
            let published;
            let template = match templates.get(&route.template) {
                Some(template) => Some(template),
                None if named.iter().any(|name| name == route.template.as_str()) => continue,
                None => {
                    published = self.published_template(tenant, &route.template).await?;
                    published.as_deref().map(|version| &version.template)
                }
            };
            faults.extend(self.route_faults(route, template).into_iter().map(|fault| fault.under(&at)));
        }
        let reminder = settings.window_reminder.iter().flat_map(WindowReminder::faults);
        faults.extend(reminder.map(|fault| fault.under("/settings/window_reminder")));
        let quiet = settings.quiet_hours.iter().flat_map(QuietHours::faults);
        faults.extend(quiet.map(|fault| fault.under("/settings/quiet_hours")));
        let policies =
            self.checked_policies(tenant, reminder_policies, &templates, &named, &mut faults).await?;
        let schedules: BTreeMap<ScheduleName, Schedule> = each_read("/schedules", schedules, &mut faults);
        for (name, schedule) in &schedules {
            let at = format!("/schedules/{}", pointer_part(name.as_str()));
            faults.extend(schedule_faults(name, schedule).into_iter().map(|fault| fault.under(&at)));
        }
        if faults.is_empty() {
            Ok(Pack { groups, templates, routes, settings, policies, schedules })
        } else {
            Err(faults.into())
        }
    }

    /// Compares with what is stored. Only what a pack has is compared: the rest is the tenant's.
    async fn pack_changes(&self, tenant: &TenantId, pack: &Pack) -> Result<Changes, StoreError> {
        let [mut groups, mut templates, mut routes, mut settings, mut policies, mut schedules]: Changes =
            Default::default();
        for (i, wanted) in pack.groups.iter().enumerate() {
            let change = match self.group(tenant, &wanted.name).await? {
                None => Change::Create,
                Some(there) if wanted.description.is_none() || there.description == wanted.description => {
                    Change::Nothing
                }
                Some(_) => Change::Update(vec![format!("/groups/{i}/description")]),
            };
            groups.push((wanted.name.to_string(), change));
        }
        for (name, wanted) in &pack.templates {
            templates.push((name.to_string(), self.template_change(tenant, name, wanted).await?));
        }
        for (event_type, wanted) in &pack.routes {
            // What another function changed a moment ago must not pass for what is stored.
            self.remembered.routes.forget(&(tenant.clone(), event_type.to_string()));
            let at = format!("/routes/{}", pointer_part(event_type.as_str()));
            let change = match self.route(tenant, event_type).await? {
                None => Change::Create,
                Some(there) => changed(&json!(*there), &json!(wanted), &at),
            };
            routes.push((event_type.to_string(), change));
        }
        if let Some(wanted) = &pack.settings.window_reminder {
            let change = match &self.settings(tenant).await?.window_reminder {
                None => Change::Create,
                Some(there) => changed(&json!(there), &json!(wanted), "/settings/window_reminder"),
            };
            settings.push(("window_reminder".to_owned(), change));
        }
        if let Some(wanted) = &pack.settings.quiet_hours {
            let change = match &self.settings(tenant).await?.preferences.quiet_hours {
                None => Change::Create,
                Some(there) => changed(&json!(there), &json!(wanted), "/settings/quiet_hours"),
            };
            settings.push(("quiet_hours".to_owned(), change));
        }
        for (name, wanted) in &pack.policies {
            let at = format!("/reminder_policies/{}", pointer_part(name.as_str()));
            let change = match self.reminder_policy(tenant, name).await? {
                None => Change::Create,
                Some(there) => changed(&json!(*there.policy), &json!(wanted), &at),
            };
            policies.push((name.to_string(), change));
        }
        for (name, wanted) in &pack.schedules {
            let at = format!("/schedules/{}", pointer_part(name.as_str()));
            let change = match self.schedule(tenant, name).await? {
                None => Change::Create,
                Some(there) => changed(&json!(there.schedule), &json!(wanted), &at),
            };
            schedules.push((name.to_string(), change));
        }
        Ok([groups, templates, routes, settings, policies, schedules])
    }

    /// Reads the policies, and compares them with the templates that the pack has and with those that are published.
    async fn checked_policies(
        &self,
        tenant: &TenantId,
        policies: BTreeMap<String, Value>,
        templates: &BTreeMap<TemplateName, Template>,
        named: &[String],
        faults: &mut Vec<FieldError>,
    ) -> Result<BTreeMap<PolicyName, ReminderPolicy>, StoreError> {
        let policies: BTreeMap<PolicyName, ReminderPolicy> =
            each_read("/reminder_policies", policies, faults);
        for (name, policy) in &policies {
            let at = format!("/reminder_policies/{}", pointer_part(name.as_str()));
            faults.extend(policy.faults().into_iter().map(|fault| fault.under(&at)));
            for (inside, template, channels) in policy.templates() {
                if !templates.contains_key(template) && named.iter().any(|n| n == template.as_str()) {
                    continue;
                }
                let published = self.published_template(tenant, template).await?;
                let published = published.as_ref().map(|version| &version.template);
                let words = words_faults(template, templates.get(template).or(published), channels);
                faults.extend(words.into_iter().map(|fault| fault.under(&inside).under(&at)));
            }
        }
        Ok(policies)
    }

    async fn template_change(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
        wanted: &Template,
    ) -> Result<Change, StoreError> {
        let at = format!("/templates/{}", pointer_part(name.as_str()));
        self.remembered.heads.forget(&(tenant.clone(), name.clone()));
        let Some(head) = self.template_head(tenant, name).await? else { return Ok(Change::Create) };
        let published = match head.published {
            Some(version) => self.template_version(tenant, name, version).await?,
            None => None,
        };
        Ok(match published {
            // A draft says nothing to anybody, whatever its words are.
            None => Change::Update(vec![at]),
            Some(there) => changed(&json!(there.template), &json!(wanted), &at),
        })
    }

    async fn put_pack(&self, tenant: &TenantId, pack: &Pack, changes: &Changes) -> Result<(), Problem> {
        let [groups, templates, routes, settings, policies, schedules] = changes;
        for (group, _) in pack.groups.iter().zip(groups).filter(|(_, (_, change))| is_needed(change)) {
            let description = group.description.clone();
            self.put_group(tenant, &group.name, &Group { description }).await?;
        }
        for ((name, template), _) in
            pack.templates.iter().zip(templates).filter(|(_, (_, change))| is_needed(change))
        {
            self.put_template(tenant, name, template, true).await?;
        }
        for ((event_type, route), _) in
            pack.routes.iter().zip(routes).filter(|(_, (_, change))| is_needed(change))
        {
            self.put_route(tenant, event_type, route).await?;
        }
        for ((name, policy), _) in
            pack.policies.iter().zip(policies).filter(|(_, (_, change))| is_needed(change))
        {
            self.put_reminder_policy(tenant, name, policy).await?;
        }
        if settings.iter().any(|(_, change)| is_needed(change)) {
            let mut wanted = Settings::clone(&*self.settings(tenant).await?);
            let PackSettings { window_reminder, quiet_hours } = pack.settings.clone();
            wanted.window_reminder = window_reminder.or(wanted.window_reminder);
            wanted.preferences.quiet_hours = quiet_hours.or(wanted.preferences.quiet_hours);
            self.put_settings(tenant, &wanted).await?;
        }
        for ((name, schedule), _) in
            pack.schedules.iter().zip(schedules).filter(|(_, (_, change))| is_needed(change))
        {
            self.set_schedule(tenant, name, schedule).await?;
        }
        Ok(())
    }
}

fn is_needed(change: &Change) -> bool {
    *change != Change::Nothing
}

/// Reads each value of a map, under its name, and notes what cannot be read.
fn each_read<K, V>(at: &str, values: BTreeMap<String, Value>, faults: &mut Vec<FieldError>) -> BTreeMap<K, V>
where
    K: Ord + TryFrom<String, Error = carillon_domain::ids::InvalidId>,
    V: serde::de::DeserializeOwned,
{
    let mut read = BTreeMap::new();
    for (name, value) in values {
        let here = format!("{at}/{}", pointer_part(&name));
        match (K::try_from(name), from_value::<V>(value)) {
            (Ok(name), Ok(value)) => {
                read.insert(name, value);
            }
            (name, value) => {
                let rule = name.err().map(|rule| FieldError::new("", format!("the name {rule}")));
                let all = rule.into_iter().chain(value.err().unwrap_or_default());
                faults.extend(all.map(|fault| fault.under(&here)));
            }
        }
    }
    read
}

fn changed(there: &Value, wanted: &Value, at: &str) -> Change {
    let mut found = Vec::new();
    differing(there, wanted, at, &mut found);
    if found.is_empty() { Change::Nothing } else { Change::Update(found) }
}

/// The pointers to the innermost values that differ.
fn differing(there: &Value, wanted: &Value, at: &str, found: &mut Vec<String>) {
    match (there, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> =
                a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))).collect();
            names.sort();
            for name in names {
                let here = format!("{at}/{}", pointer_part(name));
                differing(
                    a.get(name).unwrap_or(&Value::Null),
                    b.get(name).unwrap_or(&Value::Null),
                    &here,
                    found,
                );
            }
        }
        _ if there == wanted => {}
        _ => found.push(at.to_owned()),
    }
}

fn shown(name: &PackName, dry_run: bool, changes: &Changes) -> Value {
    let names = |wanted: fn(&Change) -> bool| -> Value {
        let each = KINDS.iter().zip(changes).map(|(kind, changes)| {
            let names = changes.iter().filter(|(_, change)| wanted(change)).map(|(name, _)| json!(name));
            ((*kind).to_owned(), names.collect())
        });
        Value::Object(each.collect())
    };
    let pointers = changes.iter().flatten().filter_map(|(_, change)| match change {
        Change::Update(pointers) => Some(pointers),
        Change::Create | Change::Nothing => None,
    });
    json!({
        "name": name,
        "dry_run": dry_run,
        "created": names(|change| matches!(change, Change::Create)),
        "updated": names(|change| matches!(change, Change::Update(_))),
        "unchanged": names(|change| matches!(change, Change::Nothing)),
        "differences": pointers.flatten().collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_pointed_at_where_it_is() {
        let there = json!({"audience": {"groups": ["A"]}, "channels": ["email"], "priority": "normal"});
        let wanted = json!({"audience": {"groups": ["B"]}, "channels": ["email"], "expires_after_s": 60, "priority": "normal"});
        let pointers = ["/routes/a~1b/audience/groups", "/routes/a~1b/expires_after_s"];
        assert_eq!(
            changed(&there, &wanted, "/routes/a~1b"),
            Change::Update(pointers.map(str::to_owned).to_vec())
        );
        assert_eq!(changed(&there, &there, "/routes/a"), Change::Nothing);
    }
}
