//! `carillon groups`: makes the groups of packs, or groups by name, and puts people into them. Repeating changes nothing.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::{Client, encoded};
use crate::outcome::{Done, Failure};
use crate::pack;
use crate::pack_part::put_groups;

/// `carillon groups`.
#[derive(Debug, Args)]
pub struct Groups {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make the groups of packs, or groups by name; those that exist keep their members
    Create(Create),
    /// Put recipients into a group
    Add {
        /// The group.
        group: String,
        /// The recipients.
        #[arg(required = true, value_name = "RECIPIENT")]
        recipients: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// These groups, instead of those of packs.
    #[arg(value_name = "GROUP", conflicts_with = "packs")]
    names: Vec<String>,

    /// The groups of this pack: a name, or a folder. May be repeated; without it, those of all packs.
    #[arg(long = "pack", value_name = "NAME|DIR")]
    packs: Vec<String>,
}

/// What became of each group.
#[derive(Debug, Default)]
struct Made(Vec<(String, bool)>);

/// Makes groups, or puts people into one.
///
/// # Errors
/// When a pack is faulty, or the API refuses or cannot be reached.
pub async fn groups(client: &Client, arguments: &Groups) -> Result<Done, Failure> {
    match &arguments.what {
        What::Create(wanted) => create(client, wanted).await.map(|made| made.done()),
        What::Add { group, recipients } => {
            let path = format!("/v1/groups/{}/members", encoded(group));
            let json = client.post(&path, &json!({"add": recipients})).await?;
            let text = format!("put into {group}: {}", recipients.join(", "));
            Ok(Done { text, json, found_fault: false })
        }
    }
}

async fn create(client: &Client, wanted: &Create) -> Result<Made, Failure> {
    let mut made = Made::default();
    for name in &wanted.names {
        let new = client.put(&format!("/v1/groups/{}", encoded(name)), &json!({})).await?;
        made.0.push((name.clone(), new));
    }
    if !wanted.names.is_empty() {
        return Ok(made);
    }
    for pack in pack::chosen(&wanted.packs)?.iter().filter(|pack| !pack.groups.is_empty()) {
        let put = put_groups(client, pack, pack.groups.iter()).await?;
        let is_new = |name: &str| put.created.groups.iter().any(|created| created == name);
        made.0.extend(pack.groups.iter().map(|g| (g.name.to_string(), is_new(g.name.as_str()))));
    }
    Ok(made)
}

impl Made {
    fn done(&self) -> Done {
        let names = |wanted: bool| -> Vec<&str> {
            self.0.iter().filter(|(_, new)| *new == wanted).map(|(name, _)| name.as_str()).collect()
        };
        let (created, existed) = (names(true), names(false));
        let lines = self.0.iter().map(|(name, new)| {
            format!("{} {name}\n", if *new { "created:       " } else { "already exists:" })
        });
        let text = format!(
            "{}Summary: {} created, {} already existed",
            lines.collect::<String>(),
            created.len(),
            existed.len()
        );
        Done { text, json: json!({"created": created, "existed": existed}), found_fault: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_its_line_and_the_summary_counts_them() {
        let made = Made(vec![("Sales Team".to_owned(), true), ("Finance Team".to_owned(), false)]);
        assert_eq!(
            made.done().text,
            "created:        Sales Team\n\
             already exists: Finance Team\n\
             Summary: 1 created, 1 already existed"
        );
    }
}
