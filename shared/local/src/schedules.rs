//! [`Schedules`] that fire by the cloud's clock: the deployment's own, and what tenants have put. Kept in memory; a cloud
//! sets them again from the table when it starts. [`crate::clock::TimeKeeper`] fires them in virtual time, and a task of the
//! cloud in real time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use carillon_domain::{Sweep, Timestamp};
use carillon_pipeline::ports::{Clock, Registration, ScheduleError, Schedules};
use carillon_pipeline::{Pipeline, WorkError};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::Value;

/// How long before a reminder opens it is planned at the latest: at its very instant it would be late.
const BEFORE_IT_OPENS: SignedDuration = SignedDuration::from_mins(15);

/// How much later than its next run a clock that is moved by hand stops for sweep-health, while a problem is open and
/// nothing happens: what ends it then is that time passes.
const WHILE_OPEN: SignedDuration = SignedDuration::from_mins(55);

/// The schedules of one cloud.
pub struct LocalSchedules {
    clock: Arc<dyn Clock>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Something has happened since sweep-health ran.
    stirred: AtomicBool,
    /// It found a problem, or one goes on.
    open_problems: AtomicBool,
    /// The clock is moved by hand.
    by_hand: AtomicBool,
}

/// A schedule, and when it fires next; never when its cadence has no more runs.
struct Entry {
    registration: Registration,
    next: Option<Timestamp>,
    /// At which of its runs a clock that is moved by hand stops for it.
    stop: Option<Timestamp>,
}

/// Which schedules fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Those for which a clock that is moved by hand has stopped.
    Stops,
    /// Those whose next run has come, however many of their runs nobody made.
    Runs,
}

impl Entry {
    fn due_at(&self, due: Due) -> Option<Timestamp> {
        match due {
            Due::Stops => self.stop,
            Due::Runs => self.next,
        }
    }
}

impl LocalSchedules {
    /// The deployment's own schedules, from now on. sweep-due is not among them: here it runs more often, and in virtual
    /// time exactly when something is due.
    #[must_use]
    pub fn from_now(clock: Arc<dyn Clock>) -> Arc<Self> {
        let schedules = Self {
            clock,
            entries: Mutex::default(),
            stirred: AtomicBool::new(true),
            open_problems: AtomicBool::new(false),
            by_hand: AtomicBool::new(false),
        };
        for sweep in Sweep::ALL.into_iter().filter(|sweep| *sweep != Sweep::Due) {
            schedules.set(Registration {
                name: sweep.to_string(),
                sweep,
                cadence: sweep.deployment_cadence(),
                time_zone: "UTC".to_owned(),
                input: Value::Null,
            });
        }
        Arc::new(schedules)
    }

    /// Whether one is to fire now.
    #[must_use]
    pub fn is_due(&self, due: Due) -> bool {
        let now = self.clock.now();
        self.lock().values().filter_map(|entry| entry.due_at(due)).any(|at| at <= now)
    }

    /// The next instant at which a clock that is moved by hand has to stop, given when the first reminder opens that is not
    /// planned yet: at the last run before that of each schedule that may be its own. The runs between would plan nothing.
    #[must_use]
    pub fn next_stop(&self, owed: Option<Timestamp>) -> Option<Timestamp> {
        let stop = |Entry { registration, next, .. }: &Entry| match registration.sweep {
            // Virtual time stops wherever something is due. Health is asked for by itself: it depends on what has happened.
            Sweep::Due | Sweep::Health => None,
            Sweep::Reminders => {
                let (next, by) = ((*next)?, owed?.checked_sub(BEFORE_IT_OPENS).ok()?);
                let before = next.checked_sub(SignedDuration::from_millis(1)).unwrap_or(next);
                let last = registration.cadence.last_run(&zone(registration), before, by);
                Some(last.unwrap_or(next))
            }
            Sweep::Cleanup => *next,
        };
        let mut entries = self.lock();
        for entry in entries.values_mut() {
            entry.stop = stop(entry);
        }
        entries.values().filter_map(|entry| entry.stop).min()
    }

