//! `carillon templates`: loads the templates of packs and publishes them. Those that are the same already stay as they are.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::Client;
use crate::outcome::{Done, Failure};
use crate::pack;
use crate::pack_part::put_templates;
use crate::words::counted;

/// `carillon templates`.
#[derive(Debug, Args)]
pub struct Templates {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Load the templates of packs and publish them
    Load {
        /// The templates of this pack: a name, or a folder. May be repeated; without it, those of all packs.
        #[arg(long = "pack", value_name = "NAME|DIR")]
        packs: Vec<String>,
    },
}

/// The names of the loaded templates.
#[derive(Debug, Default)]
struct Loaded {
    new: Vec<String>,
    changed: Vec<String>,
    unchanged: Vec<String>,
}

/// Loads templates.
///
/// # Errors
/// When a pack is faulty, or the API refuses or cannot be reached.
pub async fn templates(client: &Client, arguments: &Templates) -> Result<Done, Failure> {
    let What::Load { packs } = &arguments.what;
    let mut loaded = Loaded::default();
    for pack in pack::chosen(packs)?.iter().filter(|pack| !pack.templates.is_empty()) {
        let put = put_templates(client, pack, pack.templates.iter()).await?;
        let (new, changed) = (put.created.templates, put.updated.templates);
        let names = pack.templates.keys().map(ToString::to_string);
        loaded.unchanged.extend(names.filter(|name| !new.contains(name) && !changed.contains(name)));
        loaded.new.extend(new);
        loaded.changed.extend(changed);
    }
    Ok(loaded.done())
}

impl Loaded {
    fn done(&self) -> Done {
        let Self { new, changed, unchanged } = self;
        let all = new.len() + changed.len() + unchanged.len();
        let text = format!(
            "{} loaded ({} new, {} changed, {} unchanged)",
            counted(all, "template"),
            new.len(),
            changed.len(),
            unchanged.len()
        );
        let json = json!({"loaded": all, "new": new, "changed": changed, "unchanged": unchanged});
        Done { text, json, found_fault: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_says_what_was_new() {
        let names = |n: usize| (0..n).map(|i| format!("t{i}")).collect();
        let loaded = Loaded { new: names(12), changed: names(1), unchanged: names(2) };
        assert_eq!(loaded.done().text, "15 templates loaded (12 new, 1 changed, 2 unchanged)");
    }
}
