//! The queues of a run, with SQS's semantics: at least once, in no order, and what is not deleted comes back. Receipts
//! are kept beside them as the provider meant them.

use std::collections::BTreeMap;

use carillon_pipeline::ports::Queue;
use carillon_pipeline::record_receipt::Receipt;

/// How long a message is hidden from other workers, as template.yaml says.
pub(super) const VISIBILITY_MS: i64 = 180_000;

/// The queues whose messages are worked here.
pub(super) const WORKED: [Queue; 5] = Queue::ALL;

/// What a queue carries.
#[derive(Debug, Clone)]
pub(super) enum Carried {
    /// A message of the pipeline.
    Body(String),
    /// What the provider says.
    Receipt(Box<Receipt>),
}

#[derive(Debug)]
struct Held {
    queue: Queue,
    carried: Carried,
    visible_ms: i64,
    receives: u32,
    /// It has been received too often and is in the queue's dead-letter queue.
    dead: bool,
}

impl Held {
    fn is(&self, queue: Queue, now_ms: i64) -> bool {
        self.queue == queue && self.visible_ms <= now_ms
    }
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    messages: BTreeMap<u64, Held>,
    last: u64,
}

impl Mailbox {
    pub(super) fn put(&mut self, queue: Queue, carried: Carried, visible_ms: i64) {
        self.last += 1;
        let held = Held { queue, carried, visible_ms, receives: 0, dead: false };
        self.messages.insert(self.last, held);
    }

    /// The messages of a queue that a worker could be given.
    pub(super) fn visible(&self, queue: Queue, now_ms: i64) -> Vec<u64> {
        self.messages
            .iter()
            .filter(|(_, held)| !held.dead && held.is(queue, now_ms))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The first message of a dead-letter queue that its function could be given.
    pub(super) fn visible_dead(&self, queue: Queue, now_ms: i64) -> Option<u64> {
        self.messages.iter().find(|(_, held)| held.dead && held.is(queue, now_ms)).map(|(id, _)| *id)
    }

    /// Buries a message that has been received so often.
    pub(super) fn bury(&mut self, id: u64, most_receives: u32) -> bool {
        let Some(held) = self.messages.get_mut(&id) else { return false };
        // Receipts are not bodies: whoever reads a dead one could not understand it.
        held.dead = held.receives >= most_receives && matches!(held.carried, Carried::Body(_));
        held.dead
    }

    /// Hands a message to a worker, and hides it from others until then.
    pub(super) fn hand_out(&mut self, id: u64, hidden_until_ms: i64) -> Option<Carried> {
        let held = self.messages.get_mut(&id)?;
        held.visible_ms = hidden_until_ms;
        held.receives += 1;
        Some(held.carried.clone())
    }

    pub(super) fn delete(&mut self, id: u64) {
        self.messages.remove(&id);
    }

    /// When the next message becomes visible that is not yet.
    pub(super) fn next_ms(&self, now_ms: i64) -> Option<i64> {
        self.messages.values().map(|held| held.visible_ms).filter(|at_ms| *at_ms > now_ms).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
