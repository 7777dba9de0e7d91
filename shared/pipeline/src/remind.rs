//! sweep-reminders: makes reminders of deadlines that fall due soon into events, whose deliveries wait as
//! `held(scheduled)` until sweep-due fires them to the minute. Reads the lanes of the attention index; puts events with
//! deterministic ids, then moves the deadline on by a conditional write, so that a run may come twice, late or never.
//! fan-out comes next. Who puts, moves or closes a deadline ([`crate::deadlines`]) plans and takes back here as well.

use std::collections::BTreeMap;

use carillon_domain::reminder::{Notice, Owed, zone_of};
use carillon_domain::ids::ReminderKind;
use carillon_domain::state::PlainReason;
use carillon_domain::{
    Category, ChannelChoice, Deadline, DeadlineState, Delivery, Event, EventId, EventInput, Lane, Lanes,
    Priority, ReminderOf, ReminderPolicy, State, StateKind, TemplateName, TenantId, Timestamp,
    canonical_json, sha256_hex,
};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::context::Pipeline;
use crate::deliver::ended;
use crate::ports::StoreError;
use crate::store::deadlines::SavedDeadline;
use crate::store::deliveries::Saved;
use crate::store::events::PutEvent;
use crate::store::keys::deadlines::DEADLINE_SHARDS;
use crate::work::WorkError;

/// How many deadlines of a shard are read at a time.
const PAGE: usize = 100;

/// How many deadlines are worked side by side.
const SIDE_BY_SIDE: usize = 20;

/// How many deadlines a run looks at: some minutes' work. The next goes on where it stopped.
const MOST_A_RUN: usize = 10_000;

/// How many instants of one deadline a run plans: what nobody has planned for years comes in several.
const MOST_INSTANTS: usize = 50;

/// Up to so many recipients are asked for their zone to find out whether anybody is owed something.
const FEW: usize = 100;

/// How many of a deadline's latest events are looked through for what is to be taken back.
const LATEST: usize = 100;

/// What a run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PlannedReminders {
    /// Deadlines that were looked at.
    pub deadlines: u32,
    /// Reminders that became events.
    pub reminders: u32,
    /// Deadlines that could not be worked; the next run tries them again.
    pub failed: u32,
    /// Whether there is more to do up to the horizon: another run goes on where this one stopped.
    pub unfinished: bool,
}

/// What planning one deadline came to.
#[derive(Debug, Default, Clone, Copy)]
struct PlannedOne {
    reminders: u32,
    unfinished: bool,
}

impl Pipeline {
    /// Plans every reminder of these lanes that falls due up to `horizon`: the next run of the schedule, and a margin.
    /// May run twice, late, not at all, or beside itself. When the answer says `unfinished`, run it again at once.
    ///
    /// # Errors
    /// When the index of deadlines cannot be read; what is done stays done.
    pub async fn plan_reminders(
        &self,
        tenant: &TenantId,
        lanes: &Lanes,
        horizon: Timestamp,
    ) -> Result<PlannedReminders, WorkError> {
        let lanes: Vec<Lane> = match lanes {
            Lanes::These(lanes) => lanes.iter().cloned().collect(),
            Lanes::All | Lanes::AllBut(_) => {
                let all = self.lanes(tenant).await?;
                all.into_iter().filter(|lane| lanes.takes(lane)).collect()
            }
        };
        let mut until = BTreeMap::new();
        for lane in &lanes {
            until.insert(lane.clone(), self.note_lane_planned(tenant, lane, horizon).await?);
        }
        let mut planned = PlannedReminders::default();
        for (lane, shard) in lanes.iter().flat_map(|lane| (0..DEADLINE_SHARDS).map(move |s| (lane, s))) {
            if !self.plan_shard(tenant, (lane, shard), horizon, &until, &mut planned).await? {
                planned.unfinished = true;
                break;
            }
        }
        tracing::info!(
            tenant.id = %tenant,
            deadlines.seen = planned.deadlines,
            deadlines.failed = planned.failed,
            reminders.planned = planned.reminders,
            reminders.unfinished = planned.unfinished,
            "reminders planned"
        );
        Ok(planned)
    }

