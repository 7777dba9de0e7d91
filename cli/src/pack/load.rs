//! Reads a pack's folder: `pack.toml`, `routes.toml`, `reminder-policies.toml` and `schedules.toml` if there are any, `templates/<name>/<locale>.toml` with the long texts of its email
//! beside it in `<locale>.html` and `<locale>.txt`, and `samples/`. [`super::check`] comes next.

use std::collections::BTreeMap;
use std::path::Path;

use carillon_domain::{
    EventInput, EventType, FieldError, GroupName, PolicyName, Recipient, RecipientId, ReminderPolicy, Route,
    Schedule, ScheduleName, Template, TemplateName,
};
use carillon_pipeline::apply_pack::PackSettings;
use serde::Deserialize;
use serde_json::{Value, json};

use super::find::MANIFEST;
use super::places::Places;
use super::read::{Reading, named};
use super::{Expectation, Group, Pack, PackFaults, Sample, SampleRecipient, Sources, check};

/// The file of the reminder policies; few packs have one.
const POLICIES: &str = "reminder-policies.toml";

/// The file of the schedules; few packs have one.
const SCHEDULES: &str = "schedules.toml";

/// The file of the invented people, beside the invented events.
const RECIPIENTS: &str = "recipients.toml";

#[derive(Deserialize)]
struct Manifest {
    name: String,
    title: String,
    /// For those who read the file.
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default = "english")]
    default_locale: String,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    settings: PackSettings,
}

#[derive(Deserialize)]
struct RecipientsFile {
    #[serde(default)]
    recipients: Vec<Value>,
}

#[derive(Deserialize)]
struct SampleFile {
    item: Option<String>,
    event: Value,
    #[serde(default)]
    expect: Vec<Expectation>,
}

fn english() -> String {
    "en".to_owned()
}

/// Reads and checks the pack in a folder.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(folder: &Path) -> Result<Pack, PackFaults> {
    let mut reading = Reading::default();
    if !folder.is_dir() {
        reading.note_file(folder, "is not a folder");
        return Err(PackFaults(reading.faults));
    }
    let manifest = reading.typed::<Manifest>(&folder.join(MANIFEST));
    let mut sources = Sources::default();
    let routes = routes(&mut reading, &mut sources, &folder.join("routes.toml"));
    let policies = policies(&mut reading, &mut sources, &folder.join(POLICIES));
    let schedules = schedules(&mut reading, &mut sources, &folder.join(SCHEDULES));
    let templates = templates(&mut reading, &mut sources, &folder.join("templates"));
    let recipients = recipients(&mut reading, &mut sources, &folder.join("samples").join(RECIPIENTS));
    let samples = samples(&mut reading, &folder.join("samples"));
    strangers(&mut reading, folder);
    let Some((places, manifest)) = manifest else { return Err(PackFaults(reading.faults)) };
    sources.manifest = places;
    let Manifest { name, title, default_locale, groups, settings, .. } = manifest;
    let (samples, sample_places): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
    let pack = Pack {
        name,
        title,
        default_locale,
        groups,
        templates,
        routes,
        policies,
        schedules,
        settings,
        recipients,
        samples,
        sources,
    };
    let mut faults = reading.faults;
    // A part that could not be read is missing everywhere else: those faults would only repeat the first.
    if faults.is_empty() {
        faults = check::faults(&pack, folder, &sample_places);
    }
    if faults.is_empty() { Ok(pack) } else { Err(PackFaults(faults)) }
}

fn routes(reading: &mut Reading, sources: &mut Sources, file: &Path) -> BTreeMap<EventType, Route> {
    let Some((places, Value::Object(tables))) = reading.toml(file) else { return BTreeMap::new() };
    let mut routes = BTreeMap::new();
    for (name, table) in tables {
        let at = format!("/{}", carillon_domain::problem::pointer_part(&name));
        match name.parse::<EventType>() {
            Err(error) => {
                reading.note(&places, &at, vec![FieldError::new("", format!("the event type {error}"))]);
            }
            Ok(event_type) => {
                if let Some(route) = reading.parsed::<Route>(&places, &at, table) {
                    reading.note(&places, &at, route.faults());
                    routes.insert(event_type, route);
                }
            }
        }
    }
    sources.routes = places;
    routes
}

fn policies(
    reading: &mut Reading,
    sources: &mut Sources,
    file: &Path,
) -> BTreeMap<PolicyName, ReminderPolicy> {
    if !file.exists() {
        return BTreeMap::new();
    }
    let Some((places, Value::Object(tables))) = reading.toml(file) else { return BTreeMap::new() };
    let mut policies = BTreeMap::new();
    for (name, table) in tables {
        let at = format!("/{}", carillon_domain::problem::pointer_part(&name));
        match name.parse::<PolicyName>() {
            Err(error) => {
                reading.note(&places, &at, vec![FieldError::new("", format!("the policy name {error}"))]);
            }
            Ok(name) => {
                if let Some(policy) = reading.parsed::<ReminderPolicy>(&places, &at, table) {
                    reading.note(&places, &at, policy.faults());
                    policies.insert(name, policy);
                }
            }
        }
    }
    sources.policies = places;
    policies
}

