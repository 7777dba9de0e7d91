//! `carillon test-templates`: every template of the packs, filled from the data of the packs' samples. [`preview`] shows
//! them; with `--to` [`sent`] sends them to one recipient, in the order in which the samples tell their story.

mod preview;
mod sent;

use carillon_domain::TemplateName;
use clap::Args;
use serde_json::{Value, json};

use crate::client::Client;
use crate::outcome::{Done, Failure};
use crate::pack::{self, Pack, Sample};

/// `carillon test-templates`.
#[derive(Debug, Args)]
pub struct TestTemplates {
    /// The templates of this pack: a name, or a folder. May be repeated; without it, those of all packs that are loaded.
    #[arg(long = "pack", value_name = "NAME|DIR")]
    packs: Vec<String>,

    /// Really send them to this recipient, on every channel that they have a text for, and follow them to their ends.
    #[arg(long, value_name = "ID")]
    to: Option<String>,
}

/// Shows or sends every template.
///
/// # Errors
/// When a pack is faulty, nothing is loaded, or the API refuses or cannot be reached.
pub async fn test_templates(client: &Client, arguments: &TestTemplates) -> Result<Done, Failure> {
    let packs = packs(client, &arguments.packs).await?;
    if packs.iter().all(|pack| pack.templates.is_empty()) {
        let detail = "no template of a pack is loaded; load some with carillon templates load --pack NAME";
        return Err(Failure::Fault(detail.to_owned()));
    }
    match &arguments.to {
        None => preview::preview_all(client, &packs).await,
        Some(recipient) => sent::send_all(client, &packs, recipient).await,
    }
}

/// Those that are named, else those of which the tenant has a template.
async fn packs(client: &Client, names: &[String]) -> Result<Vec<Pack>, Failure> {
    if !names.is_empty() {
        return pack::chosen(names);
    }
    let loaded = client.list("/v1/templates", &[], usize::MAX).await?;
    let is_loaded = |name: &TemplateName| loaded.iter().any(|t| t["name"] == name.as_str());
    Ok(pack::known().into_iter().filter(|pack| pack.templates.keys().any(is_loaded)).collect())
}

/// The first sample that leads to a template.
fn sample_of<'a>(pack: &'a Pack, name: &TemplateName) -> Option<&'a Sample> {
    pack.samples.iter().find(|sample| leads_to(pack, sample, name))
}

fn leads_to(pack: &Pack, sample: &Sample, name: &TemplateName) -> bool {
    match sample.event.get("template") {
        Some(direct) => direct == name.as_str(),
        None => pack.routes.get(&sample.event_type).is_some_and(|route| route.template == *name),
    }
}

/// What a sample fills a template from.
fn data(sample: &Sample) -> Value {
    sample.event.get("data").cloned().unwrap_or_else(|| json!({}))
}
