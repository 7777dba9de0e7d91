//! What a function does with what it is given: turns it into one call of the pipeline, as the functions in `functions/`
//! do, and says what is done.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use carillon_domain::{EventId, ReceiptKind, TenantId};
use carillon_pipeline::dead_letter::DeadMessage;
use carillon_pipeline::ports::Queue;
use carillon_pipeline::record_receipt::{Receipt, Recorded};
use carillon_pipeline::{DeliveryWork, EventWork, JobWork, Pipeline};

use super::acts;
use super::core::Sim;
use super::mailbox::Carried;
use super::provider::SimProvider;
use super::scenario::{Act, Scenario};
use super::watch;

/// What a task works on.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Something that is asked for from outside.
    Act(Act),
    /// Messages of a queue.
    Messages { queue: Queue, ids: Vec<u64> },
    /// A message of a dead-letter queue.
    Dead { queue: Queue, id: u64 },
    /// What is due.
    Sweep,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(act) => write!(f, "{act}"),
            Self::Messages { queue, ids } => {
                write!(f, "a worker is given {ids:?} of the {} queue", queue.as_str())
            }
            Self::Dead { queue, id } => {
                write!(f, "dead-letter is given [{id}] of the {} queue", queue.as_str())
            }
            Self::Sweep => f.write_str("sweep-due runs"),
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Ended {
    Accepted(EventId),
    /// Everything of the event that had not left is taken back.
    Cancelled(EventId),
    /// Whether each message is done.
    Each(Vec<bool>),
    Worked,
    /// To be asked again.
    Failed(String),
    /// Not to be asked again.
    GaveUp(String),
}

pub(super) type Running = Pin<Box<dyn Future<Output = Ended>>>;

/// Begins a piece of work in a process.
pub(super) fn begin(
    work: &Work,
    carried: Vec<Carried>,
    pipeline: Arc<Pipeline>,
    provider: &Arc<SimProvider>,
    tenant: &TenantId,
    scenario: &Scenario,
    sim: &Sim,
) -> Running {
    match work {
        Work::Act(act) => acts::begin(act, pipeline, tenant, scenario, sim),
        Work::Dead { queue, id } => Box::pin(record_dead(pipeline, carried, *queue, *id, sim.clone())),
        Work::Sweep => Box::pin(async move {
            match pipeline.sweep_due().await {
                Ok(_) => Ended::Worked,
                Err(error) => Ended::Failed(error.to_string()),
            }
        }),
        Work::Messages { queue: Queue::Events, .. } => Box::pin(fan_out(pipeline, carried, sim.clone())),
        Work::Messages { queue: Queue::Jobs, .. } => Box::pin(turn(pipeline, carried, sim.clone())),
        Work::Messages { queue: Queue::Receipts, .. } => {
            Box::pin(receive(pipeline, tenant.clone(), carried, sim.clone()))
        }
        Work::Messages { .. } => Box::pin(deliver(pipeline, Arc::clone(provider), carried, sim.clone())),
    }
}

async fn record_dead(
    pipeline: Arc<Pipeline>,
    carried: Vec<Carried>,
    queue: Queue,
    id: u64,
    sim: Sim,
) -> Ended {
    let text = carried.first().map(body).unwrap_or_default().to_owned();
    let event = serde_json::from_str::<EventWork>(&text).ok().map(|work| work.event_id);
    let message = DeadMessage {
        queue,
        message_id: id.to_string(),
        body: text,
        receive_count: 20,
        undelivered: false,
        tenant: None,
    };
    let recorded = pipeline.record_dead_letter(&message).await;
    if recorded.is_ok() {
        sim.core().watch.dead.extend(event);
    }
    Ended::Each(vec![recorded.is_ok()])
}

fn body(carried: &Carried) -> &str {
    match carried {
        Carried::Body(body) => body,
        Carried::Receipt(_) => "",
    }
}

/// A message that cannot be done whatever is tried is a fault of ours.
fn must_be_work(sim: &Sim, error: &carillon_pipeline::WorkError) {
    let unreadable = matches!(error, carillon_pipeline::WorkError::Unreadable(_));
    let refused = error.to_string().contains("the table refused");
    sim.core().watch.must(!unreadable && !refused, || format!("a message can never be worked: {error}"));
}

async fn fan_out(pipeline: Arc<Pipeline>, carried: Vec<Carried>, sim: Sim) -> Ended {
    let mut worked = Vec::with_capacity(carried.len());
    for one in &carried {
        let work: Result<EventWork, _> = serde_json::from_str(body(one));
        let done = match work {
            Ok(work) => pipeline.fan_out(&work).await.inspect_err(|error| must_be_work(&sim, error)).is_ok(),
            Err(_) => false,
        };
        worked.push(done);
    }
    Ended::Each(worked)
}

/// Works turns of jobs.
async fn turn(pipeline: Arc<Pipeline>, carried: Vec<Carried>, sim: Sim) -> Ended {
    let mut worked = Vec::with_capacity(carried.len());
    for one in &carried {
        let work: Result<JobWork, _> = serde_json::from_str(body(one));
        let done = match work {
            Ok(work) => pipeline.work_job(&work).await.inspect_err(|error| must_be_work(&sim, error)).is_ok(),
            Err(_) => false,
        };
        worked.push(done);
    }
    Ended::Each(worked)
}

async fn deliver(
    pipeline: Arc<Pipeline>,
    provider: Arc<SimProvider>,
    carried: Vec<Carried>,
    sim: Sim,
) -> Ended {
    let batch: Vec<DeliveryWork> =
        carried.iter().filter_map(|one| serde_json::from_str(body(one)).ok()).collect();
    let readable = batch.len() == carried.len();
    sim.core().watch.must(readable, || "a message of a channel's queue cannot be read".to_owned());
    let answers = pipeline.deliver(provider.as_ref(), &batch).await;
    Ended::Each(
        answers.into_iter().map(|one| one.inspect_err(|error| must_be_work(&sim, error)).is_ok()).collect(),
    )
}

async fn receive(pipeline: Arc<Pipeline>, tenant: TenantId, carried: Vec<Carried>, sim: Sim) -> Ended {
    let mut worked = Vec::with_capacity(carried.len());
    for one in &carried {
        let Carried::Receipt(receipt) = one else {
            worked.push(false);
            continue;
        };
        if matches!(receipt.kind, ReceiptKind::Failed | ReceiptKind::Bounced) {
            watch::taken_back(&mut sim.core(), &receipt.token);
        }
        let recorded = pipeline.record_receipt(&tenant, receipt).await;
        if let Ok(recorded) = &recorded {
            record(&sim, receipt, *recorded);
        }
        worked.push(recorded.is_ok());
    }
    Ended::Each(worked)
}

fn record(sim: &Sim, receipt: &Receipt, recorded: Recorded) {
    let mut core = sim.core();
    core.tell(|| format!("receipt {} of {}: {recorded:?}", receipt.kind.as_str(), receipt.token));
    core.watch.must(recorded != Recorded::Unmatched, || {
        format!("a receipt misses its delivery: {}", receipt.token)
    });
    if let Some(seen) = core.watch.deliveries.get_mut(&receipt.token.delivery) {
        seen.receipts.insert(receipt.kind);
    }
}
