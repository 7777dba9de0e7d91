//! `carillon dev`: the whole cloud in this process, until a signal stops it. Applies packs, writes the ready file, and
//! says where everything is.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use carillon_local::cloud::{Cloud, Ready, Settings};
use serde_json::{Value, json};

use crate::apply::apply;
use crate::arguments::Dev;
use crate::client::Client;
use crate::logging;
use crate::outcome::{Done, Failure, complain, say};
use crate::pack::{self, Pack};
use crate::people::introduce;
use crate::signals::Signals;

/// Runs the cloud until SIGINT or SIGTERM.
///
/// # Errors
/// When a pack is faulty, the port is taken, or the data folder cannot be used.
pub async fn dev(arguments: Dev, json: bool) -> Result<Done, Failure> {
    logging::start(&arguments.logging)?;
    let mut signals = Signals::catch()?;
    // Before anything is started: a faulty pack is told at once and changes nothing.
    let folders = arguments.packs.iter().map(|name| pack::folder(name)).collect::<Result<Vec<_>, _>>()?;
    let packs = folders.iter().map(|folder| pack::load(folder)).collect::<Result<Vec<_>, _>>()?;
    if let Some(file) = &arguments.ready_file {
        forget(file)?;
    }
    let Some(cloud) = until(&mut signals, start(&arguments)).await? else { return Ok(Done::default()) };
    let prepared = until(&mut signals, prepare(&arguments, &cloud, &packs)).await;
    if let Ok(Some(())) = prepared {
        say(&if json {
            json!(cloud.ready()).to_string()
        } else {
            greeting(&arguments, cloud.ready(), &packs)
        });
        signals.received().await;
    }
    cloud.stop().await;
    prepared.map(|_| Done::default())
}

/// What was started, or nothing when a signal came first.
async fn until<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    tokio::select! {
        () = signals.received() => Ok(None),
        done = work => done.map(Some),
    }
}

async fn start(arguments: &Dev) -> Result<Cloud, Failure> {
    let settings = Settings {
        listen: arguments.listen,
        data: (!arguments.ephemeral).then(|| arguments.data.clone()),
        whatsapp_url: arguments.whatsapp_url.clone(),
        ses_url: arguments.ses_url.clone(),
        clock: arguments.clock,
        pace: arguments.pace,
    };
    Cloud::start(settings).await.map_err(|error| Failure::Fault(format!("the cloud did not start: {error}")))
}

async fn prepare(arguments: &Dev, cloud: &Cloud, packs: &[Pack]) -> Result<(), Failure> {
    let ready = cloud.ready();
    let client = Client::new(&ready.url, Some(&ready.admin_key))?;
    for pack in packs {
        apply(&client, pack, false).await?;
        if arguments.samples {
            introduce(&client, pack).await?;
        }
    }
    match &arguments.ready_file {
        Some(file) => write_ready(file, &json!(ready)),
        None => Ok(()),
    }
}

/// A ready file of an earlier run would say that this one is ready.
fn forget(file: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::Fault(format!("the ready file {} cannot be replaced: {error}", file.display())))
        }
        _ => Ok(()),
    }
}

/// Whole or not at all, and readable by its owner only: it holds keys.
fn write_ready(file: &Path, ready: &Value) -> Result<(), Failure> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut open| open.write_all(format!("{ready}\n").as_bytes()))
        .and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| {
        if let Err(left) = std::fs::remove_file(&beside)
            && left.kind() != std::io::ErrorKind::NotFound
        {
            complain(&format!("carillon: {} is left behind: {left}", beside.display()));
        }
        Failure::Fault(format!("the ready file {} cannot be written: {error}", file.display()))
    })
}

fn greeting(arguments: &Dev, ready: &Ready, packs: &[Pack]) -> String {
    let kept = if arguments.ephemeral {
        "nowhere: --ephemeral".to_owned()
    } else {
        arguments.data.display().to_string()
    };
    let mut text = format!(
        "The cloud is ready; Ctrl-C stops it.\n\n  address  {}\n  outbox   {}\n  tenant   {}\n  data     {kept}\n",
        ready.url, ready.outbox, ready.tenant
    );
    if !packs.is_empty() {
        let names: Vec<&str> = packs.iter().map(|pack| pack.name.as_str()).collect();
        let people = if arguments.samples { ", with their invented people" } else { "" };
        push(&mut text, format_args!("  packs    {}{people}\n", names.join(", ")));
    }
    push(
        &mut text,
        format_args!(
            "\nFor the other commands, in another terminal:\n\n  export CARILLON_URL={} CARILLON_API_KEY={}\n\nTry:\n\n  {}\n",
            ready.url,
            ready.admin_key,
            example(ready, packs)
        ),
    );
    text
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    if text.write_fmt(part).is_err() {
        text.push_str("...");
    }
}

/// A call that works as it stands: the first sample of the first pack, else reading the log.
fn example(ready: &Ready, packs: &[Pack]) -> String {
    let Some(sample) = packs.iter().find_map(|pack| pack.samples.first()) else {
        return format!("curl -sS -H 'Authorization: Bearer {}' {}/v1/events", ready.api_key, ready.url);
    };
    let mut event = sample.event.clone();
    if let Some(fields) = event.as_object_mut() {
        // With its id a second call would be the same event again.
        fields.remove("id");
    }
    format!(
        "curl -sS -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\\n    {}/v1/events -d '{}'",
        ready.api_key,
        ready.url,
        event.to_string().replace('\'', r"'\''")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_ready_file_is_its_owners_alone_and_replaced_as_a_whole() {
        let folder = std::env::temp_dir().join(format!("carillon-ready-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("ready.json");
        for n in [1, 2] {
            write_ready(&file, &json!({"n": n})).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{{\"n\":{n}}}\n"));
        }
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        forget(&file).unwrap();
        forget(&file).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(&folder).unwrap();
    }
}
