//! What DynamoDB bills: the size of an item, the units of a read or write, and a tally of them by operation. Reads the
//! forms of an item before and after; [`ModelTable`](super::ModelTable) keeps the tally.
//!
//! Sizes and units as in AWS's "DynamoDB item sizes and formats" and "Read and write operations". A transaction pays
//! twice for the table and once for an index, as the embedded engine measured on AWS; `tests/model/` compares the two.

use std::collections::{BTreeMap, BTreeSet};

use carillon_pipeline::ports::{Index, Item, Key, Write};
use serde_json::{Number, Value};

use super::places::{SECONDARY, place, projected};

const WRITE_UNIT_BYTES: usize = 1_024;
const READ_UNIT_BYTES: usize = 4_096;
const KEYS_PER_BATCH: usize = 100;

/// A call that DynamoDB bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is DynamoDB's operation of the same name")]
pub enum Operation {
    GetItem,
    BatchGetItem,
    PutItem,
    UpdateItem,
    DeleteItem,
    TransactWriteItems,
    Query,
}

impl Operation {
    /// The operation of a write that is sent alone.
    #[must_use]
    pub fn of(write: &Write) -> Self {
        match write {
            Write::Put { .. } => Self::PutItem,
            Write::Update { .. } => Self::UpdateItem,
            Write::Delete { .. } => Self::DeleteItem,
        }
    }
}

/// What some calls cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Calls, also those that were refused or conflicted.
    pub calls: u64,
    /// Write units of the table and its indexes.
    pub write_units: u64,
    /// Read units: halves for reads that may be a moment old.
    pub read_units: f64,
}

/// What was spent, by operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally(BTreeMap<Operation, Spent>);

impl Tally {
    /// What one operation cost.
    #[must_use]
    pub fn of(&self, operation: Operation) -> Spent {
        self.0.get(&operation).copied().unwrap_or_default()
    }

    /// What everything cost.
    #[must_use]
    pub fn total(&self) -> Spent {
        self.0.values().fold(Spent::default(), |sum, spent| Spent {
            calls: sum.calls + spent.calls,
            write_units: sum.write_units + spent.write_units,
            read_units: sum.read_units + spent.read_units,
        })
    }

    pub(super) fn called(&mut self, operation: Operation, calls: usize) {
        self.0.entry(operation).or_default().calls += calls as u64;
    }

    pub(super) fn wrote(&mut self, operation: Operation, units: u64) {
        self.0.entry(operation).or_default().write_units += units;
    }

    pub(super) fn read(&mut self, operation: Operation, units: f64) {
        self.0.entry(operation).or_default().read_units += units;
    }
}

/// The size of an item with its key, in bytes.
#[must_use]
pub fn item_size(key: &Key, item: &Item) -> usize {
    let own = "pk".len() + key.pk().len() + "sk".len() + key.sk().len();
    own + item.iter().map(|(name, value)| name.len() + value_size(value)).sum::<usize>()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(number) => number_size(number),
        Value::String(text) => text.len(),
        Value::Array(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        Value::Object(fields) => {
            3 + fields.iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>()
        }
    }
}

/// A byte for two significant digits, one more, and one for a sign. AWS says "approximately".
fn number_size(number: &Number) -> usize {
    if number.as_f64().is_some_and(|float| number.is_f64() && float.fract() == 0.0) {
        // The adapter keeps such a float as its eight bytes.
        return 8;
    }
    let text = number.to_string();
    let digits: String =
        text.chars().take_while(|c| !matches!(c, 'e' | 'E')).filter(char::is_ascii_digit).collect();
    let significant = digits.trim_matches('0').len();
    significant.div_ceil(2) + 1 + usize::from(text.starts_with('-'))
}

/// What a write costs the table: by the larger form of the item, and a unit at least.
pub(super) fn table_units(key: &Key, before: Option<&Item>, after: Option<&Item>) -> u64 {
    let forms = [before, after].into_iter().flatten();
    forms.map(|item| write_units(item_size(key, item))).max().unwrap_or(1)
}

/// What a write costs the indexes: nothing where the item keeps its place, since they hold nothing but keys.
pub(super) fn index_units(key: &Key, before: Option<&Item>, after: Option<&Item>) -> u64 {
    let cost = |index: Index| {
        let entry = |item: Option<&Item>| {
            let item = item?;
            Some((place(index, key, item)?, write_units(item_size(key, &projected(index, item)))))
        };
        match (entry(before), entry(after)) {
            (None, None) => 0,
            (None, Some((_, units))) | (Some((_, units)), None) => units,
            (Some((old, _)), Some((new, _))) if old == new => 0,
            // A move is a delete and a put.
            (Some((_, old)), Some((_, new))) => old + new,
        }
    };
    SECONDARY.into_iter().map(cost).sum()
}

fn write_units(bytes: usize) -> u64 {
    bytes.div_ceil(WRITE_UNIT_BYTES).max(1) as u64
}

/// What a strongly consistent read of so many bytes costs; half of it may be a moment old.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
pub(super) fn read_units(bytes: usize) -> f64 {
    bytes.div_ceil(READ_UNIT_BYTES).max(1) as f64
}

/// How many calls read these keys; doubles are asked for once.
pub(super) fn batches(keys: &[Key]) -> usize {
    keys.iter().collect::<BTreeSet<_>>().len().div_ceil(KEYS_PER_BATCH)
}
