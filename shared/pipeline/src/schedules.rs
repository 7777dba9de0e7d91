//! Schedules as operators see and put them: the deployment's own, which are always there, and a tenant's. What runs by
//! them is in [`crate::sweeps`].

use carillon_domain::parse::from_value;
use carillon_domain::{FieldError, Problem, ProblemKind, Schedule, ScheduleName, Sweep, TenantId, Timestamp};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::ports::{Registration, ScheduleError, StoreError};
use crate::store::schedules::{Progress, StoredSchedule};

/// How late a run may be before somebody should look: what starts sweeps is allowed a minute, and tries again.
const LATE_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// How many schedules a tenant may have: each is looked at whenever reminders are swept.
const MOST: usize = 50;

/// How many of the next runs are shown.
const RUNS_SHOWN: usize = 3;

impl Pipeline {
    /// Puts a schedule. Answers whether it is new, and how it is shown. What an earlier form of it has planned stays
    /// planned.
    ///
    /// # Errors
    /// 422 for what cannot be, 409 for the name of one of the deployment's own schedules.
    pub async fn configure_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        body: Value,
    ) -> Result<(bool, Value), Problem> {
        let schedule: Schedule = from_value(body)?;
        let faults = schedule.faults();
        if !faults.is_empty() {
            return Err(faults.into());
        }
        if is_taken(name) {
            let detail = format!("The schedule {name} is the deployment's own; give yours another name.");
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        let there = self.schedules_of(tenant).await?;
        let new = there.iter().all(|(other, _)| other != name);
        if new && there.len() >= MOST {
            let detail = format!("there are {MOST} schedules already; a tenant has no more");
            return Err(vec![FieldError::new("", detail)].into());
        }
        self.set_schedule(tenant, name, &schedule).await?;
        let stored = self.schedule(tenant, name).await?;
        let stored = stored.ok_or_else(|| Problem::not_found("schedule", name))?;
        let zone = self.zone_of(tenant, &schedule).await?;
        Ok((new, shown(name, &stored, &zone, self.now())))
    }

    /// Removes a schedule; its classes are planned by the deployment's own again. Answers whether there was one.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn remove_schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Problem> {
        // First what starts it: an item that is left can be removed again, and nothing runs without one.
        self.schedules.delete(&self.registered_name(tenant, name)).await?;
        Ok(self.delete_schedule(tenant, name).await?)
    }

    /// Stores a schedule and sets what starts it. Repeating it completes what was cut short.
    pub(crate) async fn set_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        schedule: &Schedule,
    ) -> Result<(), Problem> {
        self.put_schedule(tenant, name, schedule).await?;
        self.register(tenant, name, schedule).await
    }

    async fn register(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        schedule: &Schedule,
    ) -> Result<(), Problem> {
        let registration = Registration {
            name: self.registered_name(tenant, name),
            sweep: schedule.sweep,
            cadence: schedule.cadence.clone(),
            time_zone: self.zone_name(tenant, schedule).await?,
            input: json!({"tenant": tenant, "schedule": name}),
        };
        if schedule.enabled {
            self.schedules.put(&registration).await?;
        } else {
            self.schedules.delete(&registration.name).await?;
        }
        Ok(())
    }

    /// Sets every tenant's schedules, for whatever starts sweeps and has forgotten them.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn set_all_schedules(&self) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let (tenants, next) = self.tenants(after).await?;
            for tenant in &tenants {
                for (name, stored) in self.schedules_of(tenant).await? {
                    self.register(tenant, &name, &stored.schedule).await?;
                }
            }
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    /// The deployment's schedules and the tenant's, by name: when they ran, when they run next, and what is wrong.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn schedules_view(&self, tenant: &TenantId) -> Result<Value, Problem> {
        let now = self.now();
        let mut running = true;
        let mut items = Vec::new();
        for sweep in Sweep::ALL {
            let item = deployment_shown(sweep, self.deployment_progress(sweep).await?, now);
            running &= item["fault"].is_null();
            items.push(item);
        }
        for (name, stored) in self.schedules_of(tenant).await? {
            let zone = self.zone_of(tenant, &stored.schedule).await?;
            let mut item = shown(&name, &stored, &zone, now);
            // That nobody can say whether it is there is no fault of the schedule.
            let is_set = self.schedules.has(&self.registered_name(tenant, &name)).await;
            if stored.schedule.enabled && matches!(is_set, Ok(false)) {
                item["fault"] = json!("missing");
            }
            items.push(item);
        }
        items.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        Ok(json!({"running": running, "items": items}))
    }

    /// Those of the deployment's sweeps that ran once and should have run since.
    pub(crate) async fn late_sweeps(&self, sweeps: &[Sweep]) -> Result<Vec<&'static str>, StoreError> {
        let mut late = Vec::new();
        for sweep in sweeps {
            let progress = self.deployment_progress(*sweep).await?;
            let missed =
                progress.last_run_at.map(|ran| sweep.deployment_cadence().next_runs(&TimeZone::UTC, ran, 1));
            let is_missed =
                missed.as_deref().and_then(<[_]>::first).is_some_and(|at| is_late(*at, self.now()));
            late.extend(is_missed.then(|| sweep.as_str()));
        }
        Ok(late)
    }

    /// The zone of a schedule's local times, by its name.
    async fn zone_name(&self, tenant: &TenantId, schedule: &Schedule) -> Result<String, StoreError> {
        Ok(match &schedule.time_zone {
            Some(zone) => zone.clone(),
            None => self.tenant(tenant).await?.map_or_else(|| "UTC".to_owned(), |t| t.time_zone.clone()),
        })
    }

    /// The zone of a schedule's local times.
    pub(crate) async fn zone_of(
        &self,
        tenant: &TenantId,
        schedule: &Schedule,
    ) -> Result<TimeZone, StoreError> {
        // It was checked when it was put.
        Ok(TimeZone::get(&self.zone_name(tenant, schedule).await?).unwrap_or(TimeZone::UTC))
    }

    /// What a tenant's schedule is called where all tenants' are: a name says whose it is, and the hash that it is one.
    fn registered_name(&self, tenant: &TenantId, name: &ScheduleName) -> String {
        format!("{tenant}-{}", self.hash_key.hash(&["schedule", tenant.as_str(), name.as_str()]))
    }
}

