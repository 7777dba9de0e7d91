//! What every run begins with: the tenant, its people, routes and template in the table, and processes that run the
//! pipeline on the run's ports.

use std::sync::Arc;

use async_trait::async_trait;
use carillon_channels::MinijinjaRenderer;
use carillon_domain::ids::HashKey;
use carillon_domain::{Channel, Problem, TenantId, Timestamp};
use carillon_pipeline::Pipeline;
use carillon_pipeline::context::Remembered;
use carillon_pipeline::pace::Pace;
use carillon_pipeline::ports::{
    Clock, Entropy, Message, NoSchedules, Queue, QueueError, Queues, Renderer, Secrets, StoreError, Table,
};
use serde_json::json;

use super::core::{SKEW_MS, Sim};
use super::mutation::Mutation;
use super::ports::{SimClock, SimEntropy, SimQueues};
use super::scenario;
use crate::secrets::LocalSecrets;

/// What runs have in common: secrets never change, and what was parsed once is parsed for all.
#[derive(Clone)]
pub(super) struct Shared {
    secrets: Arc<dyn Secrets>,
    renderer: Arc<dyn Renderer>,
}

impl Shared {
    pub(super) fn make() -> Self {
        Self { secrets: Arc::new(LocalSecrets::in_memory()), renderer: Arc::new(MinijinjaRenderer::new()) }
    }
}

fn pipeline(
    shared: &Shared,
    table: Arc<dyn Table>,
    queues: Arc<dyn Queues>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    leases_void_before: Option<Timestamp>,
    pace: Pace,
) -> Pipeline {
    Pipeline {
        table,
        queues,
        secrets: Arc::clone(&shared.secrets),
        renderer: Arc::clone(&shared.renderer),
        clock,
        entropy,
        hash_key: HashKey::from_bytes(b"not a secret"),
        leases_void_before,
        pace,
        schedules: Arc::new(NoSchedules),
        public_url: None,
        remembered: Remembered::default(),
    }
}

/// A process that has just started.
pub(super) fn process(sim: &Sim, table: &Arc<dyn Table>, shared: &Shared, pace: Pace) -> Arc<Pipeline> {
    let mut core = sim.core();
    let mut skew_ms = core.chance.between(-SKEW_MS, SKEW_MS);
    if core.mutated(Mutation::ExpiryIgnored) {
        skew_ms -= 4 * 24 * 3_600_000;
    }
    let void = core.mutated(Mutation::LeasesIgnored).then_some(Timestamp::MAX);
    drop(core);
    let queues = Arc::new(SimQueues(sim.clone()));
    let clock = Arc::new(SimClock { sim: sim.clone(), skew_ms });
    let entropy = Arc::new(SimEntropy(sim.clone()));
    Arc::new(pipeline(shared, Arc::clone(table), queues, clock, entropy, void, pace))
}

/// Puts into a table what every run begins with.
pub(super) async fn furnish(
    table: Arc<dyn Table>,
    shared: &Shared,
    tenant: &TenantId,
) -> Result<(), Problem> {
    let (queues, clock, entropy) = (Arc::new(Nowhere), Arc::new(Beginning), Arc::new(Zeros));
    let pipeline = pipeline(shared, table, queues, clock, entropy, None, Pace::Off);
    let owner = json!({"id": tenant, "name": "Acme", "locale": "en", "time_zone": "UTC", "region": "US"});
    let owner = serde_json::from_value(owner).map_err(unfit)?;
    pipeline.put_tenant(&owner).await?;
    pipeline.put_settings(tenant, &scenario::settings()).await?;
    let whatsapp = json!({"phone_number_id": scenario::NUMBER, "token": "a token"});
    pipeline.configure_channel(tenant, Channel::Whatsapp, whatsapp).await?;
    let email = json!({"from": "Acme <notifications@example.com>"});
    pipeline.configure_channel(tenant, Channel::Email, email).await?;
    for (id, person) in scenario::recipients() {
        pipeline.configure_recipient(tenant, &id.parse().map_err(unfit)?, person).await?;
    }
    for (name, members) in scenario::GROUPS {
        let group = json!({"members": members});
        pipeline.configure_group(tenant, &name.parse().map_err(unfit)?, group).await?;
    }
    for (name, template) in scenario::templates() {
        pipeline.configure_template(tenant, &name.parse().map_err(unfit)?, template, true).await?;
    }
    for told in scenario::routes() {
        pipeline.configure_route(tenant, &told.event_type.parse().map_err(unfit)?, told.route).await?;
    }
    Ok(())
}

fn unfit(fault: impl std::fmt::Display) -> Problem {
    StoreError::Refused(fault.to_string()).into()
}

/// Nothing is queued while a table is furnished.
struct Nowhere;

#[async_trait]
impl Queues for Nowhere {
    async fn send(&self, queue: Queue, _: Vec<Message>) -> Result<(), QueueError> {
        Err(QueueError { queue, reason: "there is none yet".to_owned() })
    }
}

struct Beginning;

#[async_trait]
impl Clock for Beginning {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(scenario::BEGIN_MS).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
