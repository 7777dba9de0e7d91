//! `carillon dev`: the whole cloud in one process. The Lambda handlers themselves, on the DynamoDB adapter against an
//! embedded engine, queues and fake providers on one SQLite file. What was accepted survives `kill -9`.

mod dead;
mod http;
mod identity;
mod providers;
mod store;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carillon_channels::MinijinjaRenderer;
use carillon_domain::ids::HashKey;
use carillon_pipeline::Pipeline;
use carillon_pipeline::bootstrap::{HASH_KEY, ensure_secret};
use carillon_pipeline::context::Remembered;
use carillon_pipeline::ports::{Clock, Entropy, Provider, Queue, Secrets};
use carillon_runtime::{SystemClock, SystemEntropy, outbound};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::changes::{self, ChangeLog, WatchedTable};
use crate::clock::activity::Activity;
use crate::clock::{self, ClockSetting, TimeKeeper, VirtualClock};
use crate::journal::Journal;
use crate::outbox::pages;
use crate::queues::{LocalQueues, QueueSettings, poll};
use crate::schedules::{Due, LocalSchedules};
use crate::secrets::LocalSecrets;

pub use carillon_pipeline::pace::Pace;
pub use identity::{Ready, TenantAccess};

/// Messages a function is given at a time, as template.yaml says.
const BATCH: usize = 10;

/// The same for fan-out, whose messages can be parts of 500 recipients.
const EVENTS_BATCH: usize = 2;

/// Batches of one queue that run side by side.
const CONCURRENCY: usize = 4;

/// How often the sweep runs. On AWS it is a minute; here somebody is watching.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// How the cloud is to be run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its state lies; none for one that is gone with the process.
    pub data: Option<PathBuf>,
    /// Another Graph API than the built-in fake.
    pub whatsapp_url: Option<String>,
    /// Another SES than the built-in fake.
    pub ses_url: Option<String>,
    /// Which time it has.
    pub clock: ClockSetting,
    /// Whether its channels are paced.
    pub pace: Pace,
}

/// Why the cloud did not start: what was attempted, and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {cause}")]
pub struct StartError {
    doing: String,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Names what was attempted when something fails.
trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, StartError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, StartError> {
        self.map_err(|cause| StartError { doing: what.into(), cause: cause.into() })
    }
}

/// A running cloud.
pub struct Cloud {
    ready: Ready,
    pipeline: Arc<Pipeline>,
    queues: Arc<LocalQueues>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    store: store::Store,
    hand: Option<Arc<VirtualClock>>,
}

