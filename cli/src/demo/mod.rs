//! `carillon demo`: a cloud of its own with a tenant for each pack; plays the packs' samples, and compares who was told
//! what with what each sample expects. [`play`] posts and waits, [`said`] reads what arrived, [`compare`] finds what is
//! missing, [`show`] prints it.

mod compare;
mod play;
mod said;
mod show;

use std::net::SocketAddr;
use std::time::Duration;

use carillon_domain::{Channel, DeliveryId, RecipientId, StateKind};
use carillon_local::clock::ClockSetting;
use carillon_local::cloud::{Cloud, Pace, Settings, TenantAccess};
use serde::Deserialize;

use crate::apply::apply;
use crate::arguments::Demo;
use crate::client::Client;
use crate::logging;
use crate::outcome::{self, Done, Failure, say};
use crate::pack::{self, Pack, Sample};
use crate::people::introduce;
use crate::signals::Signals;

use said::{Outbox, Said};

/// One delivery of a played sample.
#[derive(Debug, Deserialize)]
struct Told {
    id: DeliveryId,
    recipient_id: RecipientId,
    channel: Channel,
    state: StateKind,
    reason: Option<String>,
    note: Option<String>,
    /// What its reader sees; none when nothing was sent.
    #[serde(skip)]
    said: Option<Said>,
}

/// A sample and what became of it.
#[derive(Debug)]
struct Played<'a> {
    sample: &'a Sample,
    event_id: String,
    told: Vec<Told>,
    /// What is not as the sample expects.
    faults: Vec<String>,
}

/// A pack and what became of its samples.
#[derive(Debug)]
struct PlayedPack<'a> {
    pack: &'a Pack,
    tenant: TenantAccess,
    samples: Vec<Played<'a>>,
    took: Duration,
}

/// Plays the samples of every pack, or of those that are named.
///
/// # Errors
/// When a pack is faulty or the cloud does not start.
pub async fn demo(arguments: Demo, json: bool) -> Result<Done, Failure> {
    logging::start(&arguments.logging)?;
    let mut signals = Signals::catch()?;
    let packs = pack::chosen(&arguments.packs)?;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let (clock, pace) = (ClockSetting::Real, Pace::Off);
    let settings = Settings { listen, data: None, whatsapp_url: None, ses_url: None, clock, pace };
    let cloud = Cloud::start(settings).await;
    let cloud = cloud.map_err(|error| Failure::Fault(format!("the cloud did not start: {error}")))?;
    let played = tokio::select! {
        () = signals.received() => Err(Failure::Fault("interrupted".to_owned())),
        played = play_all(&cloud, &packs) => played,
    };
    let mut done = played.map(|(played, strays)| (show::done(&played, &strays), played));
    if let (Ok((shown, played)), true) = (&mut done, arguments.keep) {
        outcome::print(shown, json);
        if !json {
            say(&show::where_to_look(cloud.ready(), played));
        }
        signals.received().await;
        *shown = Done { found_fault: shown.found_fault, ..Done::default() };
    }
    let done = done.map(|(shown, _)| shown);
    cloud.stop().await;
    done
}

/// Plays the packs one after the other; what the providers received beside them is a fault of nobody in particular.
async fn play_all<'a>(
    cloud: &Cloud,
    packs: &'a [Pack],
) -> Result<(Vec<PlayedPack<'a>>, Vec<String>), Failure> {
    let mut played = Vec::new();
    for pack in packs {
        let access = cloud.add_tenant(&pack.name, &pack.name).await;
        let access = access.map_err(|error| Failure::Fault(error.to_string()))?;
        let admin = Client::new(&cloud.ready().url, Some(&access.admin_key))?;
        let producer = Client::new(&cloud.ready().url, Some(&access.api_key))?;
        apply(&admin, pack, false).await?;
        introduce(&admin, pack).await?;
        let (samples, took) = play::play(&producer, pack).await?;
        played.push((PlayedPack { pack, tenant: access, samples, took }, admin));
    }
    let mut outbox = Outbox::read(&Client::new(&cloud.ready().url, None)?).await?;
    let mut compared = Vec::new();
    for (mut pack, admin) in played {
        for played in &mut pack.samples {
            said::hear(&admin, &mut outbox, &mut played.told).await?;
            played.faults = compare::faults(&played.sample.expect, &played.told);
        }
        compared.push(pack);
    }
    Ok((compared, outbox.strays()))
}
