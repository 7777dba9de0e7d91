//! The other ports of a run: queues, time and random bits, each a place where things go wrong.

use async_trait::async_trait;
use carillon_domain::Timestamp;
use carillon_pipeline::ports::{Clock, Entropy, Message, Queue, QueueError, Queues};

use super::core::Sim;
use super::faults::Fault;
use super::mailbox::Carried;

pub(super) struct SimQueues(pub(super) Sim);

#[async_trait]
impl Queues for SimQueues {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        let sim = &self.0;
        let what = format!("send {} to the {} queue", messages.len(), queue.as_str());
        sim.turn((2, 30), &what).await;
        sim.may_be_killed(Fault::KilledBefore, &what).await;
        let failed = |reason: &str| Err(QueueError { queue, reason: reason.to_owned() });
        if sim.core().strikes_at(Fault::QueueRefuses, &what) {
            return failed("it cannot be reached");
        }
        let partly = sim.core().strikes_at(Fault::QueueTakesSome, &what);
        for message in messages {
            let mut core = sim.core();
            if partly && core.chance.below(2) == 0 {
                continue;
            }
            let copies = if core.strikes_at(Fault::QueuedTwice, &what) { 2 } else { 1 };
            for _ in 0..copies {
                let mut delay_ms = core.chance.between(0, 300);
                if core.strikes_at(Fault::QueuedLate, &what) {
                    delay_ms = core.chance.between(1_000, 900_000);
                }
                let at_ms = core.now_ms + delay_ms + i64::from(message.delay_s) * 1_000;
                core.mailbox.put(queue, Carried::Body(message.body.clone()), at_ms);
            }
        }
        sim.may_be_killed(Fault::KilledAfter, &what).await;
        if partly || sim.core().strikes_at(Fault::QueueAnswerLost, &what) {
            return failed("not every message was taken");
        }
        Ok(())
    }
}

/// The clock of one process: wrong by a little.
pub(super) struct SimClock {
    pub(super) sim: Sim,
    pub(super) skew_ms: i64,
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let now_ms = self.sim.core().now_ms + self.skew_ms;
        Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::MAX)
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.sim.until(at.as_millisecond() - self.skew_ms).await;
        self.sim.may_be_killed(Fault::KilledBefore, "sleep").await;
    }
}

pub(super) struct SimEntropy(pub(super) Sim);

impl Entropy for SimEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.core().chance.fill(buffer);
    }
}
