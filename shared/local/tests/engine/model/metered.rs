//! The model's meter against the engine's own, which was measured on AWS.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, Put, ReturnConsumedCapacity, TransactWriteItem,
};
use carillon_local::model::{ModelTable, Tally};
use carillon_pipeline::ports::{Item, Key, Table, Write};
use serde_json::{Value, json};

use super::{adapter, engine};

const TABLE: &str = "metered";

/// An item of texts and whole numbers as the engine takes it.
fn attributes(key: &Key, item: &Item) -> HashMap<String, AttributeValue> {
    let own = [("pk", key.pk()), ("sk", key.sk())].map(|(name, text)| (name.to_owned(), json!(text)));
    let all = item.clone().into_iter().chain(own);
    all.map(|(name, value)| (name, attribute(&value))).collect()
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Null => AttributeValue::Null(true),
        Value::Array(values) => AttributeValue::L(values.iter().map(attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
        }
    }
}

fn key() -> Key {
    Key::read_back("acme".to_owned(), "d".to_owned())
}

/// Forms of one item, each put over the one before.
fn forms() -> Vec<Value> {
    // A text that makes an item of so many bytes with its key.
    let text = |bytes: usize| "x".repeat(bytes - "pkacmeskdtext".len());
    vec![
        json!({}),
        json!({ "text": text(1_024) }),
        json!({ "text": text(1_025) }),
        json!({ "text": text(1_015), "numbers": 1 }),
        json!({ "text": text(1_016), "numbers": 1 }),
        json!({ "text": text(1_006), "at": 1_795_217_019_123_i64, "l": [], "m": {} }),
        json!({ "text": text(1_007), "at": 1_795_217_019_123_i64, "l": [], "m": {} }),
        json!({ "text": text(1_000), "m": { "a": [true, null, -12], "b": 100 } }),
        json!({ "parent_pk": "p", "parent_sk": "1", "day_pk": "d", "day_sk": "1" }),
        json!({ "parent_pk": "p", "parent_sk": "1", "day_pk": "d", "day_sk": "1", "n": 1 }),
        json!({ "parent_pk": "p", "parent_sk": "2", "day_pk": "d", "day_sk": "1" }),
        json!({ "parent_pk": "p", "attention_pk": "a", "attention_sk": "1" }),
    ]
}

fn same_units(tally: &Tally, engine: Option<&ConsumedCapacity>, of: &Value) {
    let units = engine.and_then(ConsumedCapacity::capacity_units).unwrap();
    assert_eq!(tally.total().write_units.to_string(), units.to_string(), "{of}");
}

#[tokio::test]
async fn a_write_costs_what_the_engine_says_that_it_costs() {
    let (client, model) = (engine().await, ModelTable::new());
    adapter(&client, TABLE).await;
    let total = ReturnConsumedCapacity::Total;
    for form in forms() {
        let Value::Object(item) = form.clone() else { unreachable!() };
        let put = client.put_item().table_name(TABLE).set_item(Some(attributes(&key(), &item)));
        let sent = put.return_consumed_capacity(total.clone()).send().await.unwrap();
        model.write(Write::Put { key: key(), item, only_if: vec![] }).await.unwrap();
        same_units(&model.take_tally(), sent.consumed_capacity(), &form);
    }
    for form in forms().into_iter().rev() {
        let Value::Object(item) = form.clone() else { unreachable!() };
        let put = Put::builder().table_name(TABLE).set_item(Some(attributes(&key(), &item)));
        let put = TransactWriteItem::builder().put(put.build().unwrap()).build();
        let call = client.transact_write_items().transact_items(put);
        let sent = call.return_consumed_capacity(total.clone()).send().await.unwrap();
        model.transact(vec![Write::Put { key: key(), item, only_if: vec![] }]).await.unwrap();
        same_units(&model.take_tally(), sent.consumed_capacity().first(), &form);
    }
}