impl Cloud {
    /// Starts everything. When this answers, the cloud takes requests.
    ///
    /// # Errors
    /// When the port is taken, or the data folder cannot be used.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let (clock, hand) = clock_of(settings.clock);
        let entropy = Arc::new(SystemEntropy);
        let listener = TcpListener::bind(settings.listen).await;
        let listener = listener.doing(format!("listening on {}", settings.listen))?;
        let url = format!("http://{}", listener.local_addr().doing("reading the address listened on")?);
        if let Some(folder) = &settings.data {
            // Personal data lies in it: only its owner may look.
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.doing(format!("making the data folder {}", folder.display()))?;
        }
        let journal = match &settings.data {
            Some(folder) => Journal::open(&folder.join("journal.db")),
            None => Journal::in_memory(),
        };
        let journal = journal.doing("opening the journal of queues and outbox")?;
        let secrets = match &settings.data {
            Some(folder) => LocalSecrets::open(folder.join("secrets.json")).doing("opening the secrets")?,
            None => LocalSecrets::in_memory(),
        };
        let secrets: Arc<dyn Secrets> = Arc::new(secrets);
        let store = store::Store::start(settings.data.as_deref()).await?;
        let queues = LocalQueues::open(Arc::clone(&journal), clock.clone(), QueueSettings::default()).await;
        let queues = queues.doing("opening the queues")?;
        let hash_key =
            ensure_secret(secrets.as_ref(), entropy.as_ref(), HASH_KEY).await.doing("making the hash key")?;
        let schedules = LocalSchedules::from_now(clock.clone());
        let changes = ChangeLog::open(Arc::clone(&journal), Arc::clone(queues.activity())).await;
        let changes = changes.doing("opening the stream of the table")?;
        let pipeline = Arc::new(Pipeline {
            table: Arc::new(WatchedTable::over(store.table(), Arc::clone(&changes))),
            queues: queues.clone(),
            secrets: Arc::clone(&secrets),
            renderer: Arc::new(MinijinjaRenderer::new()),
            clock: clock.clone(),
            entropy: entropy.clone(),
            hash_key: HashKey::from_bytes(hash_key.as_bytes()),
            leases_void_before: Some(clock.now()),
            pace: settings.pace,
            schedules: schedules.clone(),
            public_url: Some(url.clone()),
            remembered: Remembered::default(),
        });
        let ready = identity::first_tenant(&pipeline, &url).await.doing("making the first tenant")?;
        let set = pipeline.set_all_schedules().await.map_err(|problem| problem.detail);
        set.doing("setting the schedules")?;
        let (stop, stopping) = watch::channel(false);
        let mut cloud = Self { ready, pipeline, queues, stop, tasks: JoinSet::new(), store, hand };
        let client = outbound::client().doing("setting up the HTTP client")?;
        let world = World { journal, clock, entropy, client, schedules, stopping };
        let providers = cloud.providers(&world, settings.whatsapp_url, settings.ses_url).await?;
        cloud.serve(&world, listener, providers.dev)?;
        cloud.consume(&world, providers.whatsapp, providers.email);
        let (counters, clock) = (cloud.store.table(), world.clock.clone());
        cloud.tasks.spawn(changes::count(changes, counters, clock, world.stopping.clone()));
        Ok(cloud)
    }

    /// What a client needs to know.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The pipeline, for tools that look into the table.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// The queues, for tools that look into them.
    #[must_use]
    pub fn queues(&self) -> &Arc<LocalQueues> {
        &self.queues
    }

    /// A further tenant, with keys, and with channels on the same providers.
    ///
    /// # Errors
    /// When the id cannot be one, or the store fails.
    pub async fn add_tenant(&self, id: &str, name: &str) -> Result<TenantAccess, StartError> {
        let id = id.parse().doing(format!("naming a tenant {id:?}"))?;
        identity::tenant(&self.pipeline, &id, name).await.doing(format!("making the tenant {id}"))
    }

    /// Stops cleanly: no new work, and what is under way is finished.
    pub async fn stop(mut self) {
        // Everybody who listens is in `tasks`; when they are gone already there is nobody to tell.
        self.stop.send_replace(true);
        if let Some(clock) = &self.hand {
            clock.stop();
        }
        while self.tasks.join_next().await.is_some() {}
        self.store.stop().await;
    }

    fn serve(
        &mut self,
        world: &World,
        listener: TcpListener,
        providers: axum::Router,
    ) -> Result<(), StartError> {
        let keeper = self.hand.clone().map(|clock| {
            TimeKeeper::of(
                clock,
                world.journal.clone(),
                self.queues.clone(),
                self.pipeline.clone(),
                world.schedules.clone(),
            )
        });
        let dev = pages::outbox(world.journal.clone())
            .merge(pages::queues(Arc::clone(&self.queues)))
            .merge(clock::endpoint::routes(world.clock.clone(), keeper))
            .merge(providers);
        let router = http::router(&self.pipeline, dev, self.queues.activity());
        let router = router.doing("routing the API")?;
        self.tasks.spawn(http::serve(listener, router, world.stopping.clone()));
        Ok(())
    }

    /// Runs every function that works a queue, as an event source mapping would, and the sweep. A function reports its
    /// failures one by one and never fails as a whole.
    fn consume(&mut self, world: &World, whatsapp: Arc<dyn Provider>, email: Arc<dyn Provider>) {
        let pipeline = Arc::clone(&self.pipeline);
        let queues = &self.queues;
        let stopping = || world.stopping.clone();
        // On a virtual clock each message is a piece of work of its own: one that sleeps must not hide the others' work.
        let (batch, consumers) =
            if self.hand.is_some() { (1, BATCH * CONCURRENCY) } else { (BATCH, CONCURRENCY) };
        let p = Arc::clone(&pipeline);
        let few = batch.min(EVENTS_BATCH);
        self.tasks.spawn(poll(queues.clone(), Queue::Events, few, consumers, stopping(), move |event| {
            let p = Arc::clone(&p);
            async move { Ok::<_, Infallible>(fan_out::handle(&p, event).await) }
        }));
        let (p, provider) = (Arc::clone(&pipeline), whatsapp);
        self.tasks.spawn(poll(queues.clone(), Queue::Whatsapp, batch, consumers, stopping(), move |event| {
            let (p, provider) = (Arc::clone(&p), Arc::clone(&provider));
            async move { Ok::<_, Infallible>(deliver_whatsapp::handle(&p, provider.as_ref(), event).await) }
        }));
        let (p, provider) = (Arc::clone(&pipeline), email);
        self.tasks.spawn(poll(queues.clone(), Queue::Email, batch, consumers, stopping(), move |event| {
            let (p, provider) = (Arc::clone(&p), Arc::clone(&provider));
            async move { Ok::<_, Infallible>(deliver_email::handle(&p, provider.as_ref(), event).await) }
        }));
        let p = Arc::clone(&pipeline);
        self.tasks.spawn(poll(queues.clone(), Queue::Receipts, batch, consumers, stopping(), move |event| {
            let p = Arc::clone(&p);
            async move { Ok::<_, Infallible>(receipts::handle(&p, event).await) }
        }));
        let p = Arc::clone(&pipeline);
        self.tasks.spawn(poll(queues.clone(), Queue::Jobs, 1, CONCURRENCY, stopping(), move |event| {
            let p = Arc::clone(&p);
            async move { Ok::<_, Infallible>(jobs::handle(&p, event).await) }
        }));
        dead::consume(&mut self.tasks, &pipeline, &self.queues, &world.stopping);
        let firing = Firing { schedules: Arc::clone(&world.schedules), only_once: self.hand.is_some() };
        self.tasks.spawn(sweep(pipeline, firing, self.queues.activity().clone(), stopping()));
    }
}

