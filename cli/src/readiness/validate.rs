//! `carillon validate`: everything in numbered sections, a summary that names each cause and what puts it right, and, only
//! when asked, repairs and test messages.

use std::fmt;

use carillon_domain::Channel;
use clap::Args;
use serde_json::{Value, json};

use super::item::{Finding, Item, tally};
use super::mend::mend;
use super::setup::Setup;
use super::trial::{self, Trial};
use super::{Required, examine};
use crate::client::Client;
use crate::outcome::{Done, Failure};

/// What is said when nothing stands in the way.
const READY: &str = "Notification system is properly configured and ready to use!";

/// `carillon validate`.
#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    required: Required,

    /// First make missing groups and load missing templates of the packs.
    #[arg(long)]
    fix: bool,

    /// With --fix: make an admin with this email address, if there is none with it.
    #[arg(long, value_name = "ADDRESS", requires = "fix")]
    admin_email: Option<String>,

    /// Send one test mail there.
    #[arg(long, value_name = "ADDRESS")]
    test_email: Option<String>,

    /// Send one test message by WhatsApp there.
    #[arg(long, value_name = "PHONE")]
    test_whatsapp: Option<String>,
}

/// What was found and done.
#[derive(Debug, Default)]
pub(super) struct Validation {
    pub fixed: Vec<String>,
    pub items: Vec<Item>,
    pub trials: Vec<Trial>,
}

/// Validates. Sends nothing unless asked.
///
/// # Errors
/// When a pack is faulty, or the API refuses or cannot be reached.
pub async fn validate(client: &Client, arguments: &Validate) -> Result<Done, Failure> {
    let mut setup = Setup::read(client).await?;
    let packs = arguments.required.packs(&setup)?;
    let mut validation = Validation::default();
    if arguments.fix {
        validation.fixed = mend(client, &setup, &packs, arguments.admin_email.as_deref()).await?;
    }
    if !validation.fixed.is_empty() {
        setup = Setup::read(client).await?;
    }
    validation.items = examine::examine(&setup, &packs);
    let wanted = [(Channel::Email, &arguments.test_email), (Channel::Whatsapp, &arguments.test_whatsapp)];
    for (channel, address) in wanted {
        if let Some(address) = address {
            validation.trials.push(trial::send(client, channel, address).await?);
        }
    }
    Ok(validation.done())
}

impl Validation {
    pub(super) fn done(&self) -> Done {
        let findings = self.findings();
        let found_fault = findings.iter().any(|finding| finding.fault);
        let items: Vec<Value> = self.items.iter().map(Item::to_json).collect();
        let tests: Vec<&Value> = self.trials.iter().map(|trial| &trial.json).collect();
        let causes: Vec<Value> = findings
            .iter()
            .map(|finding| json!({"fault": finding.fault, "cause": finding.cause, "fix": finding.fix}))
            .collect();
        let json = json!({
            "ok": !found_fault, "fixed": self.fixed, "sections": items, "tests": tests, "summary": causes
        });
        Done { text: self.to_string(), json, found_fault }
    }

    fn findings(&self) -> Vec<&Finding> {
        let sections = self.items.iter().flat_map(|item| &item.findings);
        sections.chain(self.trials.iter().filter_map(|trial| trial.finding.as_ref())).collect()
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.fixed {
            writeln!(f, "fixed: {line}")?;
        }
        for (i, item) in self.items.iter().enumerate() {
            section(f, i + 1, item)?;
        }
        for trial in &self.trials {
            writeln!(f, "{}", trial.text)?;
        }
        let findings = self.findings();
        writeln!(f, "\nVALIDATION SUMMARY")?;
        for finding in &findings {
            writeln!(f, "  {}: {}\n    fix: {}", finding.kind(), finding.cause, finding.fix)?;
        }
        writeln!(f, "  {}", tally(&findings))?;
        if findings.iter().any(|finding| finding.fault) { Ok(()) } else { f.write_str(READY) }
    }
}

/// A section with its heading. Who is told is listed; what there is of the rest, `carillon check --verbose` lists.
fn section(f: &mut fmt::Formatter<'_>, number: usize, item: &Item) -> fmt::Result {
    let state = if item.ok() { "ok" } else { "not ok" };
    writeln!(f, "{number}. {}: {state}\n   {}", item.title, item.text)?;
    if ["admins", "groups"].contains(&item.name) {
        item.details.iter().try_for_each(|detail| writeln!(f, "   - {detail}"))?;
    }
    item.findings.iter().try_for_each(|finding| writeln!(f, "   {}: {}", finding.kind(), finding.cause))
}
