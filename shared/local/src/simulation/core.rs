//! The heart of a run: the virtual time, who waits for which port call, and what strikes. Every port of the pipeline
//! comes here before it does anything; [`super::world`] decides who goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::chance::Chance;
use super::faults::{Fault, Rates};
use super::mailbox::Mailbox;
use super::mutation::Mutation;
use super::story::Story;
use super::watch::Watch;

/// A use case under way, as a function would run it.
pub(super) type TaskId = u32;

/// Nothing in a run waits longer for a port than this, unless its function is frozen.
pub(super) const LONGEST_ANSWER_MS: i64 = 5_000;

/// The clocks of two processes differ by at most twice this.
pub(super) const SKEW_MS: i64 = 1_500;

/// What the port calls of one run share.
pub(super) struct Core {
    pub(super) chance: Chance,
    pub(super) now_ms: i64,
    pub(super) story: Story,
    pub(super) watch: Watch,
    pub(super) mailbox: Mailbox,
    pub(super) mutation: Option<Mutation>,
    /// The task that is being polled.
    pub(super) current: TaskId,
    /// A port is at work on a real table: its task waits for that, and for nobody here.
    pub(super) busy: bool,
    /// The task that is being polled has been killed.
    pub(super) killed: bool,
    rates: Rates,
    calm: bool,
    struck: BTreeMap<Fault, u64>,
    waiting: BTreeMap<u64, Waiting>,
    calls: u64,
    /// Tasks that may have lost what they were told, or did.
    disturbed: BTreeSet<TaskId>,
    /// Tasks that stood still for longer than a lease.
    frozen: BTreeSet<TaskId>,
    /// Tasks that waited for seconds.
    slowed: BTreeSet<TaskId>,
}

struct Waiting {
    task: TaskId,
    due_ms: i64,
    waker: Waker,
    granted: bool,
    /// Nobody waits: a task that is about to begin.
    begins: bool,
}

impl Core {
    pub(super) fn begin(
        seed: u64,
        now_ms: i64,
        mutation: Option<Mutation>,
        watch: Watch,
        told: bool,
    ) -> Self {
        let mut chance = Chance::from_seed(seed);
        let rates = Rates::draw(&mut chance);
        Self {
            chance,
            now_ms,
            story: Story::begin(told),
            watch,
            mailbox: Mailbox::default(),
            mutation,
            current: 0,
            busy: false,
            killed: false,
            rates,
            calm: false,
            struck: BTreeMap::new(),
            waiting: BTreeMap::new(),
            calls: 0,
            disturbed: BTreeSet::new(),
            frozen: BTreeSet::new(),
            slowed: BTreeSet::new(),
        }
    }

