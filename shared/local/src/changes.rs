//! The stream of the table: [`WatchedTable`] notes every change of a delivery in the journal, and [`count`] feeds statistics
//! from there, as the mapping in template.yaml does from DynamoDB's stream. The embedded engine has streams of its own,
//! which read all earlier records for every write, and keep them for ever.
//!
//! A change is noted after it was written: a kill in between loses one from the counters, never from the table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use carillon_aws::stream;
use carillon_pipeline::ports::{
    Check, Clock, Item, Key, Page, Query, StoreError, Table, TransactError, Write,
};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::clock::activity::{Activity, Work};
use crate::journal::{Journal, JournalError, chain};
use crate::model::after;

/// Records that statistics is given at a time.
const BATCH: usize = 100;

/// How long the mapping waits after a failure.
const WAIT: Duration = Duration::from_secs(1);

/// Deliveries whose last form is remembered; of the others it is read before they change.
const REMEMBERED: usize = 20_000;

/// What the records of this stream call its one shard.
const SHARD: &str = "shardId-dev";

/// The changes that have not been counted yet.
pub struct ChangeLog {
    journal: Arc<Journal>,
    activity: Arc<Activity>,
    behind: Mutex<Behind>,
    added: Notify,
}

/// What has not been counted yet.
#[derive(Default)]
struct Behind {
    records: u64,
    /// Somebody is at work as long as there are any: a clock moved by hand waits for that.
    work: Option<Arc<Work>>,
}

impl ChangeLog {
    /// The log in a journal, with what an earlier process left there.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn open(
        journal: Arc<Journal>,
        activity: Arc<Activity>,
    ) -> Result<Arc<Self>, JournalError> {
        let left = journal.run(|c| c.query_row("SELECT count(*) FROM change", [], |row| row.get(0))).await?;
        let log = Self { journal, activity, behind: Mutex::default(), added: Notify::new() };
        log.came(left);
        Ok(Arc::new(log))
    }

    /// A log that nobody's clock waits for.
    ///
    /// # Errors
    /// As [`ChangeLog::open`].
    pub async fn alone(journal: Arc<Journal>) -> Result<Arc<Self>, JournalError> {
        Self::open(journal, Arc::default()).await
    }

    fn came(&self, records: u64) {
        let mut behind = self.behind();
        behind.records += records;
        if behind.records > 0 && behind.work.is_none() {
            behind.work = Some(self.activity.begin(None));
        }
    }

    fn went(&self, records: u64) {
        let mut behind = self.behind();
        behind.records -= records.min(behind.records);
        if behind.records == 0 {
            behind.work = None;
        }
    }

    fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn add(&self, changes: Vec<Noted>) -> Result<(), JournalError> {
        let count = changes.len() as u64;
        self.came(count);
        let added = self.journal.run(move |connection| {
            let transaction = connection.transaction()?;
            for Noted { key, before, after } in &changes {
                // The record's number is the row's, which only grows.
                transaction.execute("INSERT INTO change (record) VALUES ('')", [])?;
                let id = transaction.last_insert_rowid();
                let record = stream::record(id, key, before.as_ref(), after.as_ref());
                transaction
                    .execute("UPDATE change SET record = ?1 WHERE id = ?2", (record.to_string(), id))?;
            }
            transaction.commit()
        });
        if let Err(error) = added.await {
            self.went(count);
            return Err(error);
        }
        self.added.notify_one();
        Ok(())
    }

    /// The next records as Lambda would get them, and the last one's number; none when there are none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn next_event(&self) -> Result<Option<(Value, i64)>, JournalError> {
        let rows = self.journal.run(|connection| {
            let mut select = connection.prepare("SELECT id, record FROM change ORDER BY id LIMIT ?1")?;
            let rows =
                select.query_map([BATCH], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        let rows = rows.await?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        let last = *last;
        // Written by us; a row that is no JSON would be a record that cannot be read.
        let records: Vec<Value> =
            rows.iter().map(|(_, record)| serde_json::from_str(record).unwrap_or_default()).collect();
        Ok(Some((json!({"shardId": SHARD, "Records": records}), last)))
    }

    /// Forgets what has been counted.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn forget(&self, last: i64) -> Result<(), JournalError> {
        let gone = self
            .journal
            .run(move |connection| connection.execute("DELETE FROM change WHERE id <= ?1", [last]));
        self.went(gone.await? as u64);
        Ok(())
    }
}

