//! `carillon validate --fix`: makes the groups and loads the templates of packs that are missing, and makes an admin when
//! there is none. What is there already stays as it is; routes are put by `carillon apply` alone, because they send.

use serde_json::json;

use super::setup::Setup;
use crate::client::Client;
use crate::outcome::Failure;
use crate::pack::Pack;
use crate::pack_part::{put_groups, put_templates};
use crate::words::counted;

/// The id of the admin that is made.
const ADMIN: &str = "admin";

/// Mends what can be. Answers what was done, a line each.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub(super) async fn mend(
    client: &Client,
    setup: &Setup,
    packs: &[Pack],
    admin_email: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    for pack in packs {
        let missing: Vec<_> =
            pack.groups.iter().filter(|group| !setup.groups.contains_key(group.name.as_str())).collect();
        if !missing.is_empty() {
            let put = put_groups(client, pack, missing.into_iter()).await?;
            done.extend(put.created.groups.iter().map(|name| format!("made the group {name}")));
        }
        let published = |name: &str| setup.templates.get(name).copied().flatten().is_some();
        let missing: Vec<_> = pack.templates.iter().filter(|(name, _)| !published(name.as_str())).collect();
        if !missing.is_empty() {
            let loaded = counted(missing.len(), "template");
            put_templates(client, pack, missing.into_iter()).await?;
            done.push(format!("loaded {loaded} of the pack {}", pack.name));
        }
    }
    if let Some(email) = admin_email {
        done.extend(admin(client, setup, email).await?);
    }
    Ok(done)
}

/// Somebody who is told when something goes wrong, unless there is one who has this address already.
async fn admin(client: &Client, setup: &Setup, email: &str) -> Result<Option<String>, Failure> {
    let has = |person: &carillon_domain::Recipient| {
        person.active && person.email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(email))
    };
    if setup.admins().iter().any(|(_, person)| has(person)) {
        return Ok(None);
    }
    if setup.people.contains_key(ADMIN) {
        let detail = format!(
            "the recipient {ADMIN} exists already; give somebody the role admin with carillon recipients import"
        );
        return Err(Failure::Fault(detail));
    }
    let person = json!({"name": "Admin", "email": email, "roles": ["admin"]});
    client.put(&format!("/v1/recipients/{ADMIN}"), &person).await?;
    Ok(Some(format!("made the admin {ADMIN} with {email}")))
}
