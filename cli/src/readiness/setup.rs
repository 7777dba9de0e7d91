//! Everything about a tenant that decides whether messages can go out, read from the API in one go. Sends and changes
//! nothing. [`super::examine`] comes next.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::recipient::Role;
use carillon_domain::{Channel, Recipient, Route, Timestamp};
use carillon_pipeline::ports::Clock;
use carillon_runtime::SystemClock;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{CallError, Client, encoded};
use crate::log::field;
use crate::pack::Pack;

/// How many people, and members of one group, are looked at: some seconds' worth of calls.
const LOOKED_AT: usize = 10_000;

/// How many of the last deliveries are looked at: one page.
const LAST_DELIVERIES: usize = 200;

/// What a tenant has.
#[derive(Debug)]
pub(super) struct Setup {
    /// The cloud's address.
    pub url: String,
    /// The cloud's version.
    pub version: String,
    /// How the channels that need one are configured.
    pub channels: BTreeMap<Channel, Value>,
    /// The groups by name.
    pub groups: BTreeMap<String, Group>,
    /// The templates by name, with the version that is published.
    pub templates: BTreeMap<String, Option<u64>>,
    /// The routes by event type.
    pub routes: BTreeMap<String, Route>,
    /// People by id.
    pub people: BTreeMap<String, Recipient>,
    /// Whether these are all people.
    pub all_people: bool,
    /// What runs by the clock.
    pub schedules: Vec<Value>,
    /// The last deliveries, the newest first.
    pub deliveries: Vec<Value>,
    /// When this was read.
    pub read_at: Timestamp,
}

/// A group and who is in it.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// How many members it has.
    pub count: u64,
    /// The ids of the first of them.
    pub members: Vec<String>,
}

impl Setup {
    /// Reads it.
    ///
    /// # Errors
    /// When the API refuses or cannot be reached.
    pub(super) async fn read(client: &Client) -> Result<Self, CallError> {
        let health = client.get("/health").await?;
        let mut channels = BTreeMap::new();
        for channel in [Channel::Email, Channel::Whatsapp] {
            if let Some(view) = client.find(&format!("/v1/channels/{channel}")).await? {
                channels.insert(channel, view);
            }
        }
        let mut groups = BTreeMap::new();
        for item in client.list("/v1/groups", &[], usize::MAX).await? {
            let name = field(&item, "name");
            let path = format!("/v1/groups/{}/members", encoded(&name));
            let members = client.list(&path, &[], LOOKED_AT).await?;
            let members = members.iter().map(|member| field(member, "id")).collect();
            groups.insert(name, Group { count: item["member_count"].as_u64().unwrap_or_default(), members });
        }
        let templates = client.list("/v1/templates", &[], usize::MAX).await?;
        let templates = templates.iter().map(|t| (field(t, "name"), t["published"].as_u64())).collect();
        let schedules = client.get(crate::schedules::PATH).await?;
        let people = named(client, "/v1/recipients", "id", LOOKED_AT).await?;
        Ok(Self {
            url: client.url().to_owned(),
            version: field(&health, "version"),
            channels,
            groups,
            templates,
            routes: named(client, "/v1/routes", "event_type", usize::MAX).await?,
            all_people: people.len() < LOOKED_AT,
            people,
            schedules: schedules["items"].as_array().cloned().unwrap_or_default(),
            deliveries: client.list("/v1/deliveries", &[], LAST_DELIVERIES).await?,
            read_at: SystemClock.now(),
        })
    }

    /// The packs of which this tenant has a template, or else all groups. Other names, such as a group's or an event
    /// type's, are too common to tell a pack by.
    pub(super) fn in_use(&self, packs: Vec<Pack>) -> Vec<Pack> {
        let has_template =
            |pack: &Pack| pack.templates.keys().any(|name| self.templates.contains_key(name.as_str()));
        let has_groups = |pack: &Pack| {
            !pack.groups.is_empty() && pack.groups.iter().all(|g| self.groups.contains_key(g.name.as_str()))
        };
        packs.into_iter().filter(|pack| has_template(pack) || has_groups(pack)).collect()
    }

    /// The members of a group that are known and told anything at all.
    pub(super) fn active_members(&self, group: &Group) -> Vec<(&str, &Recipient)> {
        let found = group.members.iter().filter_map(|id| self.people.get_key_value(id));
        found.filter(|(_, person)| person.active).map(|(id, person)| (id.as_str(), person)).collect()
    }

    /// The people who look after the tenant.
    pub(super) fn admins(&self) -> Vec<(&str, &Recipient)> {
        let admins = self.people.iter().filter(|(_, person)| person.roles.contains(&Role::Admin));
        admins.map(|(id, person)| (id.as_str(), person)).collect()
    }

    /// The channels that the routes use, those of packs included; none when there are no routes.
    pub(super) fn used_channels(&self, packs: &[Pack]) -> BTreeSet<Channel> {
        let routes = self.routes.values().chain(packs.iter().flat_map(|pack| pack.routes.values()));
        routes.flat_map(|route| route.channels.channels().iter().copied()).collect()
    }
}

/// A list by the name of its items.
async fn named<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    name: &str,
    limit: usize,
) -> Result<BTreeMap<String, T>, CallError> {
    let items = client.list(path, &[], limit).await?;
    let typed = |item: Value| Ok((field(&item, name), serde_json::from_value(item)?));
    let typed: Result<_, serde_json::Error> = items.into_iter().map(typed).collect();
    typed.map_err(|_| CallError::Unreadable { call: format!("GET {path}"), status: 200 })
}
