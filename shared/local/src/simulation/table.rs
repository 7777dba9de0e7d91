//! The table of a run: a real one below, and above it everything that can happen on the way to it and back. Every write
//! that was made is shown to [`super::watch`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use carillon_pipeline::ports::{
    Check, Index, Item, Key, Page, Query, StoreError, Table, TransactError, Write,
};
use serde_json::json;

use super::core::Sim;
use super::faults::Fault;
use super::mutation::Mutation;

const USUAL_MS: (i64, i64) = (1, 15);

/// A read that may be a moment old is not older than this.
const MOMENT_MS: i64 = 1_000;

pub(super) struct SimTable {
    sim: Sim,
    inner: Arc<dyn Table>,
    /// What was written, by key.
    written: Mutex<BTreeMap<Key, Written>>,
}

/// The latest write of a key.
struct Written {
    before: Option<Item>,
    after: Option<Item>,
    at_ms: i64,
}

impl SimTable {
    pub(super) fn on(sim: Sim, inner: Arc<dyn Table>) -> Self {
        Self { sim, inner, written: Mutex::default() }
    }

    fn refused(&self, what: &str) -> Result<(), StoreError> {
        if self.sim.core().strikes_at(Fault::TableRefuses, what) {
            return Err(StoreError::Unavailable("throttled".to_owned()));
        }
        Ok(())
    }

    async fn before(&self, what: &str) -> Result<(), StoreError> {
        self.sim.turn(USUAL_MS, what).await;
        self.sim.may_be_killed(Fault::KilledBefore, what).await;
        self.refused(what)
    }

