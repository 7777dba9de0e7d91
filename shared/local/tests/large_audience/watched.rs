//! The ports between pipeline and model, watched: how much one call is given or answers, and what is sent to queues.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carillon_local::model::ModelTable;
use carillon_pipeline::EventWork;
use carillon_pipeline::ports::{
    Item, Key, Message, Page, Query, Queue, QueueError, Queues, StoreError, Table, TransactError, Write,
};

/// SQS's bound of a batch; it takes 1 MiB as well.
const ENTRIES_A_BATCH: usize = 10;

/// What was seen since the watching began.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The most items that a call of a port was given or answered, by what it does. Pages of members and deliveries
    /// have as many as there are, up to their bound, so of queries the bound is kept.
    pub largest: BTreeMap<&'static str, usize>,
    /// Calls of the queue port for deliveries.
    pub sends: usize,
    /// Messages in them.
    pub messages: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
    /// The calls of SQS that they take.
    pub batches: usize,
    /// Messages that cut the audience into parts.
    pub parts: usize,
}

impl Seen {
    fn of(&mut self, what: &'static str, items: usize) {
        let largest = self.largest.entry(what).or_default();
        *largest = items.max(*largest);
    }
}

/// The model, and a queue that keeps events and counts deliveries.
#[derive(Default)]
pub struct Watched {
    pub table: ModelTable,
    seen: Mutex<Seen>,
    events: Mutex<VecDeque<Message>>,
}

impl Watched {
    /// What was seen since this was last asked.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The next message on the events queue.
    pub fn next_event(&self) -> Option<EventWork> {
        let message = self.events.lock().unwrap().pop_front()?;
        Some(serde_json::from_str(&message.body).unwrap())
    }

    fn saw(&self, what: &'static str, items: usize) {
        self.seen.lock().unwrap().of(what, items);
    }
}

/// The ports, which are shared with the pipeline.
pub struct Ports(pub Arc<Watched>);

#[async_trait]
impl Table for Ports {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.0.table.get(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        self.0.saw("get_many", keys.len());
        self.0.table.get_many(keys).await
    }

    async fn write(&self, write: Write) -> Result<Item, StoreError> {
        self.0.table.write(write).await
    }

    async fn write_each(&self, writes: Vec<Write>) -> Vec<Result<Item, StoreError>> {
        self.0.saw("write_each", writes.len());
        self.0.table.write_each(writes).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        self.0.saw("transact", writes.len());
        self.0.table.transact(writes).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.0.saw("query", query.limit);
        self.0.table.query(query).await
    }
}

#[async_trait]
impl Queues for Ports {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        let mut seen = self.0.seen.lock().unwrap();
        if queue == Queue::Events {
            seen.parts += messages.len();
            self.0.events.lock().unwrap().extend(messages);
            return Ok(());
        }
        seen.of("send", messages.len());
        seen.sends += 1;
        seen.messages += messages.len();
        seen.bytes += messages.iter().map(|m| m.body.len()).sum::<usize>();
        let batch_bytes = |batch: &[Message]| batch.iter().map(|m| m.body.len()).sum::<usize>();
        let batches = messages.chunks(ENTRIES_A_BATCH);
        assert!(batches.clone().all(|batch| batch_bytes(batch) <= Message::MAX_BYTES));
        seen.batches += batches.len();
        Ok(())
    }
}
