//! `carillon keys`: the keys of a tenant. The text of a key is printed when it is made, and never again.

use carillon_domain::{KeyKind, Scope};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, encoded};
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::table::table;

/// `carillon keys`.
#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    what: What,

    /// Another tenant than the key's own; needs the scope platform.
    #[arg(long, global = true, value_name = "ID")]
    tenant: Option<String>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the keys, without their texts
    List,
    /// Make a key and print it, this once
    Create(Create),
    /// Delete a key; it stops working within 5 seconds
    Delete {
        /// Its id, as the list shows it.
        id: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// What it is for.
    name: String,

    /// What sending with it leads to: live sends, test only plans, team reaches the team alone.
    #[arg(long, default_value = "live", value_parser = kinds())]
    kind: String,

    /// What it may do. May be repeated.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scopes())]
    scopes: Vec<String>,

    /// When it stops working, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

/// Lists, makes or deletes.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn keys(client: &Client, arguments: &Keys) -> Result<Done, Failure> {
    let tenant = arguments.tenant.as_deref();
    match &arguments.what {
        What::List => list(client, tenant).await,
        What::Create(wanted) => create(client, wanted, tenant).await,
        What::Delete { id } => delete(client, id, tenant).await,
    }
}

async fn list(client: &Client, tenant: Option<&str>) -> Result<Done, Failure> {
    let query: Vec<(&str, String)> = tenant.map(|tenant| ("tenant", tenant.to_owned())).into_iter().collect();
    let mut items = client.list("/v1/keys", &query, usize::MAX).await?;
    items.sort_by_key(|item| field(item, "name"));
    let text = if items.is_empty() { "no keys".to_owned() } else { rows(&items) };
    Ok(Done { text, json: json!({"items": items}), found_fault: false })
}

fn rows(items: &[Value]) -> String {
    let row = |item: &Value| {
        let [id, name, kind, created_at, expires_at] =
            ["id", "name", "kind", "created_at", "expires_at"].map(|name| field(item, name));
        [id, name, kind, created_at, expires_at, scopes_of(item)]
    };
    let rows: Vec<[String; 6]> = items.iter().map(row).collect();
    table(["id", "name", "kind", "created_at", "expires_at", "scopes"], &rows)
}

fn scopes_of(item: &Value) -> String {
    let scopes = item["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    scopes.collect::<Vec<_>>().join(", ")
}

async fn create(client: &Client, wanted: &Create, tenant: Option<&str>) -> Result<Done, Failure> {
    let mut body = json!({"name": wanted.name, "kind": wanted.kind, "scopes": wanted.scopes});
    if let Some(tenant) = tenant {
        body["tenant"] = json!(tenant);
    }
    if let Some(expires_at) = &wanted.expires_at {
        body["expires_at"] = json!(expires_at);
    }
    let json = client.post("/v1/keys", &body).await?;
    let text = format!(
        "Write it down: it is shown only now.\n{}\nid {}, {} key of the tenant {}, may {}",
        field(&json, "key"),
        field(&json, "id"),
        field(&json, "kind"),
        field(&json, "tenant"),
        scopes_of(&json)
    );
    Ok(Done { text, json, found_fault: false })
}

async fn delete(client: &Client, id: &str, tenant: Option<&str>) -> Result<Done, Failure> {
    let query = tenant.map(|tenant| format!("?tenant={}", encoded(tenant))).unwrap_or_default();
    client.delete(&format!("/v1/keys/{}{query}", encoded(id))).await?;
    let text = format!("the key {id} is deleted; it stops working within 5 seconds");
    Ok(Done { text, json: json!({"deleted": id}), found_fault: false })
}

fn kinds() -> PossibleValuesParser {
    KeyKind::ALL.map(KeyKind::as_str).into()
}

fn scopes() -> PossibleValuesParser {
    Scope::ALL.map(Scope::as_str).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_keys_shows_what_each_may_do() {
        let items = [json!({
            "id": "k1", "name": "Shop", "kind": "live", "created_at": "2026-11-20T09:00:00Z",
            "scopes": ["read", "events:write"]
        })];
        assert_eq!(
            rows(&items),
            "ID  NAME  KIND  CREATED_AT            EXPIRES_AT  SCOPES\n\
             k1  Shop  live  2026-11-20T09:00:00Z              read, events:write\n"
        );
    }
}
