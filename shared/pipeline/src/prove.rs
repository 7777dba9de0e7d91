//! The ledger: what was accepted in a period against what became of it, computed from the items alone. Reads events, plans
//! and deliveries; changes nothing. What does not add up is named.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::parse::from_value;
use carillon_domain::{EventId, FieldError, Forgotten, Principal, Problem, Progress, TenantId, Timestamp};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::ports::StoreError;
use crate::read::LogPage;

/// How many events, or deliveries of the log, a step looks at.
const PAGE: usize = 100;

/// How many faults are named; the others are counted.
const NAMED: usize = 200;

/// An event that is not planned so long after it was accepted is stuck, and so is a delivery that is due for so long.
const STUCK: SignedDuration = SignedDuration::from_mins(15);

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// From this instant on.
    pub from: Timestamp,
    /// Before this instant.
    pub to: Timestamp,
}

/// How far it is: first the events of the period with their deliveries, then the log of deliveries, for those whose event
/// is gone.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Proving {
    after: Option<String>,
    events_done: bool,
    accepted: u64,
    /// Accepted and not planned yet.
    unplanned: u64,
    planned: u64,
    states: BTreeMap<String, u64>,
    faults: Vec<Value>,
    more_faults: u64,
    /// Events that are gone and were named.
    gone: BTreeSet<EventId>,
}

impl Pipeline {
    /// Compares what was accepted in a period with what became of it.
    ///
    /// # Errors
    /// 422 for a period that is none; 503 when the store cannot be reached.
    pub async fn prove(&self, caller: &Principal, body: Value) -> Result<Worked, Problem> {
        let period: Period = from_value(body)?;
        if period.from >= period.to {
            return Err(FieldError::new("/to", "must be later than from").into());
        }
        self.work_or_start_job(&caller.tenant, JobInput::Prove(period)).await
    }

    /// Looks at the next page.
    pub(crate) async fn prove_step(
        &self,
        tenant: &TenantId,
        period: Period,
        mut so_far: Proving,
    ) -> Result<JobStep<Proving>, StepError> {
        let cursor = so_far.after.take();
        let page = LogPage { from: Some(period.from), to: Some(period.to), limit: PAGE, cursor };
        if so_far.events_done {
            so_far.after = self.prove_deliveries(tenant, &page, &mut so_far).await?;
            if so_far.after.is_none() {
                return Ok(JobStep::Done(so_far.report()));
            }
        } else {
            let (ids, next) = self.log_of_events(tenant, &page).await?;
            for id in &ids {
                self.prove_event(tenant, id, &mut so_far).await?;
            }
            so_far.events_done = next.is_none();
            so_far.after = next;
        }
        Ok(JobStep::More { progress: Progress { done: so_far.accepted, total: None }, checkpoint: so_far })
    }

    async fn prove_event(
        &self,
        tenant: &TenantId,
        id: &EventId,
        so_far: &mut Proving,
    ) -> Result<(), StoreError> {
        let Some(event) = self.event(tenant, id).await? else { return Ok(()) };
        if event.forgotten == Some(Forgotten::Retired) {
            // It is being removed, and some of its deliveries may have gone already.
            return Ok(());
        }
        so_far.accepted += 1;
        let (mut listed, mut found, mut after) = (0_u64, 0_u64, None);
        loop {
            let (ids, next) = self.delivery_ids_of(tenant, id, PAGE, after).await?;
            listed += ids.len() as u64;
            for delivery in self.deliveries(tenant, &ids).await? {
                found += 1;
                if let Some(since) = delivery.due_since().filter(|since| plus(*since, STUCK) <= self.now()) {
                    let (which, state) = (&delivery.id, delivery.state.kind());
                    so_far.fault(id, &format!("the delivery {which} is {state} and due since {since}"));
                }
                *so_far.states.entry(delivery.state.kind().as_str().to_owned()).or_default() += 1;
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if listed != found {
            so_far.fault(id, &format!("{} of its deliveries are listed and not there", listed - found));
        }
        if let Some(plan) = self.event_plan(tenant, id).await? {
            let planned = u64::from(plan.planned);
            so_far.planned += planned;
            if planned != found {
                so_far.fault(id, &format!("{planned} deliveries were planned and {found} are there"));
            }
        } else {
            so_far.unplanned += 1;
            so_far.planned += found;
            if plus(event.accepted_at, STUCK) <= self.now() {
                so_far.fault(id, &format!("accepted {} and never planned", event.accepted_at));
            }
        }
        Ok(())
    }

    /// A page of the log of deliveries: each must belong to an event.
    async fn prove_deliveries(
        &self,
        tenant: &TenantId,
        page: &LogPage,
        so_far: &mut Proving,
    ) -> Result<Option<String>, StepError> {
        let (deliveries, next) = self.log_of_deliveries(tenant, page).await?;
        let ids: BTreeSet<EventId> = deliveries.into_iter().map(|delivery| delivery.event_id).collect();
        let ids: Vec<EventId> = ids.into_iter().collect();
        for (id, event) in ids.iter().zip(self.events(tenant, &ids).await?) {
            // A read of many may be a moment old.
            let gone = event.is_none() && self.event(tenant, id).await?.is_none();
            if gone && so_far.gone.len() < NAMED && so_far.gone.insert(id.clone()) {
                so_far.fault(id, "there are deliveries of it, and the event is gone");
            }
        }
        Ok(next)
    }
}

impl Proving {
    fn fault(&mut self, event: &EventId, what: &str) {
        if self.faults.len() < NAMED {
            self.faults.push(json!({"event_id": event, "what": what}));
        } else {
            self.more_faults += 1;
        }
    }

    fn report(self) -> Value {
        let counted: u64 = self.states.values().sum();
        let balanced = self.faults.is_empty() && counted == self.planned;
        let mut report = json!({
            "accepted": self.accepted,
            "unplanned": self.unplanned,
            "planned": self.planned,
            "states": self.states,
            "balanced": balanced,
            "faults": self.faults,
        });
        if self.more_faults > 0 {
            report["more_faults"] = self.more_faults.into();
        }
        report
    }
}
