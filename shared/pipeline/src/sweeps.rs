//! What schedules run: the frame around the sweeps. A run looks how far its schedule has come, works up to where it must,
//! and only then notes that, by a conditional write. Runs that come twice, late, not at all or beside each other do no harm:
//! the work itself is idempotent, and the deployment's own run makes up for what others missed.

use std::collections::BTreeSet;

use carillon_domain::{Cadence, Lane, Lanes, Principal, Problem, ScheduleName, Sweep, TenantId, Timestamp};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cleanup::Removed;
use crate::context::Pipeline;
use crate::ports::StoreError;
use crate::remind::PlannedReminders;
use crate::store::schedules::{Progress, StoredSchedule};
use crate::work::WorkError;

/// How much further than its next run a run plans: two runs of the deployment's own sweep, which makes up for a run that
/// did not come, and some time for both to do their work.
const MARGIN: SignedDuration = SignedDuration::from_mins(45);

/// When the deployment's own run takes over for a tenant's schedule: what it has planned must last until the run after,
/// and some time for that to do its work.
const TAKEN_OVER_BEFORE: SignedDuration = SignedDuration::from_mins(25);

/// How many turns one run makes for one tenant; the next run goes on.
const MOST_TURNS: usize = 50;

/// How far the deployment's own runs lie apart.
const SECONDS_A_RUN: i64 = 15 * 60;

/// What sweep-reminders is started with. The deployment's own schedule says nothing and means every tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RemindersRun {
    /// Whose schedule.
    pub tenant: Option<TenantId>,
    /// Its name.
    pub schedule: Option<ScheduleName>,
}

/// What sweep-cleanup is started with; a deployment's own schedule says nothing and means every tenant.
pub type CleanupRun = RemindersRun;

impl Pipeline {
    /// Removes what is older than its tenant keeps it: a schedule's tenant, or every one.
    ///
    /// # Errors
    /// When the store cannot be reached for one of the tenants; the others are done.
    pub async fn run_cleanup(&self, run: &CleanupRun) -> Result<Removed, WorkError> {
        let (Some(tenant), Some(name)) = (&run.tenant, &run.schedule) else {
            return self.sweep_cleanup(None).await;
        };
        let Some(stored) = self.schedule(tenant, name).await? else {
            tracing::info!(tenant.id = %tenant, schedule = %name, "the schedule is gone");
            return Ok(Removed::default());
        };
        if !stored.schedule.enabled || stored.schedule.sweep != Sweep::Cleanup {
            return Ok(Removed::default());
        }
        let removed = self.sweep_cleanup(Some(tenant)).await?;
        let now = Some(self.now());
        self.note_run(tenant, name, stored.progress, Progress { last_run_at: now, watermark_at: now })
            .await?;
        Ok(removed)
    }

    /// Plans the reminders that a schedule is for: those that fall due before its next run, and a margin. Without a
    /// schedule, for every tenant: what no schedule of theirs is for, and what their schedules should have done by now.
    ///
    /// # Errors
    /// When the store cannot be reached for one of the tenants; the others are done.
    pub async fn sweep_reminders(&self, run: &RemindersRun) -> Result<PlannedReminders, WorkError> {
        match (&run.tenant, &run.schedule) {
            (Some(tenant), Some(name)) => {
                let Some(stored) = self.schedule(tenant, name).await? else {
                    tracing::info!(tenant.id = %tenant, schedule = %name, "the schedule is gone");
                    return Ok(PlannedReminders::default());
                };
                if !stored.schedule.enabled || stored.schedule.sweep != Sweep::Reminders {
                    return Ok(PlannedReminders::default());
                }
                self.run_schedule(tenant, name, &stored, MOST_TURNS).await
            }
            _ => self.sweep_reminders_of_all().await,
        }
    }

