//! The world of a run: functions that are given work as AWS would give it, and die; time that jumps to the next instant
//! at which anything happens. Plays a [`Scenario`] to its end on ports that [`super::core`] lets go on one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use carillon_domain::TenantId;
use carillon_pipeline::Pipeline;
use carillon_pipeline::ports::{Queue, Table};

use super::asked;
use super::core::{Sim, TaskId};
use super::faults::Fault;
use super::mailbox::{Carried, VISIBILITY_MS, WORKED};
use super::mutation::Mutation;
use super::provider::SimProvider;
use super::scenario::{Act, Scenario, TENANT};
use super::setting::{Shared, process};
use super::work::{self, Ended, Work};

/// Processes that functions run in. Each remembers configuration for itself and has a clock of its own.
const PROCESSES: usize = 3;

/// Functions of one queue that run side by side.
const SIDE_BY_SIDE: usize = 3;

/// Messages that a function is given at a time.
const BATCH: usize = 4;

const MINUTE_MS: i64 = 60_000;

/// A run that takes more steps than this goes round in circles.
const MOST_STEPS: u64 = 400_000;

struct Task {
    future: Pin<Box<dyn Future<Output = Ended>>>,
    work: Work,
    process: usize,
}

/// Everything of one run.
pub(super) struct World {
    sim: Sim,
    table: Arc<dyn Table>,
    shared: Shared,
    tenant: TenantId,
    scenario: Scenario,
    provider: Arc<SimProvider>,
    processes: Vec<Arc<Pipeline>>,
    tasks: BTreeMap<TaskId, Task>,
    last_task: TaskId,
    /// What is asked for, from the next on.
    acts: BTreeMap<(i64, u64), Act>,
    last_act: u64,
    /// The dead letters have been put back to work.
    redriven: bool,
    /// The earliest minute at which the sweep may run again.
    swept_ms: i64,
}

impl World {
    pub(super) fn of(
        sim: Sim,
        table: Arc<dyn Table>,
        shared: Shared,
        tenant: TenantId,
        scenario: Scenario,
    ) -> Self {
        let provider = Arc::new(SimProvider(sim.clone()));
        let mut world = Self {
            sim,
            table,
            shared,
            tenant,
            provider,
            processes: Vec::new(),
            tasks: BTreeMap::new(),
            last_task: 0,
            acts: BTreeMap::new(),
            last_act: 0,
            redriven: false,
            swept_ms: 0,
            scenario,
        };
        for (at_ms, act) in std::mem::take(&mut world.scenario.acts) {
            world.ask(at_ms, act);
        }
        for _ in 0..PROCESSES {
            let process = process(&world.sim, &world.table, &world.shared, world.scenario.pace);
            world.processes.push(process);
        }
        world
    }

    /// Plays until nothing is left to happen, or something must not be.
    pub(super) async fn play(&mut self) {
        loop {
            let (over, steps) = {
                let core = self.sim.core();
                (core.watch.breach().is_some(), core.story.steps())
            };
            if over {
                return;
            }
            if steps > MOST_STEPS {
                self.sim.core().watch.must(false, || format!("after {MOST_STEPS} steps it still goes on"));
                return;
            }
            self.begin_what_is_due();
            let granted = self.sim.core().grant_one();
            match granted {
                Some(task) => self.go_on(task).await,
                None if self.work_is_visible() => {}
                None => {
                    if !self.jump() {
                        return;
                    }
                }
            }
        }
    }