/// Feeds statistics until told to stop.
pub(crate) async fn count(
    log: Arc<ChangeLog>,
    table: Arc<dyn Table>,
    clock: Arc<dyn Clock>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let worked = work(&log, table.as_ref(), clock.as_ref()).await;
        let pause = match &worked {
            Ok(true) => continue,
            Ok(false) => Duration::MAX,
            Err(error) => {
                tracing::warn!(error = %error, "statistics failed its batch, which comes again");
                WAIT
            }
        };
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            () = log.added.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Works the next batch. Answers whether there was one.
async fn work(log: &ChangeLog, table: &dyn Table, clock: &dyn Clock) -> Result<bool, String> {
    let Some((event, last)) = log.next_event().await.map_err(|error| chain(&error))? else {
        return Ok(false);
    };
    statistics::handle(table, &event, clock.now()).await.map_err(|error| error.to_string())?;
    log.forget(last).await.map_err(|error| chain(&error))?;
    Ok(true)
}

/// A table whose changes of deliveries are noted.
pub struct WatchedTable {
    table: Arc<dyn Table>,
    log: Arc<ChangeLog>,
    /// The last form of a delivery that was written here.
    known: Mutex<HashMap<Key, Item>>,
}

/// A change of a delivery.
struct Noted {
    key: Key,
    before: Option<Item>,
    after: Option<Item>,
}

impl WatchedTable {
    /// Watches a table.
    #[must_use]
    pub fn over(table: Arc<dyn Table>, log: Arc<ChangeLog>) -> Self {
        Self { table, log, known: Mutex::default() }
    }

    /// The delivery that a write will change, if it does: a write that follows another revision conflicts.
    async fn before(&self, write: &Write) -> Result<Option<Item>, StoreError> {
        let follows = write.only_if().iter().find_map(|check| match check {
            Check::Equals("rev", rev) => Some(rev.clone()),
            _ => None,
        });
        if write.only_if().contains(&Check::Absent) {
            return Ok(None);
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(write.key()).cloned();
        match known.filter(|item| follows.is_some() && item.get("rev") == follows.as_ref()) {
            Some(known) => Ok(Some(known)),
            None => self.table.get(write.key()).await,
        }
    }

    async fn befores(&self, writes: &[Write]) -> Result<Vec<Option<Item>>, StoreError> {
        let mut befores = Vec::with_capacity(writes.len());
        for write in writes {
            befores.push(if is_delivery(write) { self.before(write).await? } else { None });
        }
        Ok(befores)
    }

    async fn note(&self, changes: Vec<Noted>) {
        if changes.is_empty() {
            return;
        }
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() > REMEMBERED {
                known.clear();
            }
            for Noted { key, after, .. } in &changes {
                match after {
                    Some(after) => drop(known.insert(key.clone(), after.clone())),
                    None => drop(known.remove(key)),
                }
            }
        }
        if let Err(error) = self.log.add(changes).await {
            tracing::error!(error = %chain(&error), "a change was not noted; statistics will not count it");
        }
    }
}

fn is_delivery(write: &Write) -> bool {
    write.key().sk().starts_with("D#")
}

fn noted(write: &Write, before: Option<Item>, answer: Result<&Item, ()>) -> Option<Noted> {
    let answer = answer.ok().filter(|_| is_delivery(write))?;
    let after = match write {
        Write::Put { item, .. } => Some(item.clone()),
        Write::Update { .. } => Some(answer.clone()),
        Write::Delete { .. } => None,
    };
    Some(Noted { key: write.key().clone(), before, after })
}

#[async_trait]
impl Table for WatchedTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.table.get(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        self.table.get_many(keys).await
    }

    async fn write(&self, write: Write) -> Result<Item, StoreError> {
        let mut answers = self.write_each(vec![write]).await;
        answers.pop().unwrap_or_else(|| Err(StoreError::Unavailable("a write was not answered".to_owned())))
    }

    async fn write_each(&self, writes: Vec<Write>) -> Vec<Result<Item, StoreError>> {
        if !writes.iter().any(is_delivery) {
            return self.table.write_each(writes).await;
        }
        let befores = match self.befores(&writes).await {
            Ok(befores) => befores,
            Err(error) => return writes.iter().map(|_| Err(error.clone())).collect(),
        };
        let answers = self.table.write_each(writes.clone()).await;
        let changes =
            writes.iter().zip(befores).zip(&answers).filter_map(|((write, before), answer)| {
                noted(write, before, answer.as_ref().map_err(|_| ()))
            });
        self.note(changes.collect()).await;
        answers
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        let befores = self.befores(&writes).await?;
        self.table.transact(writes.clone()).await?;
        let changes = writes.iter().zip(befores).filter_map(|(write, before)| {
            // It was written, so its checks held.
            let answer = after(write, before.as_ref()).ok()?.unwrap_or_default();
            noted(write, before, Ok(&answer))
        });
        self.note(changes.collect()).await;
        Ok(())
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.table.query(query).await
    }
}