/// What the parts of a cloud have in common.
struct World {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    client: reqwest::Client,
    schedules: Arc<LocalSchedules>,
    stopping: watch::Receiver<bool>,
}

/// The clock, and the hand that moves it if it is virtual.
fn clock_of(setting: ClockSetting) -> (Arc<dyn Clock>, Option<Arc<VirtualClock>>) {
    match setting {
        ClockSetting::Real => (Arc::new(SystemClock), None),
        ClockSetting::Virtual { start } => {
            let clock = VirtualClock::at(start.unwrap_or_else(|| SystemClock.now()));
            (clock.clone(), Some(clock))
        }
    }
}

/// The schedules that the sweep's task fires.
struct Firing {
    schedules: Arc<LocalSchedules>,
    /// Virtual time fires them itself from then on, when it passes them.
    only_once: bool,
}

async fn sweep(
    pipeline: Arc<Pipeline>,
    firing: Firing,
    activity: Arc<Activity>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut fires = true;
    loop {
        let turn = activity.begin(None);
        if let Err(error) = sweep_due::handle(&pipeline).await {
            tracing::warn!(error = %error, "the sweep failed; the next one goes on");
        }
        if fires && let Err(error) = firing.schedules.fire(&pipeline, Due::Runs).await {
            tracing::debug!(error = %error, "a sweep failed, as was said");
        }
        fires = !firing.only_once;
        drop(turn);
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}
