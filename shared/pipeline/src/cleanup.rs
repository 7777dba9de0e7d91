//! sweep-cleanup: removes what is older than its tenant keeps it. Reads the log of events day by day; takes out what an event
//! said, removes its deliveries with their feed items, and at last the event itself; then deadlines that were closed as long
//! ago. Counters stay: what was sent was sent. A person's own items are [`crate::erase`]'s.
//!
//! An event is kept as long as the longest of its deliveries' categories, and until all of them are settled, so that the
//! ledger finds an event with all of its deliveries or not at all.

use carillon_domain::parse::from_value;
use carillon_domain::retention::days_to_look_at;
use carillon_domain::{
    DeadlineState, Delivery, Event, EventId, Forgotten, Principal, Problem, Progress, Sweep, TenantId,
    Timestamp,
};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::ports::StoreError;
use crate::store::keys::{self, Logged};
use crate::work::WorkError;

/// How many events a step looks at.
const EVENTS: usize = 50;

/// How many days a step looks at: most are empty.
const DAYS: usize = 100;

/// How many deliveries a step removes before it stops, about.
const DELIVERIES: usize = 1_000;

/// How many deliveries are removed side by side.
const SIDE_BY_SIDE: usize = 20;

/// How long one run of the sweep works; the next goes on where it stopped.
const RUN: SignedDuration = SignedDuration::from_secs(200);

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Events.
    pub events: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Items of feeds.
    pub inbox: u64,
    /// People whom an event had brought.
    pub one_off_recipients: u64,
    /// Closed deadlines.
    pub deadlines: u64,
}

impl Removed {
    fn add(&mut self, more: Self) {
        self.events += more.events;
        self.deliveries += more.deliveries;
        self.inbox += more.inbox;
        self.one_off_recipients += more.one_off_recipients;
        self.deadlines += more.deadlines;
    }
}

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clearing {
    /// The day it began on: a run that goes on past midnight looks at the same days.
    today: Option<i64>,
    /// The day it is at, and where in it.
    day: Option<i64>,
    below: Option<String>,
    /// The first day with something that is old enough and not settled yet.
    open_since: Option<i64>,
    removed: Removed,
}

#[derive(Deserialize)]
struct CleanupInput {
    #[serde(default)]
    dry_run: bool,
}

impl Pipeline {
    /// Removes what is too old, or counts it.
    ///
    /// # Errors
    /// 422 for a body that is none; 503 when the store cannot be reached.
    pub async fn cleanup(&self, caller: &Principal, body: Value) -> Result<Worked, Problem> {
        let CleanupInput { dry_run } = from_value(body)?;
        self.work_or_start_job(&caller.tenant, JobInput::Cleanup { dry_run }).await
    }

