//! Escalation: fan-out notes the steps of an event, sweep-due takes each when it is due, and whoever acknowledges or
//! cancels the event stops what is left. A step becomes an event of its own, whose id is made of event and step: it is
//! accepted once, whatever is repeated, and told, explained and proved like every other. fan-out comes next.

use carillon_domain::escalation::{Escalates, MOST_STEPS, step_event_id};
use carillon_domain::state::PlainReason;
use carillon_domain::{Event, EventId, Route, Targets, TenantId, Timestamp};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::due::Swept;
use crate::ports::{Queue, StoreError};
use crate::store::escalations::Step;
use crate::work::{EventWork, WorkError};

impl Pipeline {
    /// Notes the steps of an event's escalation, if its route has one. Repeating it changes nothing.
    pub(crate) async fn put_steps(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
    ) -> Result<(), StoreError> {
        // A direct send has nothing from a route, and a step is no beginning.
        let begins = event.escalates.is_none() && event.direct().is_none();
        let Some(route) = route.filter(|route| begins && !route.escalation.is_empty()) else { return Ok(()) };
        for (number, step) in (1..).zip(&route.escalation) {
            let at = plus(event.first_due_at(), SignedDuration::from_secs(step.after_s.into()));
            let step =
                Step { at, audience: step.audience.clone(), taken_at: None, told: false, stopped_at: None };
            self.put_step(tenant, &event.id, number, &step).await?;
        }
        // Whoever acknowledged or cancelled before they were there has not seen them.
        if let Some(reason) = self.over_because(tenant, &event.id).await? {
            self.stop_steps(tenant, &event.id, reason).await?;
        }
        Ok(())
    }

    /// Takes a step that is due. Done again, late or by two at a time, it makes the same event.
    pub(crate) async fn sweep_step(
        &self,
        tenant: &TenantId,
        id: &EventId,
        number: u32,
    ) -> Result<Swept, WorkError> {
        let due = |step: &Step| step.at <= self.now() && !step.told && step.stopped_at.is_none();
        // The index may lag behind.
        if !self.step(tenant, id, number).await?.is_some_and(|step| due(&step)) {
            return Ok(Swept::default());
        }
        if let Some(reason) = self.over_because(tenant, id).await? {
            // Whoever noted it has not come so far as to stop the steps.
            self.stop_steps(tenant, id, reason).await?;
        }
        let taken = self.take_step(tenant, id, number).await?;
        let Some(Step { taken_at: Some(taken_at), audience, .. }) = taken else {
            return Ok(Swept { ended: 1, ..Swept::default() });
        };
        let Some(event) = self.event(tenant, id).await? else {
            // Whoever removed the event has nothing more to tell.
            self.put_step_told(tenant, id, number).await?;
            return Ok(Swept { ended: 1, ..Swept::default() });
        };
        let escalates = Escalates { event_id: id.clone(), step: number, audience };
        let told = step_event(tenant, event, escalates, taken_at);
        let priority = match self.route(tenant, &told.input.event_type).await? {
            Some(route) => told.input.priority.unwrap_or(route.priority),
            None => told.input.priority.unwrap_or_default(),
        };
        self.put_event(tenant, &told).await?;
        let work = EventWork { tenant: tenant.clone(), event_id: told.id.clone(), part: None };
        self.queues.send(Queue::Events, vec![work.message(priority)]).await?;
        self.put_step_told(tenant, id, number).await?;
        tracing::info!(tenant.id = %tenant, event.id = %id, step = number, escalation.event.id = %told.id, "escalated");
        Ok(Swept { queued: 1, ..Swept::default() })
    }

    /// Stops the steps of an event that nobody has taken, and takes back the events of the others. What has been planned
    /// of those is left to [`Pipeline::take_back_step`]. Answers how many steps are stopped, now or before.
    pub(crate) async fn stop_steps(
        &self,
        tenant: &TenantId,
        id: &EventId,
        reason: PlainReason,
    ) -> Result<u64, StoreError> {
        let mut stopped = 0;
        for number in 1..=MOST_STEPS {
            if self.step(tenant, id, number).await?.is_none() {
                break;
            }
            match self.stop_step(tenant, id, number).await? {
                Some(step) if step.taken_at.is_some() => {
                    let told = step_event_id(tenant, id, number);
                    self.put_taken_back(tenant, &told, "carillon", reason).await?;
                }
                Some(_) => stopped += 1,
                None => {}
            }
        }
        Ok(stopped)
    }

    /// The first event of a step after this one that has been told; none when there is no further one.
    pub(crate) async fn next_step_told(
        &self,
        tenant: &TenantId,
        id: &EventId,
        after: u32,
    ) -> Result<Option<u32>, StoreError> {
        for number in after + 1..=MOST_STEPS {
            match self.step(tenant, id, number).await? {
                Some(step) if step.taken_at.is_some() => return Ok(Some(number)),
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// Why an event escalates no further; none while it may.
    async fn over_because(&self, tenant: &TenantId, id: &EventId) -> Result<Option<PlainReason>, StoreError> {
        if self.acknowledgement(tenant, id).await?.is_some() {
            return Ok(Some(PlainReason::Acknowledged));
        }
        self.taken_back(tenant, id).await
    }

    /// The steps of an event and its acknowledgement, as decisions: when, what, and why.
    pub(crate) async fn explained_steps(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Vec<(Timestamp, Value)>, StoreError> {
        let mut decisions = Vec::new();
        for number in 1..=MOST_STEPS {
            let Some(step) = self.step(tenant, id, number).await? else { break };
            let told = step_event_id(tenant, id, number);
            let (at, outcome, reason) = match (step.taken_at, step.stopped_at) {
                (Some(at), _) => (at, "told", format!("step {number}: event {told}")),
                (None, Some(at)) => (at, "stopped", format!("step {number}")),
                (None, None) => {
                    (step.at, "waits", format!("step {number}, unless it is acknowledged before"))
                }
            };
            decisions.push((at, json!({"step": "escalation", "outcome": outcome, "reason": reason})));
        }
        if let Some(note) = self.acknowledgement(tenant, id).await? {
            let mut decision =
                json!({"step": "acknowledgement", "outcome": "acknowledged", "reason": note.by.as_str()});
            if let Some(recipient) = &note.recipient_id {
                decision["recipient_id"] = json!(recipient);
            }
            decisions.push((note.at, decision));
        }
        Ok(decisions)
    }
}

/// What a step tells: the first event again, to other people.
fn step_event(tenant: &TenantId, first: Event, escalates: Escalates, taken_at: Timestamp) -> Event {
    let id = step_event_id(tenant, &escalates.event_id, escalates.step);
    let mut input = first.input;
    let extensions = input.extensions.clone();
    input.recipients = Targets::default();
    input.deliver_at = None;
    Event { id, accepted_at: taken_at, input, extensions, escalates: Some(escalates), ..first }
}