/// Whether a name is that of one of the deployment's own schedules.
fn is_taken(name: &ScheduleName) -> bool {
    name.as_str().parse::<Sweep>().is_ok()
}

/// What is wrong with a schedule of this name.
pub(crate) fn schedule_faults(name: &ScheduleName, schedule: &Schedule) -> Vec<FieldError> {
    let mut faults = schedule.faults();
    if is_taken(name) {
        faults.push(FieldError::new("", "has the name of one of the deployment's own schedules"));
    }
    faults
}

fn shown(name: &ScheduleName, stored: &StoredSchedule, zone: &TimeZone, now: Timestamp) -> Value {
    let StoredSchedule { schedule, put_at, progress } = stored;
    let mut item = json!(schedule);
    item["name"] = json!(name);
    item["deployment"] = json!(false);
    let runs = if schedule.enabled { schedule.cadence.next_runs(zone, now, RUNS_SHOWN) } else { Vec::new() };
    item["next_runs"] = json!(runs);
    let since = progress.last_run_at.map_or(*put_at, |ran| ran.max(*put_at));
    let missed = schedule.cadence.next_runs(zone, since, 1);
    item["fault"] = match missed.first() {
        _ if !schedule.enabled => json!("disabled"),
        Some(at) if is_late(*at, now) => json!("late"),
        _ => Value::Null,
    };
    with_progress(item, *progress)
}

fn deployment_shown(sweep: Sweep, progress: Progress, now: Timestamp) -> Value {
    let cadence = sweep.deployment_cadence();
    let missed = progress.last_run_at.map(|ran| cadence.next_runs(&TimeZone::UTC, ran, 1));
    let fault = match missed.as_deref() {
        // It has never run: the deployment is new, or nothing starts it.
        None => json!("late"),
        Some([at]) if is_late(*at, now) => json!("late"),
        Some(_) => Value::Null,
    };
    let item = json!({
        "name": sweep,
        "sweep": sweep,
        "cadence": cadence,
        "enabled": true,
        "deployment": true,
        "next_runs": cadence.next_runs(&TimeZone::UTC, now, RUNS_SHOWN),
        "fault": fault,
    });
    with_progress(item, progress)
}

fn with_progress(mut item: Value, progress: Progress) -> Value {
    item["last_run_at"] = json!(progress.last_run_at);
    item["watermark_at"] = json!(progress.watermark_at);
    item
}

/// Whether a run that was due at an instant, and was not made, is late.
fn is_late(due: Timestamp, now: Timestamp) -> bool {
    now.duration_since(due) > LATE_AFTER
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        tracing::warn!(error = %error, "a schedule was not set");
        match error {
            ScheduleError::Unavailable(_) => {
                let detail = "What starts sweeps cannot be reached. Try again; it completes what was begun.";
                let mut problem = Self::new(ProblemKind::Unavailable, detail);
                problem.retry_after_s = Some(2);
                problem
            }
            ScheduleError::Refused(_) => {
                Self::new(ProblemKind::Internal, "The schedule was not taken; this is our fault.")
            }
        }
    }
}
