//! [`ModelTable`]: the [`Table`] port on maps behind a mutex. Nothing in it waits, so a single-threaded scheduler that
//! runs the pipeline on it decides every order itself; what was spent is there to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use carillon_pipeline::ports::{Index, Item, Key, Page, Query, StoreError, Table, TransactError, Write};

use super::change::{self, refused};
use super::meter::{self, Operation, Tally, item_size};
use super::places::{Places, projected};

/// DynamoDB's bound of a transaction.
const WRITES_PER_TRANSACTION: usize = 100;

/// The table in memory.
#[derive(Debug, Default)]
pub struct ModelTable(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Key, Item>,
    places: Places,
    tally: Tally,
}

impl ModelTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A table that holds these items already.
    #[must_use]
    pub fn holding(items: BTreeMap<Key, Item>) -> Self {
        let table = Self::new();
        let mut state = table.state();
        for (key, item) in items {
            state.store(&key, Some(item));
        }
        drop(state);
        table
    }

    /// Everything that is stored.
    #[must_use]
    pub fn items(&self) -> BTreeMap<Key, Item> {
        self.state().items.clone()
    }

    /// What was spent since this was last asked.
    #[must_use]
    pub fn take_tally(&self) -> Tally {
        std::mem::take(&mut self.state().tally)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Table for ModelTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.state().get(key)
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        self.state().get_many(keys)
    }

    async fn write(&self, write: Write) -> Result<Item, StoreError> {
        self.state().write(&write)
    }

    async fn write_each(&self, writes: Vec<Write>) -> Vec<Result<Item, StoreError>> {
        let mut state = self.state();
        writes.iter().map(|write| state.write(write)).collect()
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        self.state().transact(&writes)
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.state().query(query)
    }
}

impl State {
    fn get(&mut self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.tally.called(Operation::GetItem, 1);
        change::key_fault(key)?;
        let found = self.items.get(key);
        self.tally.read(Operation::GetItem, meter::read_units(found.map_or(0, |item| item_size(key, item))));
        Ok(found.cloned())
    }

    fn get_many(&mut self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        self.tally.called(Operation::BatchGetItem, meter::batches(keys));
        keys.iter().try_for_each(change::key_fault)?;
        for key in keys.iter().collect::<BTreeSet<_>>() {
            let bytes = self.items.get(key).map_or(0, |item| item_size(key, item));
            self.tally.read(Operation::BatchGetItem, meter::read_units(bytes) / 2.0);
        }
        Ok(keys.iter().map(|key| self.items.get(key).cloned()).collect())
    }

    fn write(&mut self, write: &Write) -> Result<Item, StoreError> {
        let (operation, key) = (Operation::of(write), write.key());
        self.tally.called(operation, 1);
        change::fault(write)?;
        let stored = self.items.get(key);
        match change::after(write, stored) {
            Ok(after) => {
                let units = meter::table_units(key, stored, after.as_ref());
                self.tally.wrote(operation, units + meter::index_units(key, stored, after.as_ref()));
                let answer = match write {
                    Write::Update { .. } => after.clone().unwrap_or_default(),
                    Write::Put { .. } | Write::Delete { .. } => Item::new(),
                };
                self.store(key, after);
                Ok(answer)
            }
            Err(error) => {
                if matches!(error, StoreError::Conflict(_)) {
                    // A check that fails is paid by what was found.
                    self.tally.wrote(operation, meter::table_units(key, stored, None));
                }
                Err(error)
            }
        }
    }

    fn transact(&mut self, writes: &[Write]) -> Result<(), TransactError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.tally.called(Operation::TransactWriteItems, 1);
        transaction_fault(writes)?;
        let afters = writes.iter().map(|write| change::after(write, self.items.get(write.key())));
        let afters: Vec<Result<Option<Item>, StoreError>> = afters.collect();
        let failed = afters.iter().any(Result::is_err);
        for (write, after) in writes.iter().zip(&afters) {
            let (key, stored) = (write.key(), self.items.get(write.key()));
            let after = after.as_ref().ok().filter(|_| !failed);
            let after = after.map_or(stored, Option::as_ref);
            let units = 2 * meter::table_units(key, stored, after) + meter::index_units(key, stored, after);
            self.tally.wrote(Operation::TransactWriteItems, units);
        }
        // A check that failed is named before a write that could never be made.
        for (at, after) in afters.iter().enumerate() {
            if let Err(StoreError::Conflict(found)) = after {
                return Err(TransactError::Conflict { at, found: found.clone() });
            }
        }
        let afters = afters.into_iter().collect::<Result<Vec<_>, _>>()?;
        for (write, after) in writes.iter().zip(afters) {
            self.store(write.key(), after);
        }
        Ok(())
    }

    fn query(&mut self, query: &Query) -> Result<Page, StoreError> {
        self.tally.called(Operation::Query, 1);
        let (keys, next) = self.places.page(query)?;
        let found = keys.into_iter().filter_map(|key| {
            let item = projected(query.index, self.items.get(&key)?);
            Some((key, item))
        });
        let items: Vec<(Key, Item)> = found.collect();
        let units = meter::read_units(items.iter().map(|(key, item)| item_size(key, item)).sum());
        self.tally.read(Operation::Query, if query.index == Index::Table { units } else { units / 2.0 });
        Ok(Page { items, next })
    }

    fn store(&mut self, key: &Key, after: Option<Item>) {
        self.places.moved(key, self.items.get(key), after.as_ref());
        match after {
            Some(item) => drop(self.items.insert(key.clone(), item)),
            None => drop(self.items.remove(key)),
        }
    }
}

/// What is wrong with a transaction, whatever is stored.
fn transaction_fault(writes: &[Write]) -> Result<(), StoreError> {
    if writes.len() > WRITES_PER_TRANSACTION {
        return Err(refused("a transaction has more than 100 writes"));
    }
    writes.iter().try_for_each(change::fault)?;
    if writes.iter().any(change::is_empty_update) {
        return Err(refused("an update of a transaction changes nothing"));
    }
    let keys: BTreeSet<&Key> = writes.iter().map(Write::key).collect();
    if keys.len() < writes.len() { Err(refused("a transaction writes an item twice")) } else { Ok(()) }
}
