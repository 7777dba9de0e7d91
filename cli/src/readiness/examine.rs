//! What is in order and what is not, from what was read: a pure function of the setup and the packs, an item for each
//! section that `carillon validate` prints. [`super::reach`] judges who can be reached.

use carillon_domain::Channel;

use super::item::{Finding, Item};
use super::reach;
use super::schedules;
use super::sending;
use super::setup::Setup;
use crate::pack::Pack;
use crate::words::{counted, quoted, some_of};

/// How many names stand in one sentence.
pub(super) const NAMED: usize = 4;

/// Every item, in the order of its section.
pub(super) fn examine(setup: &Setup, packs: &[Pack]) -> Vec<Item> {
    vec![
        channel(setup, packs, Channel::Email),
        admins(setup),
        reach::groups(setup, packs),
        templates(setup, packs),
        channel(setup, packs, Channel::Whatsapp),
        reach::addresses(setup),
        routes(setup, packs),
        sending::sending(setup),
        schedules::schedules(setup, packs),
    ]
}

/// That the cloud answers: else nothing could have been read.
pub(super) fn cloud(setup: &Setup) -> Item {
    let text = format!("{} answers, version {}", setup.url, setup.version);
    Item { name: "cloud", title: "Cloud", text, ..Item::default() }
}

/// A configuration is missing only if something would be sent on the channel.
fn channel(setup: &Setup, packs: &[Pack], channel: Channel) -> Item {
    let used = setup.used_channels(packs);
    let needed = used.is_empty() || used.contains(&channel);
    let finding = |cause: String, fix: String| {
        if needed {
            Finding::fault(cause, fix)
        } else {
            Finding::warning(format!("{cause}; no route uses {channel}"), fix)
        }
    };
    let view = setup.channels.get(&channel);
    let value = |name: &str| view.and_then(|v| v[name].as_str()).unwrap_or_default().to_owned();
    let mut findings = Vec::new();
    let (title, present, text, body) = if channel == Channel::Email {
        let text = format!("sends from {}", value("from"));
        let body = r#"{"from": "Shop <notifications@YOUR-DOMAIN>"}"#;
        ("Email configuration", !value("from").is_empty(), text, body)
    } else {
        let text =
            format!("sends from number {}, Graph API {}", value("phone_number_id"), value("api_version"));
        let body = r#"{"phone_number_id": "ID", "token": "TOKEN"}"#;
        ("WhatsApp configuration", !value("phone_number_id").is_empty(), text, body)
    };
    if !present {
        let cause = format!("provider not configured: {channel} has nothing to send from");
        findings.push(finding(cause, put_channel(channel, body)));
    } else if channel == Channel::Whatsapp && view.is_some_and(|v| v["token_set"] == false) {
        let cause = "provider not configured: the WhatsApp number has no access token".to_owned();
        findings.push(finding(cause, put_channel(channel, body)));
    }
    let text = if present { text } else { "not configured".to_owned() };
    Item { name: channel.as_str(), title, text, findings, ..Item::default() }
}

fn put_channel(channel: Channel, body: &str) -> String {
    format!(
        "curl -X PUT \"$CARILLON_URL/v1/channels/{channel}\" -H \"Authorization: Bearer $CARILLON_API_KEY\" \
         -H 'Content-Type: application/json' -d '{body}'"
    )
}

fn admins(setup: &Setup) -> Item {
    let admins = setup.admins();
    let active = admins.iter().filter(|(_, person)| person.active).count();
    let details = admins.iter().map(|(id, person)| {
        let state = if person.active { "" } else { ", inactive" };
        let address = if person.email.is_some() { "" } else { ", no email address" };
        format!("{id}: {}{state}{address}", person.name)
    });
    let mut findings = Vec::new();
    if !admins.iter().any(|(_, person)| person.active && person.email.is_some()) {
        let cause = if admins.is_empty() {
            "no admin recipient: nobody is told when something goes wrong"
        } else {
            "no admin recipient is active and has an email address"
        };
        findings.push(Finding::fault(cause, "carillon validate --fix --admin-email ADDRESS"));
    }
    Item {
        name: "admins",
        title: "Admin email recipients",
        text: format!("{}, {active} active", counted(admins.len(), "admin")),
        details: details.collect(),
        findings,
    }
}

fn templates(setup: &Setup, packs: &[Pack]) -> Item {
    let published = setup.templates.values().flatten().count();
    let mut findings = Vec::new();
    for pack in packs {
        let names = pack.templates.keys().map(carillon_domain::TemplateName::as_str);
        let (missing, drafts): (Vec<&str>, Vec<&str>) = names
            .filter(|name| setup.templates.get(*name).copied().flatten().is_none())
            .partition(|name| !setup.templates.contains_key(*name));
        let load = format!("carillon templates load --pack {}", quoted(&pack.name));
        if !missing.is_empty() {
            let cause = format!("template missing: {}", some_of(&missing, NAMED));
            findings.push(Finding::fault(cause, load.clone()));
        }
        if !drafts.is_empty() {
            let cause = format!("template never published: {}", some_of(&drafts, NAMED));
            findings.push(Finding::fault(cause, load));
        }
    }
    if setup.templates.is_empty() && findings.is_empty() {
        findings.push(Finding::fault(
            "template missing: there is none at all",
            "carillon templates load --pack NAME",
        ));
    }
    let details = setup.templates.iter().map(|(name, version)| match version {
        Some(version) => format!("{name}: version {version}"),
        None => format!("{name}: never published"),
    });
    Item {
        name: "templates",
        title: "Templates",
        text: format!("{}, {published} published", counted(setup.templates.len(), "template")),
        details: details.collect(),
        findings,
    }
}

fn routes(setup: &Setup, packs: &[Pack]) -> Item {
    let mut findings = Vec::new();
    for pack in packs.iter().filter(|pack| !pack.routes.is_empty()) {
        let missing: Vec<&str> = pack
            .routes
            .keys()
            .map(carillon_domain::EventType::as_str)
            .filter(|t| !setup.routes.contains_key(*t))
            .collect();
        let cause = format!("route missing: {}", some_of(&missing, NAMED));
        let fix = format!("carillon apply {}", quoted(&pack.name));
        // A tenant may do without one of a pack's messages, hardly without all of them.
        if missing.len() == pack.routes.len() {
            findings.push(Finding::fault(cause, fix));
        } else if !missing.is_empty() {
            findings.push(Finding::warning(cause, fix));
        }
    }
    if setup.routes.is_empty() && findings.is_empty() {
        findings.push(Finding::fault("route missing: no event leads to a message", "carillon apply NAME"));
    }
    let in_pack = |template: &str| packs.iter().any(|p| p.templates.keys().any(|n| n.as_str() == template));
    for (event_type, route) in &setup.routes {
        let template = route.template.as_str();
        // Of a pack's template the section on templates says it already.
        if setup.templates.get(template).copied().flatten().is_none() && !in_pack(template) {
            let cause =
                format!("template missing: {template}, which the route {event_type} names, is not published");
            findings.push(Finding::fault(cause, format!("publish a version of the template {template}")));
        }
    }
    findings.extend(reach::audiences(setup, packs));
    let details = setup.routes.iter().map(|(event_type, route)| {
        let channels: Vec<&str> = route.channels.channels().iter().map(|c| c.as_str()).collect();
        format!("{event_type}: {} by {}", route.template, channels.join(", "))
    });
    Item {
        name: "routes",
        title: "Routes",
        text: counted(setup.routes.len(), "route"),
        details: details.collect(),
        findings,
    }
}