    /// Fires what is due: each schedule once, however long nobody looked, as a sweep makes up for the runs it missed.
    ///
    /// # Errors
    /// What the first sweep that failed says; the others ran.
    pub async fn fire(&self, pipeline: &Pipeline, due: Due) -> Result<(), WorkError> {
        let mut failed = Ok(());
        for Registration { name, sweep, input, .. } in self.take_due(due) {
            let ran = match sweep {
                Sweep::Due => sweep_due::handle(pipeline).await,
                Sweep::Reminders => sweep_reminders::handle(pipeline, input).await,
                Sweep::Cleanup => sweep_cleanup::handle(pipeline, input).await,
                Sweep::Health => self.look_after(pipeline).await,
            };
            if let Err(error) = ran {
                tracing::warn!(schedule = name, error = %error, "a scheduled sweep failed; the next one goes on");
                failed = failed.and(Err(error));
            }
        }
        failed
    }

    /// Notes that something has happened, in the time of a clock that is moved by hand: the next run of sweep-health may
    /// find something else than the last.
    pub fn stir(&self) {
        self.by_hand.store(true, Ordering::Relaxed);
        self.stirred.store(true, Ordering::Relaxed);
    }

    /// Where such a clock stops next for sweep-health.
    #[must_use]
    pub fn next_health_stop(&self) -> Option<Timestamp> {
        let mut entries = self.lock();
        let entry = entries.values_mut().find(|entry| entry.registration.sweep == Sweep::Health)?;
        entry.stop = self.next_look(entry.next);
        entry.stop
    }

    /// Where it stops, given the next run of sweep-health: there, after something happened; an
    /// hour on, while a problem is open; else nowhere.
    fn next_look(&self, next: Option<Timestamp>) -> Option<Timestamp> {
        match next {
            next if self.stirred.load(Ordering::Relaxed) => next,
            Some(next) if self.open_problems.load(Ordering::Relaxed) => next.checked_add(WHILE_OPEN).ok(),
            _ => None,
        }
    }

    async fn look_after(&self, pipeline: &Pipeline) -> Result<(), WorkError> {
        self.stirred.store(false, Ordering::Relaxed);
        if self.by_hand.load(Ordering::Relaxed) {
            // The clock stops wherever these have something to do, so they are never late.
            for sweep in [Sweep::Due, Sweep::Reminders] {
                pipeline.note_sweep(sweep, pipeline.now()).await?;
            }
        }
        let watched = sweep_health::handle(pipeline).await?;
        self.open_problems.store(watched.open > 0, Ordering::Relaxed);
        Ok(())
    }

    /// What is due by now, the longest due first.
    fn take_due(&self, which: Due) -> Vec<Registration> {
        let now = self.clock.now();
        let mut due = Vec::new();
        for entry in self.lock().values_mut() {
            if let Some(at) = entry.due_at(which).filter(|at| *at <= now) {
                due.push((at, entry.registration.clone()));
                entry.next = next_run(&entry.registration, now);
                entry.stop = None;
            }
        }
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(_, registration)| registration).collect()
    }

    fn set(&self, registration: Registration) {
        let now = self.clock.now();
        let mut entries = self.lock();
        // Setting the same again must not put off a run that is due.
        let unchanged = |entry: &&Entry| entry.registration == registration;
        let next = match entries.get(&registration.name).filter(unchanged) {
            Some(entry) => entry.next,
            // The deployment's own run at once: who starts a cloud wants to see that they do.
            None if registration.input.is_null() => Some(now),
            None => next_run(&registration, now),
        };
        entries.insert(registration.name.clone(), Entry { registration, next, stop: None });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_run(registration: &Registration, after: Timestamp) -> Option<Timestamp> {
    registration.cadence.next_runs(&zone(registration), after, 1).first().copied()
}

fn zone(registration: &Registration) -> TimeZone {
    TimeZone::get(&registration.time_zone).unwrap_or(TimeZone::UTC)
}

#[async_trait]
impl Schedules for LocalSchedules {
    async fn put(&self, registration: &Registration) -> Result<(), ScheduleError> {
        self.set(registration.clone());
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<bool, ScheduleError> {
        Ok(self.lock().remove(name).is_some())
    }

    async fn has(&self, name: &str) -> Result<bool, ScheduleError> {
        Ok(self.lock().contains_key(name))
    }
}
