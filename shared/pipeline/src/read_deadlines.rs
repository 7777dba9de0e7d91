//! What is read of deadlines: how one stands, with what it has said and will say, and lists of them by state and by when
//! they are due.

use std::collections::BTreeMap;

use carillon_domain::reminder::zone_of;
use carillon_domain::{Deadline, DeadlineId, DeadlineState, Event, FieldError, Problem, TenantId, Timestamp};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::work::WorkError;

/// How many of its messages a deadline shows, the latest.
const SHOWN: usize = 50;

/// How many of the reminders that are still to come.
const TO_COME: usize = 10;

/// How far ahead they are shown.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_hours(400 * 24);

/// Which deadlines are wanted.
#[derive(Debug, Default, Clone)]
pub struct DeadlineFilter {
    /// `open`, `overdue` or `closed`; all when absent.
    pub state: Option<String>,
    /// Due from this instant on.
    pub due_from: Option<Timestamp>,
    /// Due before this instant.
    pub due_to: Option<Timestamp>,
}

impl Pipeline {
    /// A deadline with its planned and past messages, and the reminders that are to come.
    pub async fn deadline_view(
        &self,
        tenant: &TenantId,
        id: &DeadlineId,
    ) -> Result<Option<Value>, WorkError> {
        let Some(deadline) = self.deadline(tenant, id).await? else { return Ok(None) };
        let mut view = self.view_of_deadline(&deadline);
        let mut told = Vec::new();
        let ids = self.reminder_events(tenant, id, SHOWN).await?;
        for event in self.events(tenant, &ids).await?.into_iter().flatten() {
            told.extend(self.view_of_reminder(tenant, &event).await?);
        }
        if deadline.state == DeadlineState::Open {
            told.extend(self.reminders_to_come(tenant, &deadline).await?);
        }
        told.sort_by_key(|one| one["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok()));
        view["reminders"] = json!(told);
        Ok(Some(view))
    }

    /// How a deadline stands.
    #[must_use]
    pub fn view_of_deadline(&self, deadline: &Deadline) -> Value {
        let state = match deadline.state {
            DeadlineState::Open if deadline.due_at <= self.now() => "overdue",
            state => state.as_str(),
        };
        json!({
            "id": deadline.id,
            "state": state,
            "policy": deadline.policy,
            "recipients": {"ids": deadline.recipients.ids, "groups": deadline.recipients.groups},
            "starts_at": deadline.starts_at,
            "due_at": deadline.due_at,
            "class": deadline.class,
            "data": deadline.data,
            "created_at": deadline.created_at,
            "closed_at": deadline.closed_at,
        })
    }

    /// What became of one message; none of a form of the deadline that nobody was told of.
    async fn view_of_reminder(&self, tenant: &TenantId, event: &Event) -> Result<Option<Value>, WorkError> {
        let Some(of) = &event.reminder else { return Ok(None) };
        let (mut states, mut at) = (BTreeMap::<&str, u32>::new(), None::<Timestamp>);
        let count = |delivery: carillon_domain::Delivery| {
            *states.entry(delivery.state.kind().as_str()).or_default() += 1;
            at = delivery.deadline.map(|mark| mark.at).into_iter().chain(at).min();
        };
        self.each_delivery_of(tenant, &event.id, count).await?;
        let at = at.or(event.input.deliver_at).unwrap_or(event.accepted_at);
        Ok(Some(json!({
            "kind": of.kind,
            "offset": of.offset,
            "occurrence": of.week,
            "due_at": of.offset.map(|_| of.due_at),
            "at": at,
            "event_id": event.id,
            "states": states,
        })))
    }

    /// The reminders that are not planned yet, at the hours of the first recipient.
    async fn reminders_to_come(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
    ) -> Result<Vec<Value>, WorkError> {
        let policy = self.policy_of(tenant, deadline).await?;
        let zone = self.zone_of_first(tenant, deadline).await?;
        let until = self.now().checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let to_come = policy.instants(deadline, &zone, self.now(), until, TO_COME);
        let unplanned = to_come.into_iter().filter(|(_, owed)| owed.bounds.opens_at > deadline.planned_to);
        let shown = unplanned.map(|(at, owed)| {
            json!({
                "kind": owed.reminder.kind,
                "offset": owed.reminder.offset,
                "occurrence": owed.week,
                "due_at": deadline.due_at,
                "at": at,
                "event_id": null,
                "states": {},
            })
        });
        Ok(shown.collect())
    }

    async fn zone_of_first(&self, tenant: &TenantId, deadline: &Deadline) -> Result<TimeZone, WorkError> {
        let owner = self.tenant(tenant).await?;
        let first = match deadline.recipients.ids.first() {
            Some(id) => self.recipient(tenant, id).await?,
            None => None,
        };
        let theirs = first.as_ref().and_then(|person| person.time_zone.as_deref());
        Ok(zone_of(theirs, owner.as_ref().map_or("UTC", |owner| owner.time_zone.as_str())))
    }

    /// A page of a tenant's deadlines, by when they are due, and where the next begins.
    ///
    /// # Errors
    /// 422 for a state that there is not.
    pub async fn deadlines_view(
        &self,
        tenant: &TenantId,
        filter: &DeadlineFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), Problem> {
        use DeadlineState::{Closed, Open};
        let (mut from, mut to) = (filter.due_from, filter.due_to);
        let states: &[DeadlineState] = match filter.state.as_deref() {
            None => &[Open, Closed],
            Some("open") => {
                from = from.max(Some(next_instant(self.now())));
                &[Open]
            }
            Some("overdue") => {
                to = Some(to.map_or(next_instant(self.now()), |to| to.min(next_instant(self.now()))));
                &[Open]
            }
            Some("closed") => &[Closed],
            Some(_) => return Err(FieldError::new("/state", "must be open, overdue or closed").into()),
        };
        let (found, next) = self.list_deadlines(tenant, states, (from, to), limit, cursor).await?;
        Ok((found.iter().map(|deadline| self.view_of_deadline(deadline)).collect(), next))
    }
}

/// The next millisecond: lists begin at an instant and end before one.
fn next_instant(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond() + 1).unwrap_or(at)
}