    /// Lets a task go on until it asks the next port.
    async fn go_on(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        self.sim.core().current = id;
        let sim = &self.sim;
        let done = poll_fn(|context| match task.future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if sim.core().busy => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        let killed = std::mem::take(&mut self.sim.core().killed);
        match done {
            Some(done) => self.finish(id, done),
            None if killed => self.bury(id),
            None => {
                let mut core = self.sim.core();
                let waits = core.is_waiting(id);
                core.watch.must(waits, || format!("[{id}] waits for something that is not a port"));
            }
        }
    }

    fn bury(&mut self, id: TaskId) {
        let Some(task) = self.tasks.remove(&id) else { return };
        self.sim.core().current = id;
        if self.sim.core().strikes_at(Fault::ProcessKilled, "killed") {
            let gone: Vec<TaskId> = self
                .tasks
                .iter()
                .filter(|(_, other)| other.process == task.process)
                .map(|(id, _)| *id)
                .collect();
            for id in gone {
                self.sim.core().disturb(id);
                if let Some(other) = self.tasks.remove(&id) {
                    self.abandoned(&other.work);
                }
            }
            self.processes[task.process] = process(&self.sim, &self.table, &self.shared, self.scenario.pace);
        }
        self.abandoned(&task.work);
    }

    /// What nobody finished. Messages come back by themselves.
    fn abandoned(&mut self, work: &Work) {
        match work {
            Work::Act(act) => self.ask_again(act.clone()),
            Work::Messages { .. } | Work::Dead { .. } | Work::Sweep => {}
        }
    }

    fn finish(&mut self, id: TaskId, done: Ended) {
        let Some(task) = self.tasks.remove(&id) else { return };
        let now_ms = self.sim.core().now_ms;
        match (task.work, done) {
            (Work::Messages { ids, .. }, Ended::Each(worked)) => {
                let mut core = self.sim.core();
                for (message, worked) in ids.into_iter().zip(worked) {
                    if worked {
                        core.mailbox.delete(message);
                    }
                }
            }
            (Work::Act(Act::Post(number)), Ended::Accepted(event)) => {
                let mut core = self.sim.core();
                core.tell(|| format!("[{id}] event {event} is accepted (posting {number})"));
                core.watch.accepted.insert(event, number);
            }
            (Work::Act(Act::Wish(wish)), Ended::Worked) => {
                let mut core = self.sim.core();
                core.tell(|| format!("[{id}] {} wants no {} any more", wish.recipient, wish.channel));
                core.watch.asked.wished(wish, now_ms);
            }
            (Work::Act(Act::Stop(setting)), Ended::Worked) => {
                let mut core = self.sim.core();
                core.tell(|| format!("[{id}] the stop is set"));
                core.watch.asked.stopped(setting, now_ms);
            }
            (_, Ended::Cancelled(event)) => {
                let mut core = self.sim.core();
                core.tell(|| format!("[{id}] event {event} is taken back"));
                core.watch.asked.cancelled(event, now_ms);
            }
            (Work::Dead { id: message, .. }, Ended::Each(worked)) if worked == [true] => {
                self.sim.core().mailbox.delete(message);
            }
            (Work::Act(act), Ended::Failed(why)) => {
                self.sim.core().tell(|| format!("[{id}] did not do it: {why}"));
                self.ask_again(act);
            }
            (work, Ended::GaveUp(why) | Ended::Failed(why)) => {
                self.sim.core().tell(|| format!("[{id}] {work}, and gives up: {why}"));
            }
            _ => {}
        }
    }

    fn ask(&mut self, at_ms: i64, act: Act) {
        self.last_act += 1;
        self.acts.insert((at_ms, self.last_act), act);
    }

    /// Somebody who was given no answer asks again, or gives up.
    fn ask_again(&mut self, act: Act) {
        let gives_up = match &act {
            Act::Post(number) => !self.scenario.postings[*number].patient,
            // What was lifted meanwhile must not be stopped by a late repeat.
            Act::Stop(_) => self.sim.core().watch.asked.is_lifting(),
            _ => false,
        };
        if gives_up {
            return;
        }
        let at_ms = {
            let mut core = self.sim.core();
            core.now_ms + core.chance.between(500, MINUTE_MS)
        };
        self.ask(at_ms, act);
    }

    fn begin_what_is_due(&mut self) {
        let now_ms = self.sim.core().now_ms;
        if now_ms >= self.scenario.calm_ms && !self.sim.core().is_calm() {
            self.sim.core().calm_down();
        }
        while let Some(((at_ms, number), act)) = self.acts.pop_first() {
            if at_ms > now_ms {
                self.acts.insert((at_ms, number), act);
                break;
            }
            self.begin(Work::Act(act), Vec::new());
        }
        self.sweep(now_ms);
        for queue in WORKED {
            self.hand_out(queue, now_ms);
            self.bury_dead(queue, now_ms);
        }
    }

    fn running(&self, queue: Queue) -> usize {
        self.tasks
            .values()
            .filter(|task| matches!(&task.work, Work::Messages { queue: of, .. } if *of == queue))
            .count()
    }

    fn work_is_visible(&self) -> bool {
        let core = self.sim.core();
        let visible = |queue: &Queue| !core.mailbox.visible(*queue, core.now_ms).is_empty();
        if WORKED.iter().any(|queue| core.mailbox.visible_dead(*queue, core.now_ms).is_some()) {
            return true;
        }
        WORKED.iter().any(|queue| self.running(*queue) < SIDE_BY_SIDE && visible(queue))
    }

    /// Gives visible messages to a function, as an event source mapping would.
    fn hand_out(&mut self, queue: Queue, now_ms: i64) {
        if self.running(queue) >= SIDE_BY_SIDE {
            return;
        }
        let mut core = self.sim.core();
        let mut visible = core.mailbox.visible(queue, now_ms);
        if visible.is_empty() {
            return;
        }
        let most = if queue == Queue::Events { 1 } else { 1 + core.chance.below(BATCH) };
        let (mut ids, mut carried) = (Vec::new(), Vec::new());
        while ids.len() < most && !visible.is_empty() {
            let next = core.chance.below(visible.len());
            let id = visible.swap_remove(next);
            if core.mailbox.bury(id, self.scenario.most_receives) {
                core.tell(|| format!("message [{id}] of the {} queue is dead", queue.as_str()));
                continue;
            }
            let hidden_ms = if core.strikes(Fault::VisibleEarly) {
                core.chance.between(0, 20_000)
            } else {
                VISIBILITY_MS
            };
            carried.extend(core.mailbox.hand_out(id, now_ms + hidden_ms));
            ids.push(id);
            if core.mutated(Mutation::DeletedBeforeWork) {
                core.mailbox.delete(id);
            }
        }
        drop(core);
        if !ids.is_empty() {
            self.begin(Work::Messages { queue, ids }, carried);
        }
    }

    fn bury_dead(&mut self, queue: Queue, now_ms: i64) {
        let mut core = self.sim.core();
        let Some(id) = core.mailbox.visible_dead(queue, now_ms) else { return };
        let carried = core.mailbox.hand_out(id, now_ms + VISIBILITY_MS).into_iter().collect();
        drop(core);
        self.begin(Work::Dead { queue, id }, carried);
    }

    /// Each minute, when something is due.
    fn sweep(&mut self, now_ms: i64) {
        let mut core = self.sim.core();
        let due = core.watch.next_due_ms().is_some_and(|due_ms| due_ms <= now_ms);
        if now_ms < self.swept_ms || !due || core.mutated(Mutation::SweepsNever) {
            return;
        }
        self.swept_ms = next_minute(now_ms);
        core.current = 0;
        if core.strikes_at(Fault::SweepSkipped, "sweep-due") {
            return;
        }
        let times = if core.strikes_at(Fault::SweepTwice, "sweep-due") { 2 } else { 1 };
        drop(core);
        for _ in 0..times {
            self.begin(Work::Sweep, Vec::new());
        }
    }

    fn begin(&mut self, work: Work, carried: Vec<Carried>) {
        self.last_task += 1;
        let id = self.last_task;
        let process = {
            let mut core = self.sim.core();
            core.tell(|| format!("[{id}] {work}"));
            if let Work::Act(act) = &work {
                asked::begins(&mut core, act);
            }
            core.chance.below(self.processes.len())
        };
        let pipeline = Arc::clone(&self.processes[process]);
        let future =
            work::begin(&work, carried, pipeline, &self.provider, &self.tenant, &self.scenario, &self.sim);
        self.tasks.insert(id, Task { future, work, process });
        // It asks its first port when its turn comes.
        self.sim.core().enlist(id);
    }

    /// Lets time jump to when something happens next. False when nothing ever will.
    fn jump(&mut self) -> bool {
        let mut core = self.sim.core();
        let mut next: BTreeSet<i64> = core.next_due_ms().into_iter().collect();
        next.extend(self.acts.keys().next().map(|(at_ms, _)| *at_ms));
        if !core.mutated(Mutation::SweepsNever) {
            next.extend(core.watch.next_due_ms().map(|due_ms| next_minute(due_ms - 1).max(self.swept_ms)));
        }
        let calm = core.is_calm();
        next.extend((!calm).then_some(self.scenario.calm_ms));
        next.extend(core.mailbox.next_ms(core.now_ms));
        let now_ms = core.now_ms;
        if let Some(next_ms) = next.first().copied() {
            core.now_ms = next_ms.max(now_ms + 1);
            return true;
        }
        let dead = !core.watch.dead.is_empty();
        drop(core);
        if dead && !self.redriven {
            self.redriven = true;
            self.ask(now_ms, Act::Redrive { as_job: self.scenario.redrives_as_job });
            return true;
        }
        false
    }
}

fn next_minute(now_ms: i64) -> i64 {
    (now_ms.div_euclid(MINUTE_MS) + 1) * MINUTE_MS
}

/// The tenant of every run.
pub(super) fn tenant() -> Option<TenantId> {
    TENANT.parse().ok()
}
