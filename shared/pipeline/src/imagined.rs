//! A pipeline that changes nothing: over a table that keeps writes to itself, with a clock that is set, and queues that lead
//! nowhere. What it decides is what the real one would decide then; [`crate::forecast`] asks it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use carillon_domain::Timestamp;

use crate::context::{Pipeline, Remembered};
use crate::ports::{
    Check, Clock, Item, Key, Message, Page, Query, Queue, QueueError, Queues, Registration, ScheduleError,
    Schedules, StoreError, Table, TransactError, Write,
};

/// A clock that stands where it was set.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.as_millisecond(), Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        // Only instants of the same type go in.
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap_or(Timestamp::MAX)
    }
}

impl Pipeline {
    /// The same pipeline, imagined; and its clock, which stands at now.
    pub(crate) fn imagined(&self) -> (Self, Arc<SetClock>) {
        let clock = Arc::new(SetClock(AtomicI64::new(self.now().as_millisecond())));
        let table = Beside { under: Arc::clone(&self.table), written: Mutex::default() };
        let imagined = Self {
            table: Arc::new(table),
            queues: Arc::new(Nowhere),
            secrets: Arc::clone(&self.secrets),
            renderer: Arc::clone(&self.renderer),
            clock: clock.clone(),
            schedules: Arc::new(Nowhere),
            entropy: Arc::clone(&self.entropy),
            hash_key: self.hash_key.clone(),
            leases_void_before: None,
            pace: self.pace,
            public_url: self.public_url.clone(),
            remembered: Remembered::default(),
        };
        (imagined, clock)
    }
}

/// What was written, over what is stored. Queries see only what is stored: nothing that is imagined is looked up in a list.
struct Beside {
    under: Arc<dyn Table>,
    written: Mutex<HashMap<Key, Option<Item>>>,
}

impl Beside {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Option<Item>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn checked(&self, write: &Write) -> Result<Option<Item>, StoreError> {
        let found = self.get(write.key()).await?;
        let holds = |check: &Check| {
            let value = |name: &str| found.as_ref().and_then(|item| item.get(name));
            match check {
                Check::Absent => found.is_none(),
                Check::Present => found.is_some(),
                Check::Equals(name, wanted) => value(name) == Some(wanted),
                Check::OneOf(name, wanted) => value(name).is_some_and(|value| wanted.contains(value)),
                Check::Missing(name) => value(name).is_none(),
            }
        };
        if write.only_if().iter().all(holds) { Ok(found) } else { Err(StoreError::Conflict(found)) }
    }

    fn apply(&self, write: Write, found: Option<Item>) -> Item {
        let (key, after, answer) = match write {
            Write::Put { key, item, .. } => (key, Some(item), Item::new()),
            Write::Delete { key, .. } => (key, None, Item::new()),
            Write::Update { key, set, add, remove, .. } => {
                let mut item = found.unwrap_or_default();
                item.extend(set);
                for (name, more) in add {
                    let sum = item.get(&name).and_then(serde_json::Value::as_i64).unwrap_or_default() + more;
                    item.insert(name, sum.into());
                }
                item.retain(|name, _| !remove.contains(name));
                (key, Some(item.clone()), item)
            }
        };
        self.lock().insert(key, after);
        answer
    }
}

#[async_trait]
impl Table for Beside {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let written = self.lock().get(key).cloned();
        match written {
            Some(item) => Ok(item),
            None => self.under.get(key).await,
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        let mut items = self.under.get_many(keys).await?;
        let written = self.lock();
        for (key, item) in keys.iter().zip(&mut items) {
            if let Some(known) = written.get(key) {
                item.clone_from(known);
            }
        }
        Ok(items)
    }

    async fn write(&self, write: Write) -> Result<Item, StoreError> {
        let found = self.checked(&write).await?;
        Ok(self.apply(write, found))
    }

    async fn write_each(&self, writes: Vec<Write>) -> Vec<Result<Item, StoreError>> {
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            answers.push(self.write(write).await);
        }
        answers
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        let mut found = Vec::with_capacity(writes.len());
        for (at, write) in writes.iter().enumerate() {
            match self.checked(write).await {
                Ok(item) => found.push(item),
                Err(StoreError::Conflict(found)) => return Err(TransactError::Conflict { at, found }),
                Err(error) => return Err(error.into()),
            }
        }
        for (write, found) in writes.into_iter().zip(found) {
            self.apply(write, found);
        }
        Ok(())
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.under.query(query).await
    }
}

/// Where nothing arrives.
struct Nowhere;

#[async_trait]
impl Queues for Nowhere {
    async fn send(&self, _: Queue, _: Vec<Message>) -> Result<(), QueueError> {
        Ok(())
    }
}

#[async_trait]
impl Schedules for Nowhere {
    async fn put(&self, _: &Registration) -> Result<(), ScheduleError> {
        Ok(())
    }

    async fn delete(&self, _: &str) -> Result<bool, ScheduleError> {
        Ok(false)
    }

    async fn has(&self, _: &str) -> Result<bool, ScheduleError> {
        Ok(false)
    }
}
