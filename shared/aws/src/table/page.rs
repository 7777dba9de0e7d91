//! A [`Query`] as DynamoDB queries, repeated until the page is full or the partition ends, and the cursor between
//! pages. The cursor never names the partition: that always comes from the query, so a forged one stays inside it.

use aws_sdk_dynamodb::types::AttributeValue;
use carillon_pipeline::ports::{Index, Key, Page, Query, StoreError};

use super::DynamoTable;
use super::attribute::{Attributes, from_key, to_item};
use super::expression::Placeholders;
use crate::failure::store_error;

/// One page of the query's partition.
pub(super) async fn page(table: &DynamoTable, query: &Query) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let Some((condition, placeholders)) = condition(query) else { return Ok(page) };
    let mut start = query.after.as_deref().map(|cursor| decode(query, cursor)).transpose()?;
    while page.items.len() < query.limit {
        let room = i32::try_from(query.limit - page.items.len()).unwrap_or(i32::MAX);
        let answer = table
            .client
            .query()
            .table_name(&table.name)
            .set_index_name(query.index.name().map(str::to_owned))
            // An index has no consistent reads; the table has, and a page of it must not miss what was just written.
            .consistent_read(query.index == Index::Table)
            .key_condition_expression(&condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(Some(placeholders.values.clone()))
            .scan_index_forward(!query.descending)
            .limit(room)
            .set_exclusive_start_key(start.take())
            .send()
            .await
            .map_err(|error| store_error("Query", &error))?;
        for attributes in answer.items.unwrap_or_default() {
            page.items.push(to_item(attributes)?);
        }
        page.next = answer.last_evaluated_key.as_ref().map(|last| encode(query.index, last)).transpose()?;
        start = answer.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    Ok(page)
}

/// The key condition; none when no key can meet it, which DynamoDB would call an error. A sort key is never empty, so
/// an empty lower bound is none at all.
fn condition(query: &Query) -> Option<(String, Placeholders)> {
    let (partition, sort) = query.index.attributes();
    let from = query.from.as_ref().filter(|from| !from.is_empty());
    let to = query.to.as_ref();
    if to.is_some_and(|to| to.is_empty() || from.is_some_and(|from| from > to))
        || query.partition().is_empty()
    {
        return None;
    }
    let mut asked = Placeholders::default();
    let here = format!("{} = {}", asked.name(partition), asked.text(query.partition()));
    let within = match (from, to) {
        (Some(from), Some(to)) => {
            format!("{} BETWEEN {} AND {}", asked.name(sort), asked.text(from), asked.text(to))
        }
        (Some(from), None) => format!("{} >= {}", asked.name(sort), asked.text(from)),
        (None, Some(to)) => format!("{} <= {}", asked.name(sort), asked.text(to)),
        (None, None) => return Some((here, asked)),
    };
    Some((format!("{here} AND {within}"), asked))
}

/// The cursor behind this key: the sort key for the table, `[pk, sk, index sort key]` for an index.
fn encode(index: Index, last: &Attributes) -> Result<String, StoreError> {
    let text = |name: &str| {
        let value = last.get(name).and_then(|value| value.as_s().ok());
        value.ok_or_else(|| StoreError::Refused("it ended a page without a key".to_owned()))
    };
    match index {
        Index::Table => text("sk").cloned(),
        _ => Ok(serde_json::json!([text("pk")?, text("sk")?, text(index.attributes().1)?]).to_string()),
    }
}

fn decode(query: &Query, cursor: &str) -> Result<Attributes, StoreError> {
    let (partition, sort) = query.index.attributes();
    if query.index == Index::Table {
        return Ok(from_key(&Key::read_back(query.partition().to_owned(), cursor.to_owned())));
    }
    let named =
        serde_json::from_str::<[String; 3]>(cursor).ok().filter(|parts| parts.iter().all(|p| !p.is_empty()));
    let Some([pk, sk, index_sk]) = named else {
        return Err(StoreError::BadCursor);
    };
    let mut key = from_key(&Key::read_back(pk, sk));
    key.insert(partition.to_owned(), AttributeValue::S(query.partition().to_owned()));
    key.insert(sort.to_owned(), AttributeValue::S(index_sk));
    Ok(key)
}
