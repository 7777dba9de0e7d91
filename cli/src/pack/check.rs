//! What the parts of a pack promise each other: names that exist, texts for every channel, samples that can be played.
//! What only the cloud can know (whether a text renders) is found by [`crate::apply`].

use std::collections::BTreeSet;
use std::path::Path;

use carillon_domain::{FieldError, GroupName, RecipientId, TenantId};

use super::places::Places;
use super::read::named;
use super::{Pack, PackFault, Part};

/// Everything that does not fit together; `samples` are the places of the pack's samples, in their order.
pub(super) fn faults(pack: &Pack, folder: &Path, samples: &[Places]) -> Vec<PackFault> {
    let mut faults = Vec::new();
    manifest(pack, folder, &mut faults);
    templates(pack, &mut faults);
    routes(pack, &mut faults);
    policies(pack, &mut faults);
    recipients(pack, &mut faults);
    for (sample, places) in pack.samples.iter().zip(samples) {
        let mut fault = |at: String, detail: String| faults.push(places.fault(FieldError::new(at, detail)));
        let direct = sample.event.get("template").is_some();
        if !direct && !pack.routes.contains_key(&sample.event_type) {
            fault(
                "/event/type".to_owned(),
                format!("routes.toml has no route for {:?}", sample.event_type.as_str()),
            );
        }
        let mut seen = BTreeSet::new();
        for (i, expected) in sample.expect.iter().enumerate() {
            if !pack.recipients.iter().any(|r| r.id == expected.recipient) {
                fault(
                    format!("/expect/{i}/recipient"),
                    format!("recipients.toml has no {:?}", expected.recipient.as_str()),
                );
            }
            if !seen.insert((&expected.recipient, expected.channel)) {
                fault(
                    format!("/expect/{i}"),
                    "expects the same recipient and channel a second time".to_owned(),
                );
            }
        }
    }
    faults
}

fn manifest(pack: &Pack, folder: &Path, faults: &mut Vec<PackFault>) {
    let mut fault = |pointer: &str, detail: String| {
        faults.push(pack.sources.manifest.fault(FieldError::new(pointer, detail)));
    };
    // The demo gives each pack a tenant of its name.
    if let Err(error) = pack.name.parse::<TenantId>() {
        fault("/name", error.to_string());
    }
    // Of a path such as `.` the folder's name is not to be seen.
    let folder_name = folder.canonicalize().map_or_else(|_| named(folder), |path| named(&path));
    if pack.name != folder_name {
        fault(
            "/name",
            format!("is {:?} and the folder's name is {folder_name:?}; they must be the same", pack.name),
        );
    }
    if !carillon_domain::template::is_locale(&pack.default_locale) {
        fault("/default_locale", "is not a locale; write it like en or pt-BR".to_owned());
    }
    for found in pack.settings.quiet_hours.iter().flat_map(carillon_domain::QuietHours::faults) {
        fault(&format!("/settings/quiet_hours{}", found.pointer), found.detail);
    }
    if let Some(reminder) = &pack.settings.window_reminder {
        for found in reminder.faults() {
            fault(&format!("/settings/window_reminder{}", found.pointer), found.detail);
        }
        if !pack.routes.contains_key(&reminder.event_type) {
            let detail = format!("routes.toml has no route for {:?}", reminder.event_type.as_str());
            fault("/settings/window_reminder/event_type", detail);
        }
    }
    for (i, group) in pack.groups.iter().enumerate() {
        if pack.groups[..i].iter().any(|g| g.name == group.name) {
            fault(
                &format!("/groups/{i}/name"),
                format!("the group {:?} is there twice", group.name.as_str()),
            );
        }
    }
}

fn templates(pack: &Pack, faults: &mut Vec<PackFault>) {
    for (name, template) in &pack.templates {
        let mut found = template.faults();
        if !template.locales.contains_key(&pack.default_locale) {
            found.push(FieldError::new(
                "",
                format!("has no {}.toml, the pack's default locale", pack.default_locale),
            ));
        }
        faults.extend(found.into_iter().map(|fault| pack.fault(Part::Template(name), fault)));
    }
}

fn routes(pack: &Pack, faults: &mut Vec<PackFault>) {
    for (event_type, route) in &pack.routes {
        let mut fault = |pointer: String, detail: String| {
            faults.push(pack.fault(Part::Route(event_type), FieldError::new(pointer, detail)));
        };
        for (i, group) in route.audience.groups.iter().enumerate() {
            if !has_group(pack, group) {
                fault(
                    format!("/audience/groups/{i}"),
                    format!("pack.toml has no group {:?}", group.as_str()),
                );
            }
        }
        match pack.templates.get(&route.template) {
            None => fault("/template".to_owned(), format!("there is no folder templates/{}", route.template)),
            Some(template) => {
                for (locale, parts) in &template.locales {
                    for channel in route.channels.channels().iter().filter(|c| !parts.speaks(**c)) {
                        let detail = format!("templates/{}/{locale}.toml has no [{channel}]", route.template);
                        fault("/channels".to_owned(), detail);
                    }
                }
            }
        }
    }
}

fn policies(pack: &Pack, faults: &mut Vec<PackFault>) {
    for (policy_name, policy) in &pack.policies {
        for (at, name, channels) in policy.templates() {
            let mut fault = |inside: &str, detail: String| {
                let fault = FieldError::new(format!("{at}{inside}"), detail);
                faults.push(pack.fault(Part::Policy(policy_name), fault));
            };
            match pack.templates.get(name) {
                None => fault("/template", format!("there is no folder templates/{name}")),
                Some(template) => {
                    for (locale, parts) in &template.locales {
                        for channel in channels.channels().iter().filter(|c| !parts.speaks(**c)) {
                            fault("/channels", format!("templates/{name}/{locale}.toml has no [{channel}]"));
                        }
                    }
                }
            }
        }
    }
}

fn recipients(pack: &Pack, faults: &mut Vec<PackFault>) {
    for (i, person) in pack.recipients.iter().enumerate() {
        let mut fault = |pointer: String, detail: String| {
            faults.push(pack.fault(Part::Recipient(i), FieldError::new(pointer, detail)));
        };
        let before = &pack.recipients[..i];
        if before.iter().any(|other| other.id == person.id) {
            fault("/id".to_owned(), format!("the id {:?} is there twice", person.id.as_str()));
        }
        if let Some(other) =
            before.iter().find(|o| o.recipient.phone.is_some() && o.recipient.phone == person.recipient.phone)
        {
            fault("/phone".to_owned(), taken_by(&other.id));
        }
        for (g, group) in person.groups.iter().enumerate() {
            if !has_group(pack, group) {
                fault(format!("/groups/{g}"), format!("pack.toml has no group {:?}", group.as_str()));
            }
        }
    }
}

fn has_group(pack: &Pack, name: &GroupName) -> bool {
    pack.groups.iter().any(|group| group.name == *name)
}

fn taken_by(other: &RecipientId) -> String {
    format!("is the number of {:?} already", other.as_str())
}