    /// Removes what is too old of a tenant, or of every one.
    ///
    /// # Errors
    /// When the store cannot be reached for one of the tenants; the others are done.
    pub async fn sweep_cleanup(&self, only: Option<&TenantId>) -> Result<Removed, WorkError> {
        let (began, mut sum, mut failed, mut after) = (self.now(), Removed::default(), None, None);
        if let Some(tenant) = only {
            return self.sweep_cleanup_of(tenant, began).await;
        }
        loop {
            let (tenants, next) = self.tenants(after).await?;
            for tenant in &tenants {
                match self.sweep_cleanup_of(tenant, began).await {
                    Ok(removed) => sum.add(removed),
                    Err(error) => {
                        tracing::warn!(tenant.id = %tenant, error = %error, "cleaning is left for the next run");
                        failed = Some(error);
                    }
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.note_sweep(Sweep::Cleanup, began).await?;
        Ok(sum)
    }

    async fn sweep_cleanup_of(&self, tenant: &TenantId, began: Timestamp) -> Result<Removed, WorkError> {
        let mut so_far = Clearing::default();
        loop {
            match self.clear(tenant, false, &mut so_far).await {
                Ok(true) => return Ok(so_far.removed),
                Ok(false) if self.now().duration_since(began) < RUN => {}
                Ok(false) => {
                    tracing::warn!(tenant.id = %tenant, "more is too old than one run removes; the next goes on");
                    return Ok(so_far.removed);
                }
                Err(StepError::Again(error)) => return Err(error),
                Err(StepError::Never(problem)) => return Err(WorkError::Unreadable(problem.detail)),
            }
        }
    }

    /// A step of the job.
    pub(crate) async fn cleanup_step(
        &self,
        tenant: &TenantId,
        dry_run: bool,
        mut so_far: Clearing,
    ) -> Result<JobStep<Clearing>, StepError> {
        if self.clear(tenant, dry_run, &mut so_far).await? {
            let mut report = json!(so_far.removed);
            report["dry_run"] = dry_run.into();
            return Ok(JobStep::Done(report));
        }
        let done = so_far.removed.events;
        Ok(JobStep::More { progress: Progress { done, total: None }, checkpoint: so_far })
    }

    /// Looks at some events of the day it is at. Answers whether that was all.
    async fn clear(
        &self,
        tenant: &TenantId,
        dry_run: bool,
        so_far: &mut Clearing,
    ) -> Result<bool, StepError> {
        let today = *so_far.today.get_or_insert_with(|| keys::day_of(self.now()));
        let (settings, mut marks) = (self.settings(tenant).await?, self.cleared(tenant).await?);
        let kept = settings.retention_days.all_days();
        // A number of days that is new begins where the furthest behind is; the first of all at the oldest there can be.
        let behind = marks.values().min().copied();
        let first = |days: i64| marks.get(&days).copied().or(behind).unwrap_or(today - days - 1);
        let lanes: Vec<(i64, i64)> = kept.iter().map(|days| (*days, first(*days))).collect();
        let days = days_to_look_at(today, &lanes);
        let (before, mut looked) = (so_far.removed.deliveries, 0);
        let mut at = so_far.day.or_else(|| days.first().copied());
        while let Some(day) = at {
            let over = self.clear_day(tenant, day, dry_run, so_far).await?;
            at = if over { days.iter().copied().find(|later| *later > day) } else { Some(day) };
            so_far.day = at;
            looked += 1;
            let much = so_far.removed.deliveries - before >= DELIVERIES as u64 || looked >= DAYS;
            if at.is_some() && (!over || much) {
                return Ok(false);
            }
        }
        so_far.removed.deadlines +=
            self.clear_deadlines(tenant, settings.retention_days.days(None), dry_run).await?;
        if !dry_run {
            let open = so_far.open_since.unwrap_or(i64::MAX);
            marks =
                lanes.into_iter().map(|(days, first)| (days, first.max(today - days).min(open))).collect();
            self.put_cleared(tenant, marks).await?;
        }
        Ok(true)
    }

    /// Looks at some events of a day. Answers whether those were the last.
    async fn clear_day(
        &self,
        tenant: &TenantId,
        day: i64,
        dry_run: bool,
        so_far: &mut Clearing,
    ) -> Result<bool, StepError> {
        let listed = self.log_day(tenant, Logged::Events, day, EVENTS, so_far.below.as_deref()).await?;
        let age = so_far.today.unwrap_or(day) - day - 1;
        let mut room = DELIVERIES;
        for sort in &listed {
            if room == 0 {
                return Ok(false);
            }
            let id = sort.split_once('#').and_then(|(_, id)| EventId::try_from(id.to_owned()).ok());
            let event = match id {
                Some(id) => self.event(tenant, &id).await?,
                None => None,
            };
            if let Some(event) = event {
                match self.old_enough(tenant, &event, age).await? {
                    // When there is no room for all of it, the next step finds it in the log once more.
                    Old::Yes
                        if !self
                            .clear_event(tenant, event, dry_run, &mut room, &mut so_far.removed)
                            .await? =>
                    {
                        return Ok(false);
                    }
                    Old::Yes | Old::NotYet => {}
                    Old::Open => {
                        so_far.open_since = Some(so_far.open_since.map_or(day, |since| since.min(day)));
                    }
                }
            }
            so_far.below = Some(sort.clone());
        }
        let over = listed.len() < EVENTS;
        if over {
            so_far.below = None;
        }
        Ok(over)
    }

    /// Whether an event is older than it is kept, and nothing of it is under way.
    async fn old_enough(&self, tenant: &TenantId, event: &Event, age: i64) -> Result<Old, StoreError> {
        if event.forgotten == Some(Forgotten::Retired) {
            // A run before this one was cut short.
            return Ok(Old::Yes);
        }
        let kept = &self.settings(tenant).await?.retention_days;
        let (mut days, mut open) = (None::<i64>, self.event_plan(tenant, &event.id).await?.is_none());
        let look = |delivery: Delivery| {
            let own = kept.days(Some(delivery.category));
            days = Some(days.map_or(own, |longest| longest.max(own)));
            open |= !delivery.is_settled();
        };
        self.each_delivery_of(tenant, &event.id, look).await?;
        Ok(match days.unwrap_or_else(|| kept.days(None)) {
            days if days > age => Old::NotYet,
            _ if open => Old::Open,
            _ => Old::Yes,
        })
    }

    /// Removes an event, or counts what would go. Answers whether all of it is gone; false when there is more of it than
    /// there is room in this step.
    async fn clear_event(
        &self,
        tenant: &TenantId,
        mut event: Event,
        dry_run: bool,
        room: &mut usize,
        removed: &mut Removed,
    ) -> Result<bool, StoreError> {
        removed.one_off_recipients += event.input.recipients.addresses.len() as u64;
        if !dry_run && event.forgotten != Some(Forgotten::Retired) {
            event.forget();
            self.put_forgotten(tenant, &event).await?;
        }
        let mut after = None;
        loop {
            let (page, next) = self.deliveries_of(tenant, &event.id, 100, after).await?;
            for some in page.chunks(SIDE_BY_SIDE) {
                let each = some.iter().map(|delivery| self.clear_delivery(tenant, delivery, dry_run));
                for gone in futures_util::future::join_all(each).await {
                    removed.add(gone?);
                }
            }
            *room = room.saturating_sub(page.len());
            after = next;
            match after {
                None => break,
                Some(_) if *room == 0 && !dry_run => return Ok(false),
                Some(_) => {}
            }
        }
        removed.events += 1;
        if !dry_run {
            self.remove_event(tenant, &event.id).await?;
        }
        Ok(true)
    }

    async fn clear_delivery(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        dry_run: bool,
    ) -> Result<Removed, StoreError> {
        let mut gone = Removed { deliveries: 1, ..Removed::default() };
        let person = delivery.id.recipient();
        if dry_run {
            gone.inbox = u64::from(self.inbox_item(tenant, person, &delivery.id).await?.is_some());
            return Ok(gone);
        }
        gone.inbox = u64::from(self.remove_from_feed(tenant, delivery).await?);
        let mut items = vec![keys::fallback(tenant, person, &delivery.event_id)];
        // Somebody whom the event brought is in nobody's directory.
        if delivery.recipient_id.as_str().starts_with(&format!("one-off-{}-", delivery.event_id)) {
            items.push(keys::recipient(tenant, person));
        }
        self.delete_all(items).await?;
        // Last: what is found again after a crash is what the delivery leads to.
        self.delete_all(vec![keys::delivery(tenant, &delivery.id)]).await?;
        Ok(gone)
    }

    /// Removes deadlines that were closed and due so many days ago.
    async fn clear_deadlines(&self, tenant: &TenantId, days: i64, dry_run: bool) -> Result<u64, StoreError> {
        let before = plus(self.now(), SignedDuration::from_hours(-24 * days));
        let (mut count, mut after) = (0, None);
        loop {
            let closed = [DeadlineState::Closed];
            let (page, next) =
                self.list_deadlines(tenant, &closed, (None, Some(before)), 200, after.as_deref()).await?;
            let old: Vec<_> =
                page.iter().filter(|deadline| deadline.closed_at.is_some_and(|at| at < before)).collect();
            count += old.len() as u64;
            if !dry_run {
                let keys = old.iter().map(|deadline| keys::deadlines::deadline(tenant, &deadline.id));
                self.delete_all(keys.collect()).await?;
            }
            after = next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }
}

/// Whether something may go.
enum Old {
    Yes,
    NotYet,
    /// It is old enough, and something of it is still under way.
    Open,
}
