//! Takes back what has not left of an event. Whatever is planned of it later is taken back as well: fan-out comes here when
//! it finds the note.

use carillon_domain::escalation::step_event_id;
use carillon_domain::state::PlainReason;
use carillon_domain::{Delivery, EventId, Principal, Problem, Progress, State, StateKind, TenantId};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Pipeline;
use crate::deliver::ended;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::ports::StoreError;
use crate::store::deliveries::Saved;
use crate::store::events::EventPlan;
use crate::work::WorkError;

/// How many deliveries a step looks at.
const PAGE: usize = 200;

/// How many of them are taken back side by side.
const SIDE_BY_SIDE: usize = 20;

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cancelling {
    after: Option<String>,
    /// Which step of the event's escalation it is at; 0 for the event itself.
    #[serde(default)]
    step: u32,
    cancelled: u64,
    too_late: u64,
}

impl Cancelling {
    /// Begins with a step of the event's escalation.
    pub(crate) fn of_step(step: u32) -> Self {
        Self { step, ..Self::default() }
    }

    /// How many deliveries are taken back.
    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        Progress { done: self.cancelled + self.too_late, total: None }
    }
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
        self.put_taken_back(tenant, id, &caller.key_id, PlainReason::CancelledBy).await?;
        self.stop_steps(tenant, id, PlainReason::CancelledBy).await?;
        self.work_or_start_job(tenant, JobInput::Cancel { event_id: id.clone() }).await
    }

    /// Takes back what fan-out has planned of an event that was taken back meanwhile.
    pub(crate) async fn cancel_if_asked(&self, tenant: &TenantId, id: &EventId) -> Result<(), WorkError> {
        let Some(reason) = self.taken_back(tenant, id).await? else { return Ok(()) };
        let mut so_far = Cancelling::default();
        loop {
            match self.take_back_step(tenant, id, reason, so_far).await {
                Ok((_, true)) => return Ok(()),
                Ok((next, false)) => so_far = next,
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

    /// Takes back the next page of an event's deliveries, and of the steps of its escalation. Done twice, it counts those
    /// of the first time.
    pub(crate) async fn cancel_step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        so_far: Cancelling,
    ) -> Result<JobStep<Cancelling>, StepError> {
        let (so_far, done) = self.take_back_step(tenant, event, PlainReason::CancelledBy, so_far).await?;
        if done {
            return Ok(JobStep::Done(json!({"cancelled": so_far.cancelled, "too_late": so_far.too_late})));
        }
        Ok(JobStep::More { progress: so_far.progress(), checkpoint: so_far })
    }

    /// Takes back the next page. Answers how far it is, and whether that was the last.
    pub(crate) async fn take_back_step(
        &self,
        tenant: &TenantId,
        event: &EventId,
        reason: PlainReason,
        mut so_far: Cancelling,
    ) -> Result<(Cancelling, bool), StepError> {
        let of = match so_far.step {
            0 => event.clone(),
            step => step_event_id(tenant, event, step),
        };
        let (page, next) = self.deliveries_of(tenant, &of, PAGE, so_far.after.take()).await?;
        for some in page.chunks(SIDE_BY_SIDE) {
            let each = some.iter().map(|d| self.cancel_one(tenant, d.clone(), reason));
            for cancelled in join_all(each).await {
                match cancelled? {
                    Some(true) => so_far.cancelled += 1,
                    Some(false) => so_far.too_late += 1,
                    None => {}
                }
            }
        }
        so_far.after = next;
        if so_far.after.is_some() {
            return Ok((so_far, false));
        }
        let next = self.next_step_told(tenant, event, so_far.step).await?;
        so_far.step = next.unwrap_or(so_far.step);
        Ok((so_far, next.is_none()))
    }

    /// Takes one back. Answers whether it is; false when it has left or may have; none when it was never to be sent.
    async fn cancel_one(
        &self,
        tenant: &TenantId,
        mut before: Delivery,
        reason: PlainReason,
    ) -> Result<Option<bool>, StoreError> {
        let taken_back = State::Cancelled(reason.into());
        loop {
            match before.state.kind() {
                // Whoever takes back one event of many does not take back the others.
                StateKind::Pending | StateKind::Held | StateKind::Retrying if before.tells_of_others() => {
                    return Ok(Some(false));
                }
                StateKind::Cancelled => return Ok(Some(before.state == taken_back)),
                // Another delivery tells of it.
                StateKind::Skipped if before.carried_by.is_some() => return Ok(Some(false)),
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