    /// Whether a fault strikes here and now.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        // Drawn in any case, so that the seed's chances do not shift when the calm begins.
        let struck = self.chance.happens(self.rates.of(fault)) && !self.calm;
        if struck {
            *self.struck.entry(fault).or_default() += 1;
            if fault.loses_work() {
                self.disturbed.insert(self.current);
            }
            match fault {
                Fault::Stall => drop(self.frozen.insert(self.current)),
                Fault::Slow => drop(self.slowed.insert(self.current)),
                _ => {}
            }
            self.story.mark(&[fault as u8, 0xfa]);
        }
        struck
    }

    /// As [`Core::strikes`], and tells it of the task that is polled.
    pub(super) fn strikes_at(&mut self, fault: Fault, what: &str) -> bool {
        let struck = self.strikes(fault);
        if struck {
            let task = self.current;
            self.tell(|| format!("[{task}] {what}: {}", fault.words()));
        }
        struck
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        let now_ms = self.now_ms;
        self.story.tell(now_ms, line);
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.tell(|| "from here on nothing goes wrong any more".to_owned());
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm
    }

    pub(super) fn disturb(&mut self, task: TaskId) {
        self.disturbed.insert(task);
    }

    /// A task that has not begun waits for its first turn.
    pub(super) fn enlist(&mut self, task: TaskId) {
        self.calls += 1;
        let begins =
            Waiting { task, due_ms: self.now_ms, waker: Waker::noop().clone(), granted: false, begins: true };
        self.waiting.insert(self.calls, begins);
    }

    pub(super) fn is_disturbed(&self, task: TaskId) -> bool {
        self.disturbed.contains(&task)
    }

    pub(super) fn was_frozen(&self, task: TaskId) -> bool {
        self.frozen.contains(&task)
    }

    /// Whether a task stood still, or had to wait for an answer for seconds.
    pub(super) fn was_held_up(&self, task: TaskId) -> bool {
        self.was_frozen(task) || self.slowed.contains(&task)
    }

    pub(super) fn struck(&self) -> &BTreeMap<Fault, u64> {
        &self.struck
    }

    pub(super) fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn delay_ms(&mut self, usual_ms: (i64, i64), what: &str) -> i64 {
        let usual = self.chance.between(usual_ms.0, usual_ms.1);
        if self.strikes(Fault::Slow) {
            usual + self.chance.between(1_000, LONGEST_ANSWER_MS - 1_000)
        } else if !self.was_frozen(self.current) && self.strikes_at(Fault::Stall, what) {
            // Once: a function that stands still again and again is ended by its time limit.
            usual + self.chance.between(31_000, 400_000)
        } else {
            usual
        }
    }

    /// One of the calls whose answer is due, by chance; its task may go on.
    pub(super) fn grant_one(&mut self) -> Option<TaskId> {
        let due: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, one)| !one.granted && one.due_ms <= self.now_ms)
            .map(|(call, _)| *call)
            .collect();
        let call = *self.chance.one_of(&due)?;
        let one = self.waiting.get_mut(&call)?;
        one.granted = true;
        one.waker.wake_by_ref();
        let task = one.task;
        if one.begins {
            self.waiting.remove(&call);
        }
        self.story.step();
        self.story.mark(&call.to_le_bytes());
        self.story.mark(&self.now_ms.to_le_bytes());
        Some(task)
    }

    /// When the next call is due.
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.waiting.values().filter(|one| !one.granted).map(|one| one.due_ms).min()
    }

    pub(super) fn is_waiting(&self, task: TaskId) -> bool {
        self.waiting.values().any(|one| one.task == task)
    }
}

/// The core as ports and scheduler hold it.
#[derive(Clone)]
pub(super) struct Sim(Arc<Mutex<Core>>);

impl Sim {
    pub(super) fn of(core: Core) -> Self {
        Self(Arc::new(Mutex::new(core)))
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as a port may take, and then until the scheduler lets this call go on.
    pub(super) async fn turn(&self, usual_ms: (i64, i64), what: &str) {
        let due_ms = {
            let mut core = self.core();
            let delay_ms = core.delay_ms(usual_ms, what);
            core.now_ms + delay_ms
        };
        self.until(due_ms).await;
    }

    /// Waits for an instant.
    pub(super) async fn until(&self, due_ms: i64) {
        Turn { sim: self, due_ms, call: None }.await;
    }

    /// Ends the task here if the fault strikes: it never goes on.
    pub(super) async fn may_be_killed(&self, fault: Fault, what: &str) {
        let killed = self.core().strikes_at(fault, what);
        if killed {
            self.core().killed = true;
            std::future::pending::<()>().await;
        }
    }

    /// Awaits something that is not simulated.
    pub(super) async fn outside<T>(&self, work: impl Future<Output = T>) -> T {
        self.core().busy = true;
        let done = work.await;
        self.core().busy = false;
        done
    }
}

struct Turn<'a> {
    sim: &'a Sim,
    due_ms: i64,
    call: Option<u64>,
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut core = self.sim.core();
        if let Some(call) = self.call {
            let Some(one) = core.waiting.get_mut(&call) else { return Poll::Ready(()) };
            if one.granted {
                core.waiting.remove(&call);
                return Poll::Ready(());
            }
            one.waker.clone_from(context.waker());
            return Poll::Pending;
        }
        core.calls += 1;
        let (call, task) = (core.calls, core.current);
        let waiting = Waiting {
            task,
            due_ms: self.due_ms,
            waker: context.waker().clone(),
            granted: false,
            begins: false,
        };
        core.waiting.insert(call, waiting);
        drop(core);
        self.call = Some(call);
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Its task was killed while it waited.
        if let Some(call) = self.call {
            self.sim.core().waiting.remove(&call);
        }
    }
}
