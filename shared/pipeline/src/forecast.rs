//! Forecast: who will be told what over the coming days, and why not, with today's configuration or with a pack's. What
//! waits for its time is found in the due index, and what deadlines owe in their lanes; each is decided by the planner that
//! fan-out runs, at its own instant, by a pipeline that changes nothing ([`crate::imagined`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carillon_domain::parse::from_value;
use carillon_domain::reminder::{Owed, zone_of};
use carillon_domain::{
    Deadline, DeadlineState, Delivery, Event, FieldError, HeldReason, Lane, PackName, PolicyName, Problem,
    RecipientId, ReminderPolicy, State, TenantId, Timestamp,
};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::fan_out::Told;
use crate::imagined::SetClock;
use crate::plan::Planned;
use crate::store::due::DueWork;
use crate::store::keys::DUE_SHARDS;
use crate::store::keys::deadlines::DEADLINE_SHARDS;
use crate::work::WorkError;

/// How far ahead a forecast looks at most.
const MOST_DAYS: u32 = 92;

/// How much of the due index, of all tenants, and how many deadlines are looked at: some seconds' work.
const MOST_LOOKED_AT: usize = 5_000;

/// How many recipients of one message are shown.
const MOST_RECIPIENTS: usize = 1_000;

/// How much is read at a time.
const PAGE: usize = 100;

/// `POST /v1/system/forecast`.
#[derive(Debug, Deserialize)]
struct ForecastInput {
    days: Option<u32>,
    pack: Value,
}

/// A forecast under way.
struct Forecast<'a> {
    /// Decides, and changes nothing.
    pipeline: &'a Pipeline,
    then: &'a SetClock,
    tenant: &'a TenantId,
    now: Timestamp,
    to: Timestamp,
    /// The policies of a pack, which deadlines follow in place of theirs.
    policies: BTreeSet<PolicyName>,
    items: Vec<Value>,
    /// Whether there was more than is looked at.
    truncated: bool,
}

impl Pipeline {
    /// What is sent over the coming days, and what is not, if nothing changes.
    ///
    /// # Errors
    /// 422 for more days than are looked at, 503 when the store cannot be reached.
    pub async fn forecast(&self, tenant: &TenantId, days: Option<u32>) -> Result<Value, Problem> {
        let (now, to) = period(self.now(), days).map_err(|fault| vec![fault])?;
        let (imagined, then) = self.imagined();
        let (items, truncated) = foreseen(&imagined, &then, tenant, (now, to), BTreeSet::new()).await?;
        Ok(json!({"from": now, "to": to, "items": items, "truncated": truncated}))
    }

    /// The same as if a pack had been applied, and what of it is new and what is gone. Deadlines follow the pack's policies
    /// where it has theirs.
    ///
    /// # Errors
    /// As for the forecast and for applying the pack.
    pub async fn forecast_with(&self, tenant: &TenantId, body: Value) -> Result<Value, Problem> {
        let input: ForecastInput = from_value(body)?;
        let (now, to) = period(self.now(), input.days).map_err(|fault| vec![fault])?;
        let name = input.pack["name"].as_str().unwrap_or_default().parse::<PackName>();
        let name = name.map_err(|rule| vec![FieldError::new("/pack/name", rule.to_string())])?;
        let policies = input.pack["reminder_policies"].as_object().into_iter().flatten();
        let policies = policies.filter_map(|(name, _)| name.parse().ok()).collect();
        let (today, then) = self.imagined();
        let (before, _) = foreseen(&today, &then, tenant, (now, to), BTreeSet::new()).await?;
        let (imagined, then) = self.imagined();
        let applied = imagined.apply_pack(tenant, &name, input.pack, false).await;
        applied.map_err(|mut problem| {
            problem.errors = problem.errors.into_iter().map(|fault| fault.under("/pack")).collect();
            problem
        })?;
        let (items, truncated) = foreseen(&imagined, &then, tenant, (now, to), policies).await?;
        let only = |these: &[Value], others: &[Value]| -> Vec<Value> {
            let others: BTreeSet<String> = others.iter().map(ToString::to_string).collect();
            these.iter().filter(|item| !others.contains(&item.to_string())).cloned().collect()
        };
        let (added, removed) = (only(&items, &before), only(&before, &items));
        Ok(json!({
            "from": now, "to": to, "items": items, "truncated": truncated, "added": added, "removed": removed,
        }))
    }
}

fn period(now: Timestamp, days: Option<u32>) -> Result<(Timestamp, Timestamp), FieldError> {
    let days = days.unwrap_or(7);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(FieldError::new("/days", format!("must be 1 to {MOST_DAYS}")));
    }
    let ahead = SignedDuration::from_hours(24 * i64::from(days));
    Ok((now, now.checked_add(ahead).unwrap_or(Timestamp::MAX)))
}