    async fn after(&self, what: &str) -> Result<(), StoreError> {
        self.sim.may_be_killed(Fault::KilledAfter, what).await;
        if self.sim.core().strikes_at(Fault::WriteAnswerLost, what) {
            return Err(StoreError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(())
    }

    async fn read(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.sim.outside(self.inner.get(key)).await
    }

    fn writes(&self) -> MutexGuard<'_, BTreeMap<Key, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The item as it is: everybody who writes it comes through here.
    async fn current(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let written = self.writes().get(key).map(|written| written.after.clone());
        match written {
            Some(item) => Ok(item),
            None => self.read(key).await,
        }
    }

    /// The item as it was before its latest write, when that was a moment ago and the read is unlucky.
    fn aged(&self, key: &Key, item: Option<Item>) -> Option<Item> {
        let writes = self.writes();
        let Some(written) = writes.get(key) else { return item };
        let mut core = self.sim.core();
        let recent = core.now_ms - written.at_ms <= MOMENT_MS;
        if recent && core.strikes_at(Fault::StaleRead, key.sk()) { written.before.clone() } else { item }
    }

    fn bent_read(&self, key: &Key, item: Option<Item>) -> Option<Item> {
        let mut item = item?;
        match self.sim.core().mutation {
            Some(Mutation::SwitchesIgnored) if key.sk() == "SWITCHES" => {
                item.insert("switches".to_owned(), json!([]));
            }
            Some(Mutation::WindowsStayOpen) if key.sk().starts_with("WINDOW#") => {
                let until_ms = item.get("until").and_then(serde_json::Value::as_i64).unwrap_or(0);
                item.insert("until".to_owned(), json!(until_ms + 3 * super::scenario::DAY_MS));
            }
            Some(Mutation::OptOutsIgnored) if item.contains_key("preferences") => {
                drop(item.remove("preferences"));
            }
            Some(Mutation::ParkingIgnored) if item.get("category") == Some(&json!("marketing")) => {
                item.insert("category".to_owned(), json!("transactional"));
            }
            Some(Mutation::ParkingIgnored)
                if item.get("in_doubt").is_some_and(serde_json::Value::is_string) =>
            {
                item.insert("in_doubt".to_owned(), json!("resend"));
            }
            _ => {}
        }
        Some(item)
    }

    /// What a mutation makes of a write; none when it is answered and not made.
    fn bent(&self, write: Write) -> Option<Write> {
        let Some(mutation) = self.sim.core().mutation else { return Some(write) };
        let mut write = write;
        let is_delivery = write.key().sk().starts_with("D#");
        match (&mut write, mutation) {
            (Write::Update { only_if, .. }, Mutation::RevisionsIgnored) if is_delivery => only_if.clear(),
            (Write::Put { only_if, .. }, Mutation::AbsenceIgnored) => {
                only_if.retain(|check| *check != Check::Absent);
            }
            (Write::Update { set, .. }, Mutation::ClaimNotWritten) if sets(set, "state", "sending") => {
                return None;
            }
            (Write::Update { set, .. }, Mutation::ResultNotWritten) if sets(set, "state", "sent") => {
                return None;
            }
            (Write::Put { key, .. }, Mutation::EventNotWritten) if key.sk() == "EVENT" => return None,
            (Write::Put { key, .. }, Mutation::CancelNotWritten) if key.sk() == "CANCELLED" => return None,
            (Write::Update { set, .. }, Mutation::CancelNotWritten) if sets(set, "state", "cancelled") => {
                return None;
            }
            (Write::Update { set, .. }, Mutation::ResendsNotCounted) if is_delivery => {
                set.retain(|(name, _)| name != "resends");
            }
            (Write::Update { set, .. }, Mutation::TriesNotCounted) if is_delivery => {
                set.retain(|(name, _)| name != "tries");
            }
            (Write::Update { set, .. }, Mutation::EndsTakenBack) if sets(set, "state", "failed") => {
                set.iter_mut()
                    .filter(|(name, _)| name == "state")
                    .for_each(|(_, value)| *value = json!("pending"));
                set.retain(|(name, _)| name != "reason");
            }
            _ => {}
        }
        Some(write)
    }

    async fn one(&self, write: Write) -> Result<Item, StoreError> {
        let what = described(&write);
        self.before(&what).await?;
        let Some(write) = self.bent(write) else { return Ok(Item::new()) };
        let key = write.key().clone();
        let before = self.current(&key).await?;
        let answer = self.sim.outside(self.inner.write(write.clone())).await;
        let answer = match answer {
            Ok(done) => {
                self.observe(&key, before, done_item(&write, &done));
                if self.sim.core().strikes_at(Fault::WriteRepeated, &what) {
                    let before = self.current(&key).await?;
                    let again = self.sim.outside(self.inner.write(write.clone())).await;
                    if let Ok(done) = &again {
                        self.observe(&key, before, done_item(&write, done));
                    }
                    again
                } else {
                    Ok(done)
                }
            }
            failed => failed,
        };
        self.after(&what).await?;
        answer
    }

    fn observe(&self, key: &Key, before: Option<Item>, after: Option<Item>) {
        let mut core = self.sim.core();
        let at_ms = core.now_ms;
        core.story.mark(key.sk().as_bytes());
        super::watch::written(&mut core, key, before.as_ref(), after.as_ref());
        drop(core);
        self.writes().insert(key.clone(), Written { before, after, at_ms });
    }
}

fn sets(set: &[(String, serde_json::Value)], name: &str, value: &str) -> bool {
    set.iter().any(|(set, to)| set == name && *to == json!(value))
}

/// The item after a write that was made.
fn done_item(write: &Write, answer: &Item) -> Option<Item> {
    match write {
        Write::Put { item, .. } => Some(item.clone()),
        Write::Update { .. } => Some(answer.clone()),
        Write::Delete { .. } => None,
    }
}

fn described(write: &Write) -> String {
    let verb = match write {
        Write::Put { .. } => "put",
        Write::Update { .. } => "update",
        Write::Delete { .. } => "delete",
    };
    format!("{verb} {}", write.key().sk())
}

#[async_trait]
impl Table for SimTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.before("get").await?;
        Ok(self.bent_read(key, self.read(key).await?))
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        self.before("get many").await?;
        let items = self.sim.outside(self.inner.get_many(keys)).await?;
        let seen = keys.iter().zip(items).map(|(key, item)| self.bent_read(key, self.aged(key, item)));
        Ok(seen.collect())
    }

    async fn write(&self, write: Write) -> Result<Item, StoreError> {
        self.one(write).await
    }

    async fn write_each(&self, writes: Vec<Write>) -> Vec<Result<Item, StoreError>> {
        let mut open: Vec<(usize, Write)> = writes.into_iter().enumerate().collect();
        let mut answers = Vec::with_capacity(open.len());
        while !open.is_empty() {
            let next = self.sim.core().chance.below(open.len());
            let (place, write) = open.swap_remove(next);
            answers.push((place, self.one(write).await));
        }
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        let what = writes.iter().map(described).collect::<Vec<_>>().join(", ");
        self.before(&what).await?;
        let writes: Vec<Write> = writes.into_iter().filter_map(|write| self.bent(write)).collect();
        let mut before = Vec::with_capacity(writes.len());
        for write in &writes {
            before.push(self.current(write.key()).await?);
        }
        let answer = self.sim.outside(self.inner.transact(writes.clone())).await;
        if answer.is_ok() {
            for (write, before) in writes.iter().zip(before) {
                let after = self.read(write.key()).await?;
                self.observe(write.key(), before, after);
            }
        }
        self.after(&what).await?;
        answer
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let page = self.sim.outside(self.inner.query(query)).await?;
        // Most shards of due work are empty: who reads nothing takes part in no race.
        if query.index != Index::Attention || !page.items.is_empty() {
            self.before("query").await?;
        }
        Ok(page)
    }
}