    /// Plans what one shard of a lane owes. Answers whether it came to its end.
    async fn plan_shard(
        &self,
        tenant: &TenantId,
        place: (&Lane, u8),
        horizon: Timestamp,
        until: &BTreeMap<Lane, Timestamp>,
        planned: &mut PlannedReminders,
    ) -> Result<bool, WorkError> {
        let mut after = None;
        loop {
            let (owing, next) = self.owing_deadlines(tenant, place, horizon, PAGE, after).await?;
            for some in owing.chunks(SIDE_BY_SIDE) {
                let each =
                    some.iter().map(|deadline| self.plan_stored(tenant, deadline.clone(), until.clone()));
                for (deadline, done) in some.iter().zip(join_all(each).await) {
                    planned.deadlines += 1;
                    match done {
                        Ok(one) => {
                            planned.reminders += one.reminders;
                            planned.unfinished |= one.unfinished;
                        }
                        Err(error) => {
                            planned.failed += 1;
                            tracing::warn!(tenant.id = %tenant, deadline.id = %deadline.id, error = %error, "its reminders are left for the next run");
                        }
                    }
                }
            }
            after = next;
            if after.is_none() {
                return Ok(true);
            }
            if planned.deadlines as usize >= MOST_A_RUN {
                return Ok(false);
            }
        }
    }

    /// Plans a stored deadline as far as its lanes are planned: those of a run as the run says, the others as theirs did.
    async fn plan_stored(
        &self,
        tenant: &TenantId,
        mut deadline: Deadline,
        mut until: BTreeMap<Lane, Timestamp>,
    ) -> Result<PlannedOne, WorkError> {
        let mut planned = PlannedOne::default();
        let policy = self.policy_of(tenant, &deadline).await?;
        while deadline.state == DeadlineState::Open {
            let before = deadline.clone();
            let one = self.plan_owed(tenant, &policy, &mut deadline, &until).await?;
            planned.reminders += one.reminders;
            planned.unfinished |= one.unfinished;
            if deadline != before
                && let SavedDeadline::Overtaken(found) =
                    self.save_deadline(tenant, Some(&before), &mut deadline).await?
            {
                // What was read may have been old, or somebody was quicker: their form is looked at once more.
                let Some(found) = found.filter(|found| found.rev > before.rev) else { break };
                deadline = *found;
                continue;
            }
            // In a lane that somebody else plans: what they have planned already nobody looks at again.
            let Some(next) = deadline.next.clone().filter(|next| !until.contains_key(&next.lane)) else {
                break;
            };
            until.insert(next.lane.clone(), self.lane_planned_until(tenant, &next.lane).await?);
        }
        Ok(planned)
    }

    /// Plans a deadline that was just put, as far as its lanes are planned.
    pub(crate) async fn plan_at_once(&self, tenant: &TenantId, deadline: Deadline) -> Result<(), WorkError> {
        self.plan_stored(tenant, deadline, BTreeMap::new()).await.map(drop)
    }

    /// Makes events of what a deadline owes, up to an instant for each lane, and moves the deadline on; stores only the
    /// events.
    async fn plan_owed(
        &self,
        tenant: &TenantId,
        policy: &ReminderPolicy,
        deadline: &mut Deadline,
        until: &BTreeMap<Lane, Timestamp>,
    ) -> Result<PlannedOne, WorkError> {
        let mut planned = PlannedOne::default();
        for n in 0.. {
            let owed =
                policy.next_owed(&deadline.class, deadline.due_at, deadline.edited_at, deadline.planned_to);
            deadline.next = owed.first().map(|first| first.as_next(&deadline.class, deadline.due_at));
            let Some(next) = &deadline.next else { break };
            if until.get(&next.lane).is_none_or(|until| next.at > *until) {
                break;
            }
            if n == MOST_INSTANTS {
                planned.unfinished = true;
                break;
            }
            deadline.planned_to = next.at;
            for one in owed {
                planned.reminders += u32::from(self.remind(tenant, deadline, &one).await?);
            }
        }
        Ok(planned)
    }

    /// Plans what falls due up to now, of every lane; stores only the events. Before a deadline takes another form.
    pub(crate) async fn plan_up_to_now(
        &self,
        tenant: &TenantId,
        mut deadline: Deadline,
    ) -> Result<(), WorkError> {
        let policy = self.policy_of(tenant, &deadline).await?;
        let until = [deadline.class.clone(), Lane::overdue()].map(|lane| (lane, self.now())).into();
        while self.plan_owed(tenant, &policy, &mut deadline, &until).await?.unfinished {}
        Ok(())
    }

