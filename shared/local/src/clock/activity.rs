//! Who is at work in the cloud, so that a clock moved by hand knows when everything that is due now has been done. Queue
//! consumers and the front door say when they begin; [`super::VirtualClock`] says who only waits for time to pass;
//! [`super::TimeKeeper`] waits for the rest to finish.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_pipeline::ports::Queue;
use tokio::sync::Notify;

tokio::task_local! {
    /// The work that the current future is part of.
    static CURRENT: Arc<Work>;
}

/// Everybody at work.
#[derive(Default)]
pub struct Activity {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Work begun and neither ended nor asleep.
    awake: usize,
    /// Counts every beginning and every awakening: who has seen the same number twice knows that nothing began between.
    turn: u64,
    lanes: BTreeMap<Queue, Lane>,
}

/// A queue's consumers.
#[derive(Default, Clone, Copy)]
struct Lane {
    asleep: usize,
    /// How many may work at a time.
    limit: usize,
}

/// A piece of work under way; it ends when this is dropped. While one future in it sleeps on the virtual clock, all of
/// it counts as asleep, so work that waits in several futures at once must not be one piece.
pub struct Work {
    activity: Arc<Activity>,
    queue: Option<Queue>,
    sleeping: Mutex<usize>,
}

impl Activity {
    /// Begins a piece of work, of a queue's consumer or of somebody else.
    pub fn begin(self: &Arc<Self>, queue: Option<Queue>) -> Arc<Work> {
        let mut state = self.lock();
        state.awake += 1;
        state.turn += 1;
        Arc::new(Work { activity: Arc::clone(self), queue, sleeping: Mutex::new(0) })
    }

    /// Says how many consumers a queue has at most.
    pub(crate) fn limit(&self, queue: Queue, consumers: usize) {
        self.lock().lanes.entry(queue).or_default().limit = consumers;
    }

    /// The turn, if nobody is awake in it.
    pub(crate) fn rest(&self) -> Option<u64> {
        let state = self.lock();
        (state.awake == 0).then_some(state.turn)
    }

    /// Whether every consumer of the queue sleeps, so that its messages wait for time to pass.
    pub(crate) fn is_blocked(&self, queue: Queue) -> bool {
        self.lock().lanes.get(&queue).is_some_and(|lane| lane.limit > 0 && lane.asleep >= lane.limit)
    }

    /// Returns when something has ended since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// Runs a future as part of this work.
    pub(crate) async fn run<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(Arc::clone(self), future).await
    }

    /// The work that the caller is part of.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// From now on this work waits for time to pass.
    pub(crate) fn fall_asleep(&self) {
        let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        *sleeping += 1;
        if *sleeping == 1 {
            let mut state = self.activity.lock();
            state.awake -= 1;
            if let Some(queue) = self.queue {
                state.lanes.entry(queue).or_default().asleep += 1;
            }
            self.activity.changed.notify_one();
        }
    }

    /// The end of a [`Work::fall_asleep`].
    pub(crate) fn wake_up(&self) {
        let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        *sleeping -= 1;
        if *sleeping == 0 {
            let mut state = self.activity.lock();
            state.awake += 1;
            state.turn += 1;
            if let Some(queue) = self.queue {
                state.lanes.entry(queue).or_default().asleep -= 1;
            }
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // A sleeper holds the work it is part of, so whatever ends is awake.
        self.activity.lock().awake -= 1;
        self.activity.changed.notify_one();
    }
}
