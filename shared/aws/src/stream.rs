//! The table's stream as Lambda hands it over: records in DynamoDB's JSON become [`Changes`]. statistics reads them;
//! `carillon dev` writes records of the same form for it, which [`record`] makes.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_pipeline::ports::{Item, Key};
use carillon_pipeline::statistics::{Change, Changes, Sequence};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use crate::table::attribute::{self, Attributes};

/// The changes of an event. Records that cannot be read are left out, with a warning: they would never be readable.
///
/// Lambda names the shard in events of a mapping with a tumbling window only, so the mapping has one. A stand-in that names
/// none has one shard for each stream.
#[must_use]
pub fn changes(event: &Value) -> Changes {
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let source = || records.first().and_then(|record| record["eventSourceARN"].as_str());
    let shard = event["shardId"].as_str().or_else(source).unwrap_or("the only one").to_owned();
    let changes = records.iter().filter_map(|record| {
        let change = change(&record["dynamodb"]);
        if change.is_none() {
            tracing::warn!(
                stream.event = record["eventID"].as_str(),
                "a record of the stream cannot be read"
            );
        }
        change
    });
    Changes { shard, changes: changes.collect() }
}

fn change(record: &Value) -> Option<Change> {
    let (key, _) = attribute::to_item(attributes(&record["Keys"])?).ok()?;
    let image = |name: &str| -> Option<Option<Item>> {
        match record.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(image) => Some(Some(attribute::to_item(attributes(image)?).ok()?.1)),
        }
    };
    let sequence = Sequence::of(record["SequenceNumber"].as_str()?);
    Some(Change { sequence, key, before: image("OldImage")?, after: image("NewImage")? })
}

fn attributes(image: &Value) -> Option<Attributes> {
    image.as_object()?.iter().map(|(name, value)| Some((name.clone(), read(value)?))).collect()
}

/// A value of DynamoDB's JSON; none for a type that is never written.
fn read(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "B" => AttributeValue::B(Blob::new(BASE64.decode(value.as_str()?.as_bytes()).ok()?)),
        "L" => AttributeValue::L(value.as_array()?.iter().map(read).collect::<Option<_>>()?),
        "M" => AttributeValue::M(attributes(value)?),
        _ => return None,
    })
}

/// A record of a stream in which an item became another.
#[must_use]
pub fn record(sequence: i64, key: &Key, before: Option<&Item>, after: Option<&Item>) -> Value {
    let name = match (before, after) {
        (None, _) => "INSERT",
        (_, None) => "REMOVE",
        _ => "MODIFY",
    };
    let mut dynamodb = json!({
        "Keys": written(attribute::from_key(key)),
        "SequenceNumber": format!("{sequence:021}"),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    for (name, item) in [("OldImage", before), ("NewImage", after)] {
        if let Some(item) = item {
            dynamodb[name] = written(attribute::from_item(key, item));
        }
    }
    json!({"eventID": sequence.to_string(), "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": dynamodb})
}

fn written(attributes: HashMap<String, AttributeValue>) -> Value {
    Value::Object(attributes.into_iter().map(|(name, value)| (name, write(value))).collect::<Map<_, _>>())
}

fn write(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(digits) => json!({"N": digits}),
        AttributeValue::Bool(truth) => json!({"BOOL": truth}),
        AttributeValue::B(bytes) => json!({"B": BASE64.encode(bytes.as_ref())}),
        AttributeValue::L(values) => json!({"L": values.into_iter().map(write).collect::<Vec<_>>()}),
        AttributeValue::M(fields) => json!({"M": written(fields)}),
        // Sets are never written.
        _ => json!({"NULL": true}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: Value) -> Item {
        let Value::Object(item) = json else { unreachable!() };
        item
    }

    #[test]
    fn a_record_says_what_an_item_was_and_became() {
        let key = Key::read_back("T#acme#R#r".to_owned(), "D#e#w".to_owned());
        let before = item(json!({"state": "pending", "rev": 1, "n": -2.0, "l": [null, {"a": true}]}));
        let after = item(json!({"state": "sent", "rev": 2}));
        let event = json!({"shardId": "shard-1", "Records": [
            record(7, &key, None, Some(&before)), record(8, &key, Some(&before), Some(&after)),
            record(9, &key, Some(&after), None),
        ]});
        let Changes { shard, changes } = changes(&event);
        assert_eq!(shard, "shard-1");
        let images: Vec<_> = changes.iter().map(|c| (c.before.clone(), c.after.clone())).collect();
        let (before, after) = (Some(before), Some(after));
        assert_eq!(images, [(None, before.clone()), (before, after.clone()), (after, None)]);
        assert!(changes.iter().all(|c| c.key == key) && changes[0].sequence < changes[1].sequence);
    }

    #[test]
    fn a_record_as_lambda_sends_it_is_read_and_a_strange_one_left_out() {
        let event = json!({"Records": [
            {"eventSourceARN": "arn:stream", "dynamodb": {
                "Keys": {"pk": {"S": "p"}, "sk": {"S": "s"}}, "SequenceNumber": "4421584500000000017450439091",
                "ApproximateCreationDateTime": 1_479_499_740, "SizeBytes": 59,
                "NewImage": {"pk": {"S": "p"}, "sk": {"S": "s"}, "n": {"N": "101"}}
            }},
            {"dynamodb": {"Keys": {"pk": {"S": "p"}, "sk": {"S": "s"}}, "SequenceNumber": "1", "NewImage": {"x": {"SS": ["a"]}}}},
            {},
        ]});
        let Changes { shard, changes } = changes(&event);
        assert_eq!((shard.as_str(), changes.len()), ("arn:stream", 1));
        assert_eq!(changes[0].after, Some(item(json!({"n": 101}))));
    }
}
