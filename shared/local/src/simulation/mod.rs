//! The simulation: the whole pipeline on the in-memory model of the table, with virtual time and a seed that decides who
//! goes on next and what goes wrong. [`run`] plays a seed; the same seed plays the same run, and tells it when asked.
//!
//! `scenario` says what is posted, `faults` what can go wrong, `core` keeps time and turns, `table`, `ports` and
//! `provider` are the pipeline's ports, `world` gives work to functions, `watch` and `asked` look at every step and `end`
//! at the end. `mutation` breaks one guarantee at a time: a simulation that does not notice proves nothing.

mod acts;
mod asked;
mod calls;
mod chance;
mod core;
mod end;
mod faults;
mod mailbox;
mod mutation;
mod ports;
mod provider;
mod scenario;
mod setting;
mod story;
mod table;
mod watch;
mod work;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carillon_domain::Problem;
use carillon_pipeline::ports::{StoreError, Table};
use futures_util::FutureExt;

pub use faults::Fault;
pub use mutation::Mutation;

use crate::model::ModelTable;
use chance::Chance;
use core::{Core, Sim};
use scenario::Scenario;
use setting::Shared;
use table::SimTable;
use watch::Watch;
use world::World;

/// What a seed came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What must not be and was; none when everything held.
    pub breach: Option<String>,
    /// A fingerprint of every step: equal runs have equal ones.
    pub fingerprint: u64,
    /// How many port calls there were.
    pub steps: u64,
    /// How many calls were made at the provider's door.
    pub calls: usize,
    /// The states that deliveries were in, with their reasons.
    pub states: BTreeSet<String>,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u64>,
    /// What happened, in plain words, when it was asked for.
    pub story: Vec<String>,
}

/// What is to be played beside the seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A guarantee that does not hold.
    pub mutation: Option<Mutation>,
    /// Whether the story is told.
    pub told: bool,
}

/// Plays many seeds without doing twice what is the same for all.
pub struct Player {
    shared: Shared,
    furnished: Arc<ModelTable>,
}

impl Player {
    /// A player of any seed.
    ///
    /// # Errors
    /// When what a run begins with cannot be stored: a fault of the scenario.
    pub fn make() -> Result<Self, Problem> {
        let (shared, furnished) = (Shared::make(), Arc::new(ModelTable::new()));
        let furnishing = furnish(furnished.clone(), &shared);
        let waits = || Err(StoreError::Refused("the model waited".to_owned()).into());
        furnishing.now_or_never().unwrap_or_else(waits)?;
        Ok(Self { shared, furnished })
    }

    /// Plays a seed on the model.
    #[must_use]
    pub fn play(&self, seed: u64, options: Options) -> Outcome {
        let table = Arc::new(ModelTable::holding(self.furnished.items()));
        let played = run(seed, options, table, self.shared.clone()).now_or_never();
        // The model never waits; who does is told like any other breach.
        played.unwrap_or_else(|| Outcome {
            seed,
            breach: Some("the run waited for something outside".to_owned()),
            fingerprint: 0,
            steps: 0,
            calls: 0,
            states: BTreeSet::new(),
            faults: BTreeMap::new(),
            story: Vec::new(),
        })
    }

    /// Plays a seed on another table, which must be empty.
    ///
    /// # Errors
    /// When what a run begins with cannot be stored.
    pub async fn play_on(
        &self,
        table: Arc<dyn Table>,
        seed: u64,
        options: Options,
    ) -> Result<Outcome, Problem> {
        furnish(Arc::clone(&table), &self.shared).await?;
        Ok(run(seed, options, table, self.shared.clone()).await)
    }
}

async fn furnish(table: Arc<dyn Table>, shared: &Shared) -> Result<(), Problem> {
    let tenant = world::tenant().ok_or_else(|| StoreError::Refused("the tenant has no name".to_owned()))?;
    setting::furnish(table, shared, &tenant).await
}

async fn run(seed: u64, options: Options, table: Arc<dyn Table>, shared: Shared) -> Outcome {
    let Options { mutation, told } = options;
    // The scenario has chances of its own: another order of steps must not post other events.
    let scenario = Scenario::draw(&mut Chance::from_seed(seed ^ 0x5ce_a210));
    let core = Core::begin(seed, scenario::BEGIN_MS, mutation, Watch::default(), told);
    let sim = Sim::of(core);
    let postings = scenario.postings.clone();
    let table = Arc::new(SimTable::on(sim.clone(), table));
    if let Some(tenant) = world::tenant() {
        World::of(sim.clone(), table, shared, tenant, scenario).play().await;
    }
    let mut core = sim.core();
    if core.watch.breach().is_none() {
        end::examine(&mut core, &postings);
    }
    Outcome {
        seed,
        breach: core.watch.breach().map(str::to_owned),
        fingerprint: core.story.fingerprint(),
        steps: core.story.steps(),
        calls: core.watch.deliveries.values().map(|seen| seen.calls.len()).sum(),
        states: core.watch.states.clone(),
        faults: core.struck().clone(),
        story: core.story.take_lines(),
    }
}
