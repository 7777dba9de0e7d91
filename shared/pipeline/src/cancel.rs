//! Takes back what has not left of an event. Whatever is planned of it later is taken back as well: fan-out comes here when
//! it finds the note.

use carillon_domain::state::PlainReason;
use carillon_domain::{Delivery, EventId, Principal, Problem, Progress, State, StateKind, TenantId};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Pipeline;
use crate::deliver::ended;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::ports::{StoreError, Write};
use crate::store::deliveries::Saved;
use crate::store::events::EventPlan;
use crate::store::keys;
use crate::work::WorkError;

/// How many deliveries a step looks at.
const PAGE: usize = 200;

/// How many of them are taken back side by side.
const SIDE_BY_SIDE: usize = 20;

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cancelling {
    after: Option<String>,
    cancelled: u64,
    too_late: u64,
}

impl Pipeline {
    /// Takes an event back. Repeating it counts what was taken back before.
    ///
    /// # Errors
    /// 404 without such an event; 503 when the store cannot be reached.
    pub async fn cancel(&self, caller: &Principal, id: &EventId) -> Result<Worked, Problem> {
        let tenant = &caller.tenant;
        if self.event(tenant, id).await?.is_none() {
            return Err(Problem::not_found("event", id));
        }
        // First the note, then what is there: what fan-out writes after this step it takes back itself.
        let item = [("at".to_owned(), json!(self.now())), ("by".to_owned(), json!(caller.key_id))];
        let key = keys::event_cancelled(tenant, id);
        self.table.write(Write::Put { key, item: item.into_iter().collect(), only_if: Vec::new() }).await?;
        self.work_or_start_job(tenant, JobInput::Cancel { event_id: id.clone() }).await
    }

    /// Takes back what fan-out has planned of an event that was taken back meanwhile.
    pub(crate) async fn cancel_if_asked(&self, tenant: &TenantId, id: &EventId) -> Result<(), WorkError> {
        if self.table.get(&keys::event_cancelled(tenant, id)).await?.is_none() {
            return Ok(());
        }
        let mut so_far = Cancelling::default();
        loop {
            match self.cancel_step(tenant, id, so_far).await {
                Ok(JobStep::Done(_)) => return Ok(()),
                Ok(JobStep::More { checkpoint, .. }) => so_far = checkpoint,
                Err(StepError::Again(error)) => return Err(error),
                Err(StepError::Never(problem)) => return Err(WorkError::Unreadable(problem.detail)),
            }
        }
    }

    /// Completes the fan-out of an event that was taken back before: what an earlier run planned is all there is.
    pub(crate) async fn plan_nothing_more(&self, tenant: &TenantId, id: &EventId) -> Result<(), WorkError> {
        let (mut planned, mut after) = (0, None);
        loop {
            let (ids, next) = self.delivery_ids_of(tenant, id, PAGE, after).await?;
            planned += u32::try_from(ids.len()).unwrap_or(u32::MAX);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let plan = EventPlan { planned_at: self.now(), planned, unknown: Vec::new() };
        self.put_event_plan(tenant, id, &plan).await?;
        self.cancel_if_asked(tenant, id).await
    }

    /// Takes back the next page of an event's deliveries. Done twice, it counts those of the first time.
    pub(crate) async fn cancel_step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        mut so_far: Cancelling,
    ) -> Result<JobStep<Cancelling>, StepError> {
        let (page, next) = self.deliveries_of(tenant, event, PAGE, so_far.after.take()).await?;
        for some in page.chunks(SIDE_BY_SIDE) {
            for cancelled in join_all(some.iter().map(|d| self.cancel_one(tenant, d.clone()))).await {
                match cancelled? {
                    Some(true) => so_far.cancelled += 1,
                    Some(false) => so_far.too_late += 1,
                    None => {}
                }
            }
        }
        so_far.after = next;
        if so_far.after.is_none() {
            return Ok(JobStep::Done(json!({"cancelled": so_far.cancelled, "too_late": so_far.too_late})));
        }
        let done = so_far.cancelled + so_far.too_late;
        Ok(JobStep::More { progress: Progress { done, total: None }, checkpoint: so_far })
    }

    /// Takes one back. Answers whether it is; false when it has left or may have; none when it was never to be sent.
    async fn cancel_one(&self, tenant: &TenantId, mut before: Delivery) -> Result<Option<bool>, StoreError> {
        let taken_back = State::Cancelled(PlainReason::CancelledBy.into());
        loop {
            match before.state.kind() {
                StateKind::Cancelled => return Ok(Some(before.state == taken_back)),
                StateKind::Skipped => return Ok(None),
                StateKind::Pending | StateKind::Held | StateKind::Retrying => {}
                _ => return Ok(Some(false)),
            }
            let mut after = ended(&before, taken_back.clone(), self.now());
            after.fallback_at = None;
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(_) => return Ok(Some(true)),
                Saved::Overtaken(found) => before = *found,
            }
        }
    }
}
