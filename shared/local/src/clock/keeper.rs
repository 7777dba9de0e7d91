//! Moves a virtual clock from one due instant to the next: queue messages that come back, receipts that the fakes owe,
//! waits in workers, schedules that fire, and what sweep-due has to move on. At each stop everything that is due is done before time goes on.

use std::sync::Arc;
use std::time::Duration;

use carillon_domain::{Sweep, Timestamp};
use carillon_pipeline::ports::{Clock, StoreError};
use carillon_pipeline::{Pipeline, WorkError};
use tokio::sync::Mutex;

use super::VirtualClock;
use crate::fakes;
use crate::journal::{Journal, JournalError};
use crate::queues::LocalQueues;
use crate::schedules::{Due, LocalSchedules};

/// How long consumers may take to notice what is there for them, before it is looked again. On the machine's clock.
const GLANCE: Duration = Duration::from_millis(2);

/// How long the work of one instant may take. On the machine's clock.
const PATIENCE: Duration = Duration::from_mins(5);

/// Why time did not move on.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The queues or the fakes' receipts cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The due index cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sweep failed.
    #[error(transparent)]
    Sweep(#[from] WorkError),
    /// Work that was due did not end.
    #[error("what is due at {0} was not done within {PATIENCE:?}")]
    Busy(Timestamp),
}

/// Moves one cloud's clock.
pub struct TimeKeeper {
    clock: Arc<VirtualClock>,
    journal: Arc<Journal>,
    queues: Arc<LocalQueues>,
    pipeline: Arc<Pipeline>,
    schedules: Arc<LocalSchedules>,
    /// One mover at a time; holds until when the sweep is left alone, because it could not move what is due.
    swept: Mutex<Option<Timestamp>>,
}

impl TimeKeeper {
    pub(crate) fn of(
        clock: Arc<VirtualClock>,
        journal: Arc<Journal>,
        queues: Arc<LocalQueues>,
        pipeline: Arc<Pipeline>,
        schedules: Arc<LocalSchedules>,
    ) -> Arc<Self> {
        Arc::new(Self { clock, journal, queues, pipeline, schedules, swept: Mutex::new(None) })
    }

    /// Does what is due now, then moves the clock on by this much, doing what is due on the way in its order. Answers
    /// the new time, with nothing left to do at it.
    ///
    /// # Errors
    /// When something cannot be read, or the work of one instant does not end.
    pub async fn advance(&self, by: Duration) -> Result<Timestamp, AdvanceError> {
        let mut swept = self.swept.lock().await;
        let target = self.clock.now().saturating_add(by).unwrap_or(Timestamp::MAX);
        self.schedules.stir();
        let mut scheduled = self.next_scheduled().await?;
        loop {
            self.idle().await?;
            // Between two seconds nothing is swept, and the due index need not be read.
            let second = whole_second(self.clock.now());
            let sweep = if second > self.clock.now() {
                Some(second)
            } else {
                self.do_due(&mut swept, Due::Stops).await?
            };
            // Only such a run changes what the next one is for.
            if scheduled.is_some_and(|at| at <= self.clock.now()) {
                scheduled = self.next_scheduled().await?;
            }
            let (stop, health) = (self.next_stop(sweep, scheduled).await?, self.schedules.next_health_stop());
            match stop.into_iter().chain(health).min() {
                Some(next) if next < target => {
                    self.clock.move_to(next);
                    if health != Some(next) {
                        self.schedules.stir();
                    }
                }
                _ => break,
            }
        }
        self.clock.move_to(target);
        self.do_due(&mut swept, Due::Runs).await?;
        // It was looked at all the time whether something is due.
        self.pipeline.note_sweep(Sweep::Due, self.clock.now()).await?;
        Ok(self.clock.now())
    }

    /// Waits until all work of this instant is done, and sweeps as long as that moves something. Answers when the sweep
    /// has something to do next.
    async fn do_due(
        &self,
        left_until: &mut Option<Timestamp>,
        due_schedules: Due,
    ) -> Result<Option<Timestamp>, AdvanceError> {
        loop {
            self.idle().await?;
            let now = self.clock.now();
            if self.schedules.is_due(due_schedules) {
                self.schedules.fire(&self.pipeline, due_schedules).await?;
                continue;
            }
            let due = self.pipeline.next_due().await?;
            match (due, *left_until) {
                (Some(due), Some(until)) if due <= now && now < until => return Ok(Some(until)),
                (Some(due), _) if due <= now => {}
                (later, _) => return Ok(later.map(whole_second)),
            }
            sweep_due::handle(&self.pipeline).await?;
            // What fails is tried again by the next minute's run, as on AWS.
            *left_until = (self.pipeline.next_due().await? == due).then(|| minute_after(now));
        }
    }

    /// The next run of a schedule that has something to plan.
    async fn next_scheduled(&self) -> Result<Option<Timestamp>, AdvanceError> {
        Ok(self.schedules.next_stop(self.pipeline.next_owed().await?))
    }

    /// The next instant after now at which there is something to do.
    async fn next_stop(
        &self,
        sweep: Option<Timestamp>,
        scheduled: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, AdvanceError> {
        let (_, message) = self.queues.outlook().await?;
        let (_, receipt) = fakes::receipts::outlook(&self.journal, self.clock.now()).await?;
        Ok([message, receipt, self.clock.next_wake(), scheduled, sweep].into_iter().flatten().min())
    }

    /// Returns when nobody is at work and nothing that is due waits for somebody.
    async fn idle(&self) -> Result<(), AdvanceError> {
        let waited = tokio::time::timeout(PATIENCE, async {
            let activity = self.queues.activity();
            loop {
                if let Some(turn) = activity.rest()
                    && !self.is_waited_for().await?
                    && activity.rest() == Some(turn)
                {
                    return Ok(());
                }
                // Whoever is at work says when it ends; who has not begun yet does not.
                if tokio::time::timeout(GLANCE, activity.changed()).await.is_err() {
                    tracing::trace!("still at work");
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(AdvanceError::Busy(self.clock.now())))
    }

    /// Whether something that is due waits for a consumer or for a fake.
    async fn is_waited_for(&self) -> Result<bool, JournalError> {
        let (receipts, _) = fakes::receipts::outlook(&self.journal, self.clock.now()).await?;
        let (visible, _) = self.queues.outlook().await?;
        Ok(receipts || visible.into_iter().any(|queue| !self.queues.activity().is_blocked(queue)))
    }
}

/// The sweep runs on whole seconds, so that many items that are due within one cost one run.
fn whole_second(at: Timestamp) -> Timestamp {
    let seconds = at.as_millisecond().saturating_add(999).div_euclid(1_000);
    Timestamp::from_second(seconds).unwrap_or(at)
}

fn minute_after(now: Timestamp) -> Timestamp {
    let minutes = now.as_second().div_euclid(60) + 1;
    Timestamp::from_second(minutes * 60).unwrap_or(Timestamp::MAX)
}
