//! A part of a pack, put into a tenant: its groups, or some of its templates, without the rest. Writes with the call that
//! [`crate::apply`] uses for a whole pack, so that each part is all or nothing too.

use std::collections::BTreeMap;

use carillon_domain::{Template, TemplateName};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{CallError, Client, encoded};
use crate::pack::{Group, Pack};

/// What became of the parts, by name.
#[derive(Debug, Default, Deserialize)]
pub struct PartsPut {
    /// What was not there before.
    pub created: Names,
    /// What was there and differed.
    pub updated: Names,
}

/// Names of parts.
#[derive(Debug, Default, Deserialize)]
pub struct Names {
    /// Of groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Of templates.
    #[serde(default)]
    pub templates: Vec<String>,
}

/// Puts these groups of a pack.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn put_groups(
    client: &Client,
    pack: &Pack,
    groups: impl Iterator<Item = &Group>,
) -> Result<PartsPut, CallError> {
    let groups: Vec<Value> =
        groups.map(|group| json!({"name": group.name, "description": group.description})).collect();
    put(client, pack, json!({"groups": groups})).await
}

/// Puts these templates of a pack and publishes them.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn put_templates(
    client: &Client,
    pack: &Pack,
    templates: impl Iterator<Item = (&TemplateName, &Template)>,
) -> Result<PartsPut, CallError> {
    let templates: BTreeMap<&TemplateName, &Template> = templates.collect();
    put(client, pack, json!({"templates": templates})).await
}

async fn put(client: &Client, pack: &Pack, mut body: Value) -> Result<PartsPut, CallError> {
    body["name"] = json!(pack.name);
    let path = format!("/v1/packs/{}", encoded(&pack.name));
    let answer = client.put_for(&path, &body).await?;
    serde_json::from_value(answer)
        .map_err(|_| CallError::Unreadable { call: format!("PUT {path}"), status: 200 })
}
