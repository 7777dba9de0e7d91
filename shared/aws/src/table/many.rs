//! Reads of many keys as `BatchGetItem` calls side by side, each repeated for what it left out.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use carillon_pipeline::ports::{Item, Key, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::DynamoTable;
use super::attribute::{Attributes, from_key, to_item};
use crate::failure::{REPEATS, pause, store_error};

/// DynamoDB's bound of a `BatchGetItem`.
const KEYS_PER_CALL: usize = 100;

/// Enough to hide the round trip; more would only be throttled together.
const CALLS_IN_FLIGHT: usize = 8;

/// The items of these keys, in the keys' order.
pub(super) async fn get_many(table: &DynamoTable, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
    // DynamoDB refuses a call that names a key twice.
    let distinct: Vec<&Key> = keys.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let calls: Vec<_> = distinct.chunks(KEYS_PER_CALL).map(|chunk| read(table, chunk)).collect();
    let found: Vec<Vec<(Key, Item)>> =
        stream::iter(calls).buffer_unordered(CALLS_IN_FLIGHT).try_collect().await?;
    let found: HashMap<Key, Item> = found.into_iter().flatten().collect();
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

/// One call, and its repeats: an answer stops at 16 MB or when throttled, and names the keys that are left.
async fn read(table: &DynamoTable, keys: &[&Key]) -> Result<Vec<(Key, Item)>, StoreError> {
    let mut left: Vec<Attributes> = keys.iter().map(|key| from_key(key)).collect();
    let mut items = Vec::with_capacity(left.len());
    let mut fruitless = 0;
    while !left.is_empty() {
        let asked = left.len();
        let (found, unprocessed) = call(table, left).await?;
        for attributes in found {
            items.push(to_item(attributes)?);
        }
        left = unprocessed;
        if left.len() == asked {
            if fruitless == REPEATS {
                return Err(StoreError::Unavailable(format!(
                    "BatchGetItem left out {asked} keys again and again"
                )));
            }
            pause(fruitless).await;
            fruitless += 1;
        }
    }
    Ok(items)
}

async fn call(
    table: &DynamoTable,
    keys: Vec<Attributes>,
) -> Result<(Vec<Attributes>, Vec<Attributes>), StoreError> {
    let asked = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .build()
        .map_err(|error| StoreError::Refused(format!("BatchGetItem could not be written: {error}")))?;
    let answer = table
        .client
        .batch_get_item()
        .request_items(&table.name, asked)
        .send()
        .await
        .map_err(|error| store_error("BatchGetItem", &error))?;
    let found = answer.responses.into_iter().flatten().flat_map(|(_, items)| items).collect();
    let unprocessed = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
    Ok((found, unprocessed))
}