    /// Notes that the deployment's own schedule of a sweep ran, up to an instant.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn note_sweep(&self, sweep: Sweep, watermark: Timestamp) -> Result<(), WorkError> {
        let before = self.deployment_progress(sweep).await?;
        let after = Progress { last_run_at: Some(self.now()), watermark_at: Some(watermark) };
        Ok(self.note_deployment_run(sweep, before, after).await?)
    }

    /// Runs a sweep now, for the caller's tenant where a sweep is for one.
    ///
    /// # Errors
    /// 503 when the store or a queue cannot be reached; what is done stays done.
    pub async fn run_sweep(&self, caller: &Principal, sweep: Sweep) -> Result<Value, Problem> {
        let mut answer = json!({"sweep": sweep, "ran_at": self.now()});
        match sweep {
            // Of all tenants, so that nothing is said of how much there was.
            Sweep::Due => {
                self.sweep_due().await?;
                self.note_sweep(sweep, self.now()).await?;
            }
            Sweep::Reminders => {
                let planned = self.sweep_reminders_of(&caller.tenant, Takes::Everything).await?;
                answer["deadlines"] = json!(planned.deadlines);
                answer["reminders"] = json!(planned.reminders);
                answer["failed"] = json!(planned.failed);
                answer["unfinished"] = json!(planned.unfinished);
            }
            Sweep::Health => {
                let watched = self.watch(&caller.tenant).await?;
                answer["opened"] = json!(watched.opened);
                answer["resolved"] = json!(watched.resolved);
                answer["open"] = json!(watched.open);
            }
            Sweep::Cleanup => answer["removed"] = json!(self.sweep_cleanup(Some(&caller.tenant)).await?),
        }
        Ok(answer)
    }

    /// The lanes that nobody plans, because each schedule that names them is disabled.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub(crate) async fn disabled_lanes(&self, tenant: &TenantId) -> Result<BTreeSet<Lane>, WorkError> {
        let schedules = self.reminder_schedules(tenant).await?;
        let takes = |lane: &Lane, enabled: bool| {
            let mut named = schedules.iter().filter(|(_, stored)| lanes_of(stored).takes(lane));
            named.any(|(_, stored)| stored.schedule.enabled == enabled)
        };
        let lanes = self.lanes(tenant).await?;
        Ok(lanes.into_iter().filter(|lane| takes(lane, false) && !takes(lane, true)).collect())
    }

    /// When the first reminder of all tenants opens that nobody has planned yet. A clock that is moved by hand passes over the
    /// runs that would plan nothing.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn next_owed(&self) -> Result<Option<Timestamp>, StoreError> {
        let (mut first, mut after) = (None::<Timestamp>, None);
        loop {
            let (tenants, next) = self.tenants(after).await?;
            for tenant in &tenants {
                let owed = self.first_owing(tenant).await?;
                first = [first, owed].into_iter().flatten().min();
            }
            if next.is_none() {
                return Ok(first);
            }
            after = next;
        }
    }

    async fn sweep_reminders_of_all(&self) -> Result<PlannedReminders, WorkError> {
        let watermark = self.next_run_and_margin(&Sweep::Reminders.deployment_cadence(), &TimeZone::UTC);
        let (mut sum, mut failed) = (PlannedReminders::default(), None);
        let mut open = self.tenants_in_turn().await?;
        // A turn for each, then another for those with more: nobody's backlog keeps another's waiting.
        for _ in 0..MOST_TURNS {
            let mut more = Vec::new();
            for tenant in open {
                match self.sweep_reminders_of(&tenant, Takes::WhatIsBehind).await {
                    Ok(planned) => {
                        add(&mut sum, planned);
                        more.extend(planned.unfinished.then_some(tenant));
                    }
                    Err(error) => {
                        tracing::warn!(tenant.id = %tenant, error = %error, "reminders are left for the next run");
                        failed = Some(error);
                    }
                }
            }
            open = more;
            if open.is_empty() {
                break;
            }
        }
        sum.unfinished = !open.is_empty();
        for tenant in &open {
            warn_unfinished(tenant);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.note_sweep(Sweep::Reminders, watermark).await?;
        Ok(sum)
    }

    /// Every tenant, another one first each run: a run that is cut short has not always favoured the same ones.
    async fn tenants_in_turn(&self) -> Result<Vec<TenantId>, StoreError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (tenants, next) = self.tenants(after).await?;
            all.extend(tenants);
            after = next;
            if after.is_none() {
                break;
            }
        }
        // By the run, not by the minute: that would come round to the same ones.
        let run = usize::try_from(self.now().as_second().div_euclid(SECONDS_A_RUN)).unwrap_or(0);
        let first = run.checked_rem(all.len()).unwrap_or(0);
        all.rotate_left(first);
        Ok(all)
    }

    /// Plans what no schedule of the tenant is for, and what its schedules are for.
    async fn sweep_reminders_of(
        &self,
        tenant: &TenantId,
        takes: Takes,
    ) -> Result<PlannedReminders, WorkError> {
        let mut sum = PlannedReminders::default();
        let schedules = self.reminder_schedules(tenant).await?;
        let soon = self.now().checked_add(TAKEN_OVER_BEFORE).unwrap_or(Timestamp::MAX);
        for (name, stored) in schedules.iter().filter(|(_, stored)| stored.schedule.enabled) {
            let is_behind = stored.progress.watermark_at.is_none_or(|at| at < soon);
            if is_behind || takes == Takes::Everything {
                add(&mut sum, self.run_schedule(tenant, name, stored, takes.turns()).await?);
            } else if let Some(planned_until) = stored.progress.watermark_at {
                // Once more what its run failed at, or did not see because the index is a moment old.
                let lanes = lanes_of(stored);
                add(&mut sum, self.plan_in_turns(tenant, &lanes, planned_until, takes.turns()).await?);
            }
        }
        if let Some(rest) = rest(schedules.iter().map(|(_, stored)| stored)) {
            let until = self.next_run_and_margin(&Sweep::Reminders.deployment_cadence(), &TimeZone::UTC);
            add(&mut sum, self.plan_in_turns(tenant, &rest, until, takes.turns()).await?);
        }
        Ok(sum)
    }

    async fn run_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        stored: &StoredSchedule,
        turns: usize,
    ) -> Result<PlannedReminders, WorkError> {
        let (now, zone) = (self.now(), self.zone_of(tenant, &stored.schedule).await?);
        let until = self.next_run_and_margin(&stored.schedule.cadence, &zone);
        let planned = self.plan_in_turns(tenant, &lanes_of(stored), until, turns).await?;
        // What is unfinished is not noted: the next run, or the deployment's own, goes on.
        if !planned.unfinished {
            let after = Progress { last_run_at: Some(now), watermark_at: Some(until) };
            self.note_run(tenant, name, stored.progress, after).await?;
        }
        Ok(planned)
    }

    /// Plans until nothing is left, or too much.
    async fn plan_in_turns(
        &self,
        tenant: &TenantId,
        lanes: &Lanes,
        until: Timestamp,
        turns: usize,
    ) -> Result<PlannedReminders, WorkError> {
        let mut sum = PlannedReminders::default();
        for _ in 0..turns {
            add(&mut sum, self.plan_reminders(tenant, lanes, until).await?);
            if !std::mem::take(&mut sum.unfinished) {
                return Ok(sum);
            }
        }
        sum.unfinished = true;
        if turns == MOST_TURNS {
            warn_unfinished(tenant);
        }
        Ok(sum)
    }

    async fn reminder_schedules(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(ScheduleName, StoredSchedule)>, WorkError> {
        let mut schedules = self.schedules_of(tenant).await?;
        schedules.retain(|(_, stored)| stored.schedule.sweep == Sweep::Reminders);
        Ok(schedules)
    }

    fn next_run_and_margin(&self, cadence: &Cadence, zone: &TimeZone) -> Timestamp {
        let now = self.now();
        let next = cadence.next_runs(zone, now, 1).first().copied().unwrap_or(now);
        next.checked_add(MARGIN).unwrap_or(Timestamp::MAX)
    }
}