    /// The policy that a deadline follows.
    pub(crate) async fn policy_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
    ) -> Result<std::sync::Arc<ReminderPolicy>, WorkError> {
        let (name, version) = (&deadline.policy, deadline.policy_version);
        let policy = self.reminder_policy_version(tenant, name, version).await?;
        policy.ok_or_else(|| {
            WorkError::Unreadable(format!("there is no version {version} of the policy {name}"))
        })
    }

    /// Makes an event of a reminder, unless there is one. Answers whether it is new.
    async fn remind(&self, tenant: &TenantId, deadline: &Deadline, owed: &Owed) -> Result<bool, WorkError> {
        let reminder = &owed.reminder;
        let of = ReminderOf {
            deadline: deadline.id.clone(),
            edition: deadline.edition,
            due_at: deadline.due_at,
            kind: reminder.kind.clone(),
            offset: Some(reminder.offset),
            week: owed.week,
            owed_from: deadline.edited_at,
            expires_after_s: reminder.expires_after_s,
        };
        if owed.bounds.opens_at <= deadline.edited_at
            && !self.is_owed_to_anybody(tenant, deadline, &of).await?
        {
            return Ok(false);
        }
        let words = Words {
            template: &reminder.template,
            channels: &reminder.channels,
            category: reminder.category,
            priority: reminder.priority,
        };
        // Each recipient is reminded at an hour of theirs; as a whole it is due at the tenant's.
        let owner = self.tenant(tenant).await?;
        let zone = zone_of(None, owner.as_ref().map_or("UTC", |owner| owner.time_zone.as_str()));
        let at = reminder.offset.instant(deadline.due_at, owed.week, &zone);
        let more = json!({"deliver_at": at.filter(|at| *at > self.now())});
        let event_type = format!("reminder.{}", reminder.kind);
        self.tell_of(tenant, deadline, (&event_type, of), &words, more).await
    }

    /// Says at once what a policy says when a deadline is made or closed, unless it was said.
    pub(crate) async fn give_notice(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        event_type: &str,
        notice: &Notice,
        data: Map<String, Value>,
    ) -> Result<(), WorkError> {
        let kind: ReminderKind = event_type
            .parse()
            .map_err(|_| WorkError::Unreadable(format!("{event_type} is no kind of message")))?;
        let of = ReminderOf {
            deadline: deadline.id.clone(),
            edition: 0,
            due_at: deadline.created_at,
            kind,
            offset: None,
            week: 0,
            owed_from: deadline.created_at,
            expires_after_s: None,
        };
        let words = Words {
            template: &notice.template,
            channels: &notice.channels,
            category: notice.category,
            priority: notice.priority,
        };
        let more = json!({"data": data});
        self.tell_of(tenant, deadline, (event_type, of), &words, more).await.map(drop)
    }

    /// Puts and queues the event of a deadline's message. Its id says which message it is, so that no message is told by
    /// two.
    async fn tell_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        (event_type, of): (&str, ReminderOf),
        words: &Words<'_>,
        more: Value,
    ) -> Result<bool, WorkError> {
        let mut body = json!({
            "type": event_type,
            "source": "deadlines",
            "subject": deadline.id,
            "data": said_of(deadline),
            "recipients": {"ids": deadline.recipients.ids, "groups": deadline.recipients.groups, "replace": true},
            "template": words.template,
            "channels": words.channels,
            "category": words.category,
            "priority": words.priority,
        });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let body_sha256 = sha256_hex(&canonical_json(&body));
        let unreadable =
            |faults| WorkError::Unreadable(format!("the event of a reminder has faults: {faults:?}"));
        let input = EventInput::parse(body).map_err(unreadable)?;
        let event = Event {
            id: event_id(tenant, &of),
            accepted_at: self.now(),
            body_sha256,
            input,
            extensions: BTreeMap::new(),
            key_kind: deadline.key_kind,
            escalates: None,
            reminder: Some(of),
        };
        let new = match self.put_event(tenant, &event).await? {
            PutEvent::New => true,
            PutEvent::Existing(_) if self.event_plan(tenant, &event.id).await?.is_some() => return Ok(false),
            PutEvent::Existing(_) => false,
        };
        self.enqueue_event(tenant, &event.id, words.priority).await.map_err(unqueued)?;
        Ok(new)
    }

    /// Whether a reminder that is over in some zones is due to anybody after the call that it is owed from. Of groups it
    /// is not known.
    async fn is_owed_to_anybody(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        of: &ReminderOf,
    ) -> Result<bool, WorkError> {
        if !deadline.recipients.groups.is_empty() || deadline.recipients.ids.len() > FEW {
            return Ok(true);
        }
        let owner = self.tenant(tenant).await?;
        let tenants = owner.as_ref().map_or("UTC", |owner| owner.time_zone.as_str());
        let people = self.recipients(tenant, &deadline.recipients.ids).await?;
        let mut zones =
            people.iter().filter_map(|(_, person)| Some(person.as_ref()?.recipient.time_zone.as_deref()));
        Ok(zones.any(|theirs| of.due_in(&zone_of(theirs, tenants)).is_some()))
    }

    /// Whether a delivery reminds of something that is not owed any more: its deadline is closed, moved or changed.
    pub(crate) async fn is_not_owed(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<bool, StoreError> {
        let Some(mark) = &delivery.deadline else { return Ok(false) };
        let deadline = self.deadline(tenant, &mark.id).await?;
        Ok(deadline.is_none_or(|deadline| !deadline.owes(mark)))
    }

    /// Takes back the planned reminders of a deadline that it does not owe any more. What is planned meanwhile, or missing
    /// from the list for a moment, is kept back when it falls due.
    pub(crate) async fn take_back_reminders(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
    ) -> Result<(), WorkError> {
        for event in self.reminder_events(tenant, &deadline.id, LATEST).await? {
            self.take_back_of(tenant, deadline, &event).await?;
        }
        Ok(())
    }

    /// Takes back what an event of a deadline plans and is not owed.
    async fn take_back_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        event: &EventId,
    ) -> Result<(), WorkError> {
        let mut after = None;
        loop {
            let (page, next) = self.deliveries_of(tenant, event, PAGE, after).await?;
            for delivery in page {
                self.take_back_one(tenant, deadline, delivery).await?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes back what fan-out has planned for a deadline that was closed or changed meanwhile.
    pub(crate) async fn take_back_if_not_owed(
        &self,
        tenant: &TenantId,
        event: &Event,
    ) -> Result<(), WorkError> {
        let Some(of) = event.reminder.as_ref().filter(|of| of.offset.is_some()) else { return Ok(()) };
        match self.deadline(tenant, &of.deadline).await? {
            Some(deadline) if deadline.state == DeadlineState::Open && deadline.edition == of.edition => {
                Ok(())
            }
            Some(deadline) => self.take_back_of(tenant, &deadline, &event.id).await,
            None => Ok(()),
        }
    }

    async fn take_back_one(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        mut before: Delivery,
    ) -> Result<(), WorkError> {
        loop {
            let waits =
                matches!(before.state.kind(), StateKind::Pending | StateKind::Held | StateKind::Retrying);
            if !waits || before.deadline.as_ref().is_none_or(|mark| deadline.owes(mark)) {
                return Ok(());
            }
            let gone = ended(&before, State::Cancelled(PlainReason::DeadlineClosed.into()), self.now());
            match self.save_delivery(tenant, before, gone).await? {
                Saved::Done(_) => return Ok(()),
                Saved::Overtaken(found) => before = *found,
            }
        }
    }
}

/// How a message is said.
struct Words<'a> {
    template: &'a TemplateName,
    channels: &'a ChannelChoice,
    category: Category,
    priority: Priority,
}

/// What templates see of a deadline: its data, and when it starts and is due, whatever its data says.
pub(crate) fn said_of(deadline: &Deadline) -> Map<String, Value> {
    let mut data = deadline.data.clone();
    data.insert("starts_at".to_owned(), json!(deadline.starts_at));
    data.insert("due_at".to_owned(), json!(deadline.due_at));
    data
}

/// An event that is neither in its queue nor noted for the sweep.
fn unqueued(problem: carillon_domain::Problem) -> WorkError {
    StoreError::Unavailable(problem.detail).into()
}

fn event_id(tenant: &TenantId, of: &ReminderOf) -> EventId {
    let offset = of.offset.map(|offset| offset.to_string()).unwrap_or_default();
    let due_at = of.due_at.as_millisecond();
    // The id last, because it may have any character; everything before it has none of its own spaces but the offset,
    // whose length is said.
    let key = format!(
        "deadline {} {due_at} {} {} {offset} {} {}",
        of.edition,
        of.kind,
        offset.len(),
        of.week,
        of.deadline
    );
    EventId::from_idempotency_key(tenant, &key)
}