async fn foreseen(
    pipeline: &Pipeline,
    then: &Arc<SetClock>,
    tenant: &TenantId,
    (now, to): (Timestamp, Timestamp),
    policies: BTreeSet<PolicyName>,
) -> Result<(Vec<Value>, bool), Problem> {
    let items = Vec::new();
    let mut forecast = Forecast { pipeline, then, tenant, now, to, policies, items, truncated: false };
    let done = async {
        forecast.what_waits().await?;
        forecast.what_is_owed().await
    };
    done.await.map_err(|error: WorkError| match error {
        WorkError::Store(error) => Problem::from(error),
        error => crate::ports::StoreError::Unavailable(error.to_string()).into(),
    })?;
    let Forecast { mut items, truncated, .. } = forecast;
    let place = |item: &Value| ["at", "recipient_id", "channel"].map(|name| item[name].to_string());
    items.sort_by_key(place);
    Ok((items, truncated))
}

impl Forecast<'_> {
    /// Deliveries that are planned and wait for their time.
    async fn what_waits(&mut self) -> Result<(), WorkError> {
        let (tenant, mut looked_at) = (self.tenant, 0);
        for shard in 0..DUE_SHARDS {
            let mut after = None;
            loop {
                let (page, next) = self.pipeline.due_work(shard, self.to, PAGE, after).await?;
                looked_at += page.len();
                for (_, work) in page.into_iter().filter(|(whose, _)| whose == tenant) {
                    if let DueWork::Delivery(id) = work
                        && let Some(delivery) = self.pipeline.delivery(self.tenant, &id).await?
                    {
                        self.waiting(delivery).await?;
                    }
                }
                after = next;
                if after.is_none() {
                    break;
                }
                if looked_at > MOST_LOOKED_AT {
                    self.truncated = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn waiting(&mut self, delivery: Delivery) -> Result<(), WorkError> {
        let (State::Held(reason), Some(at)) = (&delivery.state, delivery.held_until) else { return Ok(()) };
        let at = at.max(self.now);
        match reason {
            HeldReason::Scheduled | HeldReason::QuietHours => {
                let Some(event) = self.pipeline.event(self.tenant, &delivery.event_id).await? else {
                    return Ok(());
                };
                let only = [delivery.recipient_id.clone()];
                self.decided(&event, &only, at, |planned| planned.delivery.channel == delivery.channel).await
            }
            // What it comes to is known when its time has come.
            HeldReason::Digest | HeldReason::Throttled => {
                let told = Planned { delivery, send: None, later: None, cost: None };
                self.items.push(shown(&told, at, &told.delivery.event_type.to_string()));
                Ok(())
            }
            // These wait for something else than a time.
            _ => Ok(()),
        }
    }

    /// What deadlines owe and nobody has planned yet.
    async fn what_is_owed(&mut self) -> Result<(), WorkError> {
        let still = self.pipeline.disabled_lanes(self.tenant).await?;
        let mut looked_at = 0;
        let mut seen = |forecast: &mut Self, many: usize| {
            looked_at += many;
            forecast.truncated |= looked_at > MOST_LOOKED_AT;
            forecast.truncated
        };
        if self.policies.is_empty() {
            for lane in self.pipeline.lanes(self.tenant).await? {
                for shard in 0..DEADLINE_SHARDS {
                    let mut after = None;
                    loop {
                        let place = (&lane, shard);
                        let (page, next) =
                            self.pipeline.owing_deadlines(self.tenant, place, self.to, PAGE, after).await?;
                        let enough = seen(self, page.len());
                        self.owed_by(page, &still).await?;
                        after = next;
                        if after.is_none() || enough {
                            break;
                        }
                    }
                }
            }
            return Ok(());
        }
        // Under another policy something else is owed, at another time.
        let mut after = None;
        loop {
            let open = [DeadlineState::Open];
            let (page, next) = self
                .pipeline
                .list_deadlines(self.tenant, &open, (None, None), PAGE, after.as_deref())
                .await?;
            let enough = seen(self, page.len());
            self.owed_by(page, &still).await?;
            after = next;
            if after.is_none() || enough {
                return Ok(());
            }
        }
    }

    async fn owed_by(&mut self, deadlines: Vec<Deadline>, still: &BTreeSet<Lane>) -> Result<(), WorkError> {
        for deadline in deadlines.into_iter().filter(|deadline| deadline.state == DeadlineState::Open) {
            let policy = self.policy_of(&deadline).await?;
            let mut planned_to = deadline.planned_to;
            loop {
                let owed = policy.next_owed(&deadline.class, deadline.due_at, deadline.edited_at, planned_to);
                let Some(opens_at) = owed.first().map(|first| first.bounds.opens_at) else { break };
                if opens_at > self.to {
                    break;
                }
                planned_to = opens_at;
                for one in owed {
                    let lane = one.as_next(&deadline.class, deadline.due_at).lane;
                    self.reminder(&deadline, &one, still.contains(&lane)).await?;
                }
            }
        }
        Ok(())
    }

    async fn policy_of(&self, deadline: &Deadline) -> Result<Arc<ReminderPolicy>, WorkError> {
        if self.policies.contains(&deadline.policy)
            && let Some(head) = self.pipeline.reminder_policy(self.tenant, &deadline.policy).await?
        {
            return Ok(Arc::clone(&head.policy));
        }
        self.pipeline.policy_of(self.tenant, deadline).await
    }

    async fn reminder(
        &mut self,
        deadline: &Deadline,
        owed: &Owed,
        stands_still: bool,
    ) -> Result<(), WorkError> {
        self.then.set(self.now);
        let event = self.pipeline.event_of(self.tenant, deadline, owed).await?;
        let addressed = self.pipeline.addressed(self.tenant, &event, None).await?;
        let ids = self.pipeline.some_addressed(self.tenant, &addressed, MOST_RECIPIENTS).await?;
        self.truncated |= !addressed.large.is_empty() || ids.len() < addressed.recipients.len();
        let owner = self.pipeline.tenant(self.tenant).await?;
        let tenants = owner.as_ref().map_or("UTC", |owner| owner.time_zone.as_str());
        let people = self.pipeline.recipients(self.tenant, &ids).await?;
        let mut by_instant: BTreeMap<Timestamp, Vec<RecipientId>> = BTreeMap::new();
        for (id, (_, person)) in ids.into_iter().zip(&people) {
            let theirs = person.as_ref().and_then(|person| person.recipient.time_zone.as_deref());
            let at = owed.reminder.offset.instant(deadline.due_at, owed.week, &zone_of(theirs, tenants));
            let is_owed = |at: &Timestamp| *at > deadline.edited_at && *at > self.now && *at <= self.to;
            if let Some(at) = at.filter(is_owed) {
                by_instant.entry(at).or_default().push(id);
            }
        }
        for (at, ids) in by_instant {
            if stands_still {
                let kind = event.reminder_kind().unwrap_or_default();
                self.items.extend(ids.iter().map(|id| unplanned(&event, id, at, kind)));
            } else {
                self.decided(&event, &ids, at, |_| true).await?;
            }
        }
        Ok(())
    }

    /// Decides an event for some recipients as it will be decided at an instant.
    async fn decided(
        &mut self,
        event: &Event,
        ids: &[RecipientId],
        at: Timestamp,
        wanted: impl Fn(&Planned) -> bool,
    ) -> Result<(), WorkError> {
        self.then.set(at);
        let route = self.pipeline.route(self.tenant, &event.input.event_type).await?;
        let planning = self.pipeline.plan_page(self.tenant, event, route.as_deref(), ids, &Told::Ask).await?;
        let kind = event.reminder_kind().unwrap_or(event.input.event_type.as_str());
        let each = planning.planned.iter().filter(|planned| wanted(planned));
        // Quiet hours and windows put it off further.
        let until = |planned: &Planned| planned.delivery.held_until.unwrap_or(at);
        let items: Vec<Value> = each.map(|planned| shown(planned, until(planned), kind)).collect();
        self.items.extend(items);
        Ok(())
    }
}

fn shown(planned: &Planned, at: Timestamp, kind: &str) -> Value {
    let delivery = &planned.delivery;
    let waits_for_time = matches!(
        delivery.state,
        State::Held(
            HeldReason::Scheduled | HeldReason::QuietHours | HeldReason::Digest | HeldReason::Throttled
        )
    );
    let sends = planned.send.is_some() || waits_for_time;
    json!({
        "at": at,
        "recipient_id": delivery.recipient_id,
        "channel": delivery.channel,
        "kind": kind,
        "subject": delivery.subject,
        "template": delivery.template,
        "version": delivery.version,
        "decision": if sends { "send" } else { delivery.state.kind().as_str() },
        "reason": if sends { None } else { delivery.state.reason() },
        "estimated_cost": planned.cost,
    })
}

/// What nobody plans, because its schedule is disabled.
fn unplanned(event: &Event, id: &RecipientId, at: Timestamp, kind: &str) -> Value {
    json!({
        "at": at,
        "recipient_id": id,
        "channel": null,
        "kind": kind,
        "subject": event.input.subject,
        "template": event.input.template,
        "version": null,
        "decision": "unplanned",
        "reason": null,
        "estimated_cost": null,
    })
}