fn schedules(reading: &mut Reading, sources: &mut Sources, file: &Path) -> BTreeMap<ScheduleName, Schedule> {
    if !file.exists() {
        return BTreeMap::new();
    }
    let Some((places, Value::Object(tables))) = reading.toml(file) else { return BTreeMap::new() };
    let mut schedules = BTreeMap::new();
    for (name, table) in tables {
        let at = format!("/{}", carillon_domain::problem::pointer_part(&name));
        match name.parse::<ScheduleName>() {
            Err(error) => {
                reading.note(&places, &at, vec![FieldError::new("", format!("the schedule's name {error}"))]);
            }
            Ok(name) => {
                if let Some(schedule) = reading.parsed::<Schedule>(&places, &at, table) {
                    reading.note(&places, &at, schedule.faults());
                    schedules.insert(name, schedule);
                }
            }
        }
    }
    sources.schedules = places;
    schedules
}

fn templates(
    reading: &mut Reading,
    sources: &mut Sources,
    folder: &Path,
) -> BTreeMap<TemplateName, Template> {
    let mut templates = BTreeMap::new();
    for folder in reading.entries(folder) {
        let name = match named(&folder).parse::<TemplateName>() {
            Ok(name) if folder.is_dir() => name,
            Ok(_) => {
                reading.note_file(
                    &folder,
                    "is not part of a pack; a template is a folder with a file for each locale",
                );
                continue;
            }
            Err(error) => {
                reading.note_file(&folder, format!("the template name {error}"));
                continue;
            }
        };
        let mut locales = BTreeMap::new();
        for file in reading.entries(&folder) {
            let locale = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match file.extension().and_then(|e| e.to_str()) {
                Some("toml") => {
                    if let Some((places, parts)) = locale_parts(reading, &file, &locale) {
                        sources.templates.insert((name.clone(), locale.clone()), places);
                        locales.insert(locale, parts);
                    }
                }
                Some("html" | "txt") if file.with_extension("toml").is_file() => {}
                Some("html" | "txt") => {
                    reading.note_file(&file, format!("{locale}.toml is missing beside it"));
                }
                _ => reading.note_file(
                    &file,
                    "is not part of a template; its files are <locale>.toml, .html and .txt",
                ),
            }
        }
        if locales.is_empty() {
            reading.note_file(&folder, "holds no <locale>.toml");
        }
        templates.insert(name, Template { locales });
    }
    templates
}

fn locale_parts(
    reading: &mut Reading,
    file: &Path,
    locale: &str,
) -> Option<(Places, carillon_domain::LocaleParts)> {
    let (mut places, mut value) = reading.toml(file)?;
    for (extension, field) in [("html", "html"), ("txt", "text")] {
        let beside = file.with_extension(extension);
        if !beside.is_file() {
            continue;
        }
        match value.get_mut("email") {
            None => reading
                .note_file(&beside, format!("there is no [email] in {locale}.toml that it could belong to")),
            Some(email) if email.get(field).is_some() => {
                reading.note_file(&beside, format!("{locale}.toml has email.{field} too; keep one of them"));
            }
            Some(email) => {
                email[field] = json!(reading.text(&beside)?);
                places.is_in(&format!("/email/{field}"), beside);
            }
        }
    }
    if value.get("email").is_some_and(|email| email.get("html").is_none()) {
        let detail = format!("there is no html; write it in {locale}.html");
        reading.note(&places, "", vec![FieldError::new("/email", detail)]);
        return None;
    }
    let parts = reading.parsed(&places, "", value)?;
    Some((places, parts))
}

fn recipients(reading: &mut Reading, sources: &mut Sources, file: &Path) -> Vec<SampleRecipient> {
    if !file.exists() {
        return Vec::new();
    }
    let Some((places, found)) = reading.typed::<RecipientsFile>(file) else { return Vec::new() };
    let mut recipients = Vec::new();
    for (i, mut value) in found.recipients.into_iter().enumerate() {
        let at = format!("/recipients/{i}");
        let mut taken = |name: &str| value.as_object_mut().and_then(|o| o.remove(name));
        let id = taken("id").unwrap_or(Value::Null);
        let groups = taken("groups").unwrap_or_else(|| json!([]));
        let id = reading.parsed::<RecipientId>(&places, &format!("{at}/id"), id);
        let groups = reading.parsed::<Vec<GroupName>>(&places, &format!("{at}/groups"), groups);
        let recipient = reading.parsed::<Recipient>(&places, &at, value);
        if let (Some(id), Some(recipient), Some(groups)) = (id, recipient, groups) {
            match recipient.normalised(None) {
                Ok(recipient) => recipients.push(SampleRecipient { id, recipient, groups }),
                Err(faults) => reading.note(&places, &at, faults),
            }
        }
    }
    sources.recipients = places;
    recipients
}

fn samples(reading: &mut Reading, folder: &Path) -> Vec<(Sample, Places)> {
    let mut samples = Vec::new();
    for file in reading.entries(folder) {
        if named(&file) == RECIPIENTS {
            continue;
        }
        if file.extension().is_none_or(|e| e != "toml") {
            reading.note_file(&file, "is not part of a pack; a sample is a .toml file");
            continue;
        }
        let Some((places, SampleFile { item, event, expect })) = reading.typed::<SampleFile>(&file) else {
            continue;
        };
        match EventInput::parse(event.clone()) {
            Err(faults) => reading.note(&places, "/event", faults),
            Ok(input) => {
                samples.push((Sample { file, item, event_type: input.event_type, event, expect }, places));
            }
        }
    }
    samples
}

/// A misspelt file name must not silently leave something out.
fn strangers(reading: &mut Reading, folder: &Path) {
    for entry in reading.entries(folder) {
        let name = named(&entry);
        let known =
            [MANIFEST, "routes.toml", POLICIES, SCHEDULES, "templates", "samples"].contains(&name.as_str());
        if !known && entry.extension().is_none_or(|e| e != "md") {
            reading.note_file(&entry, "is not part of a pack");
        }
    }
}
