//! A pack: one source system as configuration, read from a folder. [`load`] reads it, [`check`] finds what its parts
//! promise each other and do not keep, [`crate::apply`] puts it into a cloud.

mod check;
mod find;
mod load;
mod places;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use carillon_domain::{
    Channel, EventType, FieldError, GroupName, PolicyName, Recipient, RecipientId, ReminderPolicy, Route,
    Schedule, ScheduleName, StateKind, Template, TemplateName,
};
use carillon_pipeline::apply_pack::PackSettings;
use serde::Deserialize;
use serde_json::{Value, json};

pub use find::{chosen, folder, known};
pub use load::load;
use places::Places;

/// A pack that was read and whose parts fit together.
#[derive(Debug)]
pub struct Pack {
    /// Its name: the folder's.
    pub name: String,
    /// For people.
    pub title: String,
    /// The locale that every template of it has.
    pub default_locale: String,
    /// The groups, in the order of the file.
    pub groups: Vec<Group>,
    /// The texts by name.
    pub templates: BTreeMap<TemplateName, Template>,
    /// The routes by event type.
    pub routes: BTreeMap<EventType, Route>,
    /// How people are reminded of what is due, by name.
    pub policies: BTreeMap<PolicyName, ReminderPolicy>,
    /// When its sweeps run, by name.
    pub schedules: BTreeMap<ScheduleName, Schedule>,
    /// The settings that it brings.
    pub settings: PackSettings,
    /// Invented people, to try it with.
    pub recipients: Vec<SampleRecipient>,
    /// Invented events and what they lead to, in the order of their files' names.
    pub samples: Vec<Sample>,
    sources: Sources,
}

/// A group of a pack; its members are each tenant's own.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

/// An invented person.
#[derive(Debug)]
pub struct SampleRecipient {
    /// Their id.
    pub id: RecipientId,
    /// Who they are.
    pub recipient: Recipient,
    /// The groups they are in.
    pub groups: Vec<GroupName>,
}

/// An invented event and what it leads to.
#[derive(Debug)]
pub struct Sample {
    /// The file, for messages about it.
    pub file: PathBuf,
    /// The requirement it shows.
    pub item: Option<String>,
    /// The event's type.
    pub event_type: EventType,
    /// The event, as it is posted.
    pub event: Value,
    /// Who is told, on which channel; nobody else is.
    pub expect: Vec<Expectation>,
}

/// One delivery that a sample leads to.
#[derive(Debug, Clone, Deserialize)]
pub struct Expectation {
    /// Who.
    pub recipient: RecipientId,
    /// On which channel.
    pub channel: Channel,
    /// Where it ends.
    pub state: StateKind,
    /// Why, when it matters.
    #[serde(default)]
    pub reason: Option<String>,
    /// What the reader finds in it.
    #[serde(default)]
    pub contains: Vec<String>,
}

/// Which file, and which line of it, each part of a pack comes from.
#[derive(Debug, Default)]
struct Sources {
    manifest: Places,
    routes: Places,
    policies: Places,
    schedules: Places,
    recipients: Places,
    templates: BTreeMap<(TemplateName, String), Places>,
}

/// A part of a pack, for messages about it.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// A group, by its place in the file.
    Group(usize),
    /// A template.
    Template(&'a TemplateName),
    /// A route.
    Route(&'a EventType),
    /// A reminder policy.
    Policy(&'a PolicyName),
    /// A schedule.
    Schedule(&'a ScheduleName),
    /// An invented person, by their place in the file.
    Recipient(usize),
}

impl Pack {
    /// The fault at a pointer into a part, with the file and line where it is written.
    #[must_use]
    pub fn fault(&self, part: Part<'_>, fault: FieldError) -> PackFault {
        match part {
            Part::Group(i) => self.sources.manifest.fault(fault.under(&format!("/groups/{i}"))),
            Part::Route(event_type) => {
                let name = carillon_domain::problem::pointer_part(event_type.as_str());
                self.sources.routes.fault(fault.under(&format!("/{name}")))
            }
            Part::Policy(name) => {
                let name = carillon_domain::problem::pointer_part(name.as_str());
                self.sources.policies.fault(fault.under(&format!("/{name}")))
            }
            Part::Schedule(name) => {
                let name = carillon_domain::problem::pointer_part(name.as_str());
                self.sources.schedules.fault(fault.under(&format!("/{name}")))
            }
            Part::Recipient(i) => self.sources.recipients.fault(fault.under(&format!("/recipients/{i}"))),
            Part::Template(name) => self.template_fault(name, fault),
        }
    }

    /// The fault at a pointer into the pack as a whole.
    #[must_use]
    pub fn manifest_fault(&self, fault: FieldError) -> PackFault {
        self.sources.manifest.fault(fault)
    }

    /// A template has a file for each locale, and the pointer says which.
    fn template_fault(&self, name: &TemplateName, fault: FieldError) -> PackFault {
        let rest = fault.pointer.strip_prefix("/locales/").unwrap_or_default();
        let (locale, inside) = rest.split_once('/').unwrap_or((rest, ""));
        match self.sources.templates.get(&(name.clone(), locale.to_owned())) {
            Some(places) => {
                let pointer = if inside.is_empty() { String::new() } else { format!("/{inside}") };
                places.fault(FieldError::new(pointer, fault.detail))
            }
            None => PackFault { file: self.template_folder(name), line: None, detail: fault.detail },
        }
    }

    fn template_folder(&self, name: &TemplateName) -> PathBuf {
        self.sources.manifest.file().parent().unwrap_or(Path::new("")).join("templates").join(name.as_str())
    }
}

/// One thing that is wrong with a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackFault {
    /// The file, or the folder where a file is missing.
    pub file: PathBuf,
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl fmt::Display for PackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.detail)
    }
}

/// Everything that is wrong with a pack.
#[derive(Debug, thiserror::Error)]
#[error("the pack cannot be used; nothing was changed{}", listed(.0))]
pub struct PackFaults(pub Vec<PackFault>);

impl PackFaults {
    /// For a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.iter().map(|f| json!({"file": f.file, "line": f.line, "detail": f.detail})).collect()
    }
}

/// A line each, to stand below a heading.
pub fn listed(faults: &[PackFault]) -> String {
    let mut text = String::new();
    for fault in faults {
        text.push_str("\n  ");
        text.push_str(&fault.to_string());
    }
    text
}
