//! Who can be reached: groups and their members, and the addresses that the routes of a group need.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::{Audience, Channel, ChannelChoice, GroupName, Recipient, RecipientId};

use super::examine::NAMED;
use super::item::{Finding, Item};
use super::setup::{Group, Setup};
use crate::pack::Pack;
use crate::words::{counted, quoted, some_of};

/// What to do about an address; importing replaces a recipient as a whole.
const IMPORT: &str = "carillon recipients import FILE, with each of them in full on a line";

/// The groups of the packs, and whether somebody is in them.
pub(super) fn groups(setup: &Setup, packs: &[Pack]) -> Item {
    let (mut findings, mut details, mut required) = (Vec::new(), Vec::new(), BTreeSet::new());
    for pack in packs {
        for group in pack.groups.iter().filter(|group| required.insert(group.name.as_str())) {
            let name = group.name.as_str();
            match setup.groups.get(name) {
                None => {
                    details.push(format!("{name}: missing"));
                    let fix = format!("carillon groups create --pack {}", quoted(&pack.name));
                    findings.push(Finding::fault(format!("group missing: {name}"), fix));
                }
                Some(there) => {
                    details.push(members(setup, name, there));
                    findings.extend(nobody_in(setup, name, there));
                }
            }
        }
    }
    let others = setup.groups.iter().filter(|(name, _)| !required.contains(name.as_str()));
    details.extend(others.map(|(name, group)| format!("{} (not required)", members(setup, name, group))));
    let text = if required.is_empty() {
        format!("no pack requires one; there are {}", setup.groups.len())
    } else {
        let there = required.iter().filter(|name| setup.groups.contains_key(**name)).count();
        format!("{there} of {} exist", required.len())
    };
    Item { name: "groups", title: "Required groups", text, details, findings }
}

fn members(setup: &Setup, name: &str, group: &Group) -> String {
    let count = usize::try_from(group.count).unwrap_or(usize::MAX);
    // Of a group too large to be looked at as a whole, who is inactive is not known.
    let active = match setup.active_members(group).len() {
        active if group.members.len() == count && setup.all_people => format!(", {active} active"),
        _ => String::new(),
    };
    format!("{name}: {}{active}", counted(count, "member"))
}

fn nobody_in(setup: &Setup, name: &str, group: &Group) -> Option<Finding> {
    if group.count == 0 {
        let fix = format!("carillon groups add {} RECIPIENT", quoted(name));
        return Some(Finding::fault(format!("group without members: {name}"), fix));
    }
    (setup.all_people && setup.active_members(group).is_empty())
        .then(|| Finding::fault(format!("group without active members: {name}"), IMPORT))
}

/// What is wrong with whom the routes name; of a pack's groups, [`groups`] says it.
pub(super) fn audiences(setup: &Setup, packs: &[Pack]) -> Vec<Finding> {
    let in_pack = |name: &str| packs.iter().flat_map(|pack| &pack.groups).any(|g| g.name.as_str() == name);
    let (mut groups, mut strangers) =
        (BTreeMap::<&str, Vec<&str>>::new(), BTreeMap::<&str, Vec<&str>>::new());
    for (event_type, route) in &setup.routes {
        for name in route.audience.groups.iter().map(GroupName::as_str).filter(|name| !in_pack(name)) {
            groups.entry(name).or_default().push(event_type);
        }
        let unknown = |id: &&str| setup.all_people && !setup.people.contains_key(*id);
        for id in route.audience.ids.iter().map(RecipientId::as_str).filter(unknown) {
            strangers.entry(id).or_default().push(event_type);
        }
    }
    let named = |cause: &str, routes: &[&str]| format!("{cause}, for the route {}", some_of(routes, NAMED));
    let of_groups = groups.iter().filter_map(|(name, routes)| {
        let finding = match setup.groups.get(*name) {
            None => {
                let fix = format!("carillon groups create {}", quoted(name));
                Some(Finding::fault(format!("group missing: {name}"), fix))
            }
            Some(group) => nobody_in(setup, name, group),
        };
        finding.map(|found| Finding { cause: named(&found.cause, routes), ..found })
    });
    let of_people = strangers
        .iter()
        .map(|(id, routes)| Finding::fault(named(&format!("recipient missing: {id}"), routes), IMPORT));
    of_groups.chain(of_people).collect()
}

/// Whether the members of each group have the addresses that its routes need.
pub(super) fn addresses(setup: &Setup) -> Item {
    let (mut findings, mut details) = (Vec::new(), Vec::new());
    let mut told = BTreeSet::new();
    for (name, group) in &setup.groups {
        let choices = choices_for(setup, name);
        let members = setup.active_members(group);
        let wanted: BTreeSet<Channel> = choices.iter().flat_map(|choice| outside(choice)).collect();
        if members.is_empty() || wanted.is_empty() {
            continue;
        }
        told.extend(members.iter().map(|(id, _)| *id));
        let unreached: Vec<&str> = members
            .iter()
            .filter(|(_, person)| choices.iter().any(|choice| !reaches(choice, person)))
            .map(|(id, _)| *id)
            .collect();
        if !unreached.is_empty() {
            let words: Vec<&str> = wanted.iter().map(|channel| address_of(*channel)).collect();
            let cause = format!(
                "member without address: {} in {name}; no {}",
                some_of(&unreached, NAMED),
                words.join(" or ")
            );
            findings.push(Finding::fault(cause, IMPORT));
        }
        for channel in wanted {
            let lacks = |(_, person): &&(&str, &Recipient)| person.address(channel).is_none();
            let without: Vec<&str> = members.iter().filter(lacks).map(|(id, _)| *id).collect();
            details.push(format!(
                "{name}: {} of {} by {channel}",
                members.len() - without.len(),
                members.len()
            ));
            let known: Vec<&str> = without.into_iter().filter(|id| !unreached.contains(id)).collect();
            if !known.is_empty() {
                let cause = format!(
                    "member without {}: {} in {name}; {channel} is skipped",
                    address_of(channel),
                    some_of(&known, NAMED)
                );
                findings.push(Finding::warning(cause, IMPORT));
            }
        }
    }
    let people = setup.people.len();
    let seen = if setup.all_people {
        counted(people, "recipient")
    } else {
        format!("the first {people} recipients")
    };
    let text = format!("{seen}, {} in groups that are told by email or WhatsApp", told.len());
    Item { name: "addresses", title: "Members and addresses", text, details, findings }
}

/// What the routes to a group choose from.
fn choices_for<'a>(setup: &'a Setup, group: &str) -> Vec<&'a ChannelChoice> {
    let names = |audience: &Audience| audience.groups.iter().any(|name| name.as_str() == group);
    setup.routes.values().filter(|route| names(&route.audience)).map(|route| &route.channels).collect()
}

/// The channels that need an address. The feed needs none.
fn outside(choice: &ChannelChoice) -> impl Iterator<Item = Channel> {
    choice.channels().iter().copied().filter(|channel| *channel != Channel::InApp)
}

/// Whether a message arrives outside the feed at all; the first of several channels may be the feed.
fn reaches(choice: &ChannelChoice, person: &Recipient) -> bool {
    let feed_will_do =
        matches!(choice, ChannelChoice::FirstOf(_)) && choice.channels().contains(&Channel::InApp);
    let mut outside = outside(choice).peekable();
    feed_will_do || outside.peek().is_none() || outside.any(|channel| person.address(channel).is_some())
}

fn address_of(channel: Channel) -> &'static str {
    match channel {
        Channel::Whatsapp => "phone number",
        Channel::Email => "email address",
        Channel::InApp => "feed",
    }
}
