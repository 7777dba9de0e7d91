//! The time of `carillon dev`: the machine's, or one that moves only when it is told to. Everything in the cloud reads
//! the clock through its port; [`TimeKeeper`] moves it, and [`endpoint`] lets tests do so.

pub(crate) mod activity;
pub(crate) mod endpoint;
mod keeper;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use carillon_domain::Timestamp;
use carillon_pipeline::ports::Clock;
use tokio::sync::oneshot;

use self::activity::Work;
pub use keeper::TimeKeeper;

/// Which time a cloud has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockSetting {
    /// The machine's.
    #[default]
    Real,
    /// One that stands still until it is moved, from this instant or, without one, from the machine's time at the start.
    Virtual {
        /// Where it starts.
        start: Option<Timestamp>,
    },
}

impl FromStr for ClockSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "real" => Ok(Self::Real),
            None if text == "virtual" => Ok(Self::Virtual { start: None }),
            Some(("virtual", start)) => {
                let fault = |error| format!("{start:?} is no instant such as 2026-11-20T09:00:00Z: {error}");
                start.parse::<Timestamp>().map(|start| Self::Virtual { start: Some(start) }).map_err(fault)
            }
            _ => Err("give real, virtual, or virtual:START such as virtual:2026-11-20T09:00:00Z".to_owned()),
        }
    }
}

/// A clock that stands still until it is moved. Whoever sleeps on it wakes when it has reached their instant.
pub struct VirtualClock {
    state: Mutex<State>,
}

struct State {
    now_ms: i64,
    /// By instant, then in the order in which they fell asleep.
    sleepers: BTreeMap<(i64, u64), Sleeper>,
    next: u64,
    stopped: bool,
}

struct Sleeper {
    wake: oneshot::Sender<()>,
    /// The work that waits; none when nobody counts it.
    work: Option<Arc<Work>>,
}

/// A sleeper's place; leaving it early must not leave its work asleep.
struct Place<'a> {
    clock: &'a VirtualClock,
    at: (i64, u64),
}

impl VirtualClock {
    /// A clock that stands at an instant.
    #[must_use]
    pub fn at(start: Timestamp) -> Arc<Self> {
        let state =
            State { now_ms: start.as_millisecond(), sleepers: BTreeMap::new(), next: 0, stopped: false };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Moves the clock forward and wakes whoever slept until then. It never goes back.
    pub fn move_to(&self, at: Timestamp) {
        let mut state = self.lock();
        state.now_ms = state.now_ms.max(at.as_millisecond());
        let after_now = (state.now_ms.saturating_add(1), 0);
        let later = state.sleepers.split_off(&after_now);
        wake(std::mem::replace(&mut state.sleepers, later));
    }

    /// Nobody sleeps any more: what is under way is finished, because the cloud stops.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        wake(std::mem::take(&mut state.sleepers));
    }

    /// When the next sleeper wakes.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let (at, _) = *self.lock().sleepers.keys().next()?;
        Timestamp::from_millisecond(at).ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among the sleepers; none when the instant is reached already.
    fn fall_asleep(&self, at: Timestamp) -> Option<(Place<'_>, oneshot::Receiver<()>)> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.lock();
        let at = (at.as_millisecond(), state.next);
        if at.0 <= state.now_ms || state.stopped {
            return None;
        }
        state.next += 1;
        let work = Work::current();
        if let Some(work) = &work {
            work.fall_asleep();
        }
        state.sleepers.insert(at, Sleeper { wake, work });
        Some((Place { clock: self, at }, woken))
    }
}

fn wake(sleepers: BTreeMap<(i64, u64), Sleeper>) {
    for sleeper in sleepers.into_values() {
        // Counted as awake before it runs, so that nobody takes the cloud for idle between the two.
        if let Some(work) = sleeper.work {
            work.wake_up();
        }
        if sleeper.wake.send(()).is_err() {
            tracing::debug!("a sleeper was gone when its time came");
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.clock.lock().sleepers.remove(&self.at);
        if let Some(work) = left.and_then(|sleeper| sleeper.work) {
            work.wake_up();
        }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        // Only instants of the same type go in.
        Timestamp::from_millisecond(self.lock().now_ms).unwrap_or(Timestamp::MAX)
    }

    async fn sleep_until(&self, at: Timestamp) {
        let Some((place, woken)) = self.fall_asleep(at) else { return tokio::task::yield_now().await };
        if woken.await.is_err() {
            tracing::debug!("the clock is gone");
        }
        drop(place);
    }
}