/// Which of a tenant's schedules a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Those that should have run.
    WhatIsBehind,
    /// All that are enabled.
    Everything,
}

impl Takes {
    /// How many turns a tenant has at a time: one where others wait for theirs.
    fn turns(self) -> usize {
        match self {
            Self::WhatIsBehind => 1,
            Self::Everything => MOST_TURNS,
        }
    }
}

fn warn_unfinished(tenant: &TenantId) {
    tracing::warn!(
        tenant.id = %tenant, sweep.unfinished = true,
        "more reminders are due than one run plans; the next goes on"
    );
}

fn add(sum: &mut PlannedReminders, planned: PlannedReminders) {
    sum.deadlines += planned.deadlines;
    sum.reminders += planned.reminders;
    sum.failed += planned.failed;
    sum.unfinished |= planned.unfinished;
}

fn lanes_of(stored: &StoredSchedule) -> Lanes {
    match &stored.schedule.classes {
        None => Lanes::All,
        Some(classes) => Lanes::These(classes.iter().cloned().collect()),
    }
}

/// The lanes that none of these schedules is for, disabled ones too: somebody wants those to stand still. None when every
/// lane has one.
fn rest<'a>(schedules: impl Iterator<Item = &'a StoredSchedule>) -> Option<Lanes> {
    let mut named = BTreeSet::new();
    for stored in schedules {
        named.extend(stored.schedule.classes.as_ref()?.iter().cloned());
    }
    Some(if named.is_empty() { Lanes::All } else { Lanes::AllBut(named) })
}
