//! What a [`Write`] makes of a stored item, or why it does not happen. Reads the write and what is stored; `table`
//! stores the answer. The rules are DynamoDB's, with the adapter's own: a null at the top is an attribute that is not
//! there.

use std::collections::BTreeSet;

use carillon_pipeline::ports::{Check, Item, Key, StoreError, Write};
use serde_json::Value;

use super::meter::item_size;
use super::places::SECONDARY;

/// DynamoDB's bounds, in bytes.
const PARTITION_KEY_BYTES: usize = 2_048;
const SORT_KEY_BYTES: usize = 1_024;
const ITEM_BYTES: usize = 400 * 1_024;

/// DynamoDB's bound on lists and maps within each other.
const LEVELS: usize = 32;

/// What is wrong with a key, whatever is stored.
pub(super) fn key_fault(key: &Key) -> Result<(), StoreError> {
    let fits = |text: &str, bytes: usize| (1..=bytes).contains(&text.len());
    if fits(key.pk(), PARTITION_KEY_BYTES) && fits(key.sk(), SORT_KEY_BYTES) {
        Ok(())
    } else {
        Err(refused("a key is empty or too long"))
    }
}

/// What is wrong with a write, whatever is stored.
pub(super) fn fault(write: &Write) -> Result<(), StoreError> {
    key_fault(write.key())?;
    match write {
        Write::Put { item, .. } => {
            let storable = item.iter().all(|(name, value)| !name.is_empty() && storable(value, LEVELS));
            if storable { Ok(()) } else { Err(refused(UNSTORABLE)) }
        }
        Write::Update { set, add, remove, .. } => {
            if !set.iter().all(|(_, value)| storable(value, LEVELS)) {
                return Err(refused(UNSTORABLE));
            }
            let set = set.iter().map(|(name, _)| name.as_str());
            let add = add.iter().map(|(name, _)| name.as_str());
            let mut changed = BTreeSet::from(["", "pk", "sk"]);
            // Each name once over all three: DynamoDB calls anything else overlapping paths.
            let once =
                set.chain(add).chain(remove.iter().map(String::as_str)).all(|name| changed.insert(name));
            if once { Ok(()) } else { Err(refused("an update changes its key, or an attribute twice")) }
        }
        Write::Delete { .. } => Ok(()),
    }
}

const UNSTORABLE: &str = "a name is empty, or a value is nested too deep";

fn storable(value: &Value, levels: usize) -> bool {
    let inner = levels.saturating_sub(1);
    levels > 0
        && match value {
            Value::Array(values) => values.iter().all(|value| storable(value, inner)),
            Value::Object(fields) => {
                fields.iter().all(|(name, value)| !name.is_empty() && storable(value, inner))
            }
            _ => true,
        }
}

/// Whether an update asks for no change at all, which a transaction refuses.
pub(super) fn is_empty_update(write: &Write) -> bool {
    matches!(write, Write::Update { set, add, remove, .. } if set.is_empty() && add.is_empty() && remove.is_empty())
}

/// The item as a write without a [`fault`] leaves it; none after a delete.
pub(crate) fn after(write: &Write, stored: Option<&Item>) -> Result<Option<Item>, StoreError> {
    if let Write::Put { item, .. } = write {
        index_key_fault(item)?;
    }
    if !write.only_if().iter().all(|check| holds(check, stored)) {
        return Err(StoreError::Conflict(stored.cloned()));
    }
    let item = match write {
        Write::Put { item, .. } => without_key_and_nulls(item),
        Write::Update { set, add, remove, .. } => updated(stored, set, add, remove)?,
        Write::Delete { .. } => return Ok(None),
    };
    index_key_fault(&item)?;
    if item_size(write.key(), &item) > ITEM_BYTES {
        return Err(refused("the item is larger than 400 KB"));
    }
    Ok(Some(item))
}

fn holds(check: &Check, stored: Option<&Item>) -> bool {
    let attribute = |name: &str| stored.and_then(|item| item.get(name));
    match check {
        Check::Absent => stored.is_none(),
        Check::Present => stored.is_some(),
        Check::Missing(name) | Check::Equals(name, Value::Null) => attribute(name).is_none(),
        Check::Equals(name, value) => attribute(name) == Some(value),
        Check::OneOf(name, values) => match attribute(name) {
            Some(found) => values.contains(found),
            None => values.contains(&Value::Null),
        },
    }
}

fn without_key_and_nulls(item: &Item) -> Item {
    let kept = item.iter().filter(|(name, value)| !value.is_null() && !["pk", "sk"].contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn updated(
    stored: Option<&Item>,
    set: &[(String, Value)],
    add: &[(String, i64)],
    remove: &[String],
) -> Result<Item, StoreError> {
    let mut item = stored.cloned().unwrap_or_default();
    for (name, value) in set {
        match value {
            Value::Null => drop(item.remove(name)),
            value => drop(item.insert(name.clone(), value.clone())),
        }
    }
    for (name, by) in add {
        let sum = sum(item.get(name), *by)?;
        item.insert(name.clone(), sum);
    }
    for name in remove {
        item.remove(name);
    }
    Ok(item)
}

/// Whole numbers only: Carillon counts nothing else, and a sum of fractions here would not be DynamoDB's decimal.
fn sum(stored: Option<&Value>, by: i64) -> Result<Value, StoreError> {
    let Some(stored) = stored else { return Ok(by.into()) };
    let whole = stored.as_i64().map(i128::from).or_else(|| stored.as_u64().map(i128::from));
    let whole = whole.ok_or_else(|| refused("only a whole number can be added to"))? + i128::from(by);
    let small = i64::try_from(whole).map(Value::from);
    small.or_else(|_| u64::try_from(whole).map(Value::from)).map_err(|_| refused("a sum is out of range"))
}

/// A key attribute of an index is a text that is not empty, or is not there.
fn index_key_fault(item: &Item) -> Result<(), StoreError> {
    let fits = |name: &str, bytes: usize| match item.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => (1..=bytes).contains(&text.len()),
        Some(_) => false,
    };
    let fits = SECONDARY.iter().all(|index| {
        let (partition, sort) = index.attributes();
        fits(partition, PARTITION_KEY_BYTES) && fits(sort, SORT_KEY_BYTES)
    });
    if fits { Ok(()) } else { Err(refused("an index key is not a text that fits")) }
}

pub(super) fn refused(what: &str) -> StoreError {
    StoreError::Refused(what.to_owned())
}
