//! JSON values as DynamoDB's and back, so that every value is read as it was written.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_pipeline::ports::{Item, Key, StoreError};
use serde_json::{Map, Number, Value};

/// Attributes as the SDK has them.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// DynamoDB takes numbers from 1e-130; anything this small is kept exactly elsewhere.
const SMALLEST_NUMBER: f64 = 1e-100;

/// A value as it is stored.
pub(super) fn from_json(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(number) => from_number(number),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(from_json).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.iter().map(|(k, v)| (k.clone(), from_json(v))).collect())
        }
    }
}

/// DynamoDB keeps a decimal, not its spelling: `2.0` would come back as `2`, `1e300` is refused. Such floats are stored
/// as their eight bytes; nothing else here is binary.
fn from_number(number: &Number) -> AttributeValue {
    match number.as_f64() {
        Some(float) if number.is_f64() && (float.fract() == 0.0 || float.abs() < SMALLEST_NUMBER) => {
            AttributeValue::B(Blob::new(float.to_be_bytes()))
        }
        _ => AttributeValue::N(number.to_string()),
    }
}

/// A stored value as JSON.
pub(super) fn to_json(value: AttributeValue) -> Result<Value, StoreError> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(digits) => Value::Number(to_number(&digits)?),
        AttributeValue::B(bytes) => Value::Number(to_float(bytes.as_ref())?),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(to_json).collect::<Result<_, _>>()?),
        AttributeValue::M(fields) => Value::Object(to_map(fields)?),
        _ => return Err(unreadable("an attribute of a type that is never written")),
    })
}

fn to_number(digits: &str) -> Result<Number, StoreError> {
    let whole = digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from));
    whole
        .ok()
        .or_else(|| digits.parse::<f64>().ok().and_then(Number::from_f64))
        .ok_or_else(|| unreadable("a number out of range"))
}

fn to_float(bytes: &[u8]) -> Result<Number, StoreError> {
    let float = bytes.try_into().ok().map(f64::from_be_bytes);
    float.and_then(Number::from_f64).ok_or_else(|| unreadable("a binary attribute that is not a float"))
}

fn to_map(fields: Attributes) -> Result<Map<String, Value>, StoreError> {
    fields.into_iter().map(|(name, value)| Ok((name, to_json(value)?))).collect()
}

/// A primary key as the SDK wants it.
pub(crate) fn from_key(key: &Key) -> Attributes {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(key.pk().to_owned())),
        ("sk".to_owned(), AttributeValue::S(key.sk().to_owned())),
    ])
}

/// A whole item with its key. A null at the top is left out: an attribute that is null is one that is not there.
pub(crate) fn from_item(key: &Key, item: &Item) -> Attributes {
    let mut attributes: Attributes = item
        .iter()
        .filter(|(_, v)| !v.is_null())
        .map(|(name, value)| (name.clone(), from_json(value)))
        .collect();
    attributes.extend(from_key(key));
    attributes
}

/// A stored item as its key and its other attributes.
pub(crate) fn to_item(mut attributes: Attributes) -> Result<(Key, Item), StoreError> {
    let (Some(AttributeValue::S(pk)), Some(AttributeValue::S(sk))) =
        (attributes.remove("pk"), attributes.remove("sk"))
    else {
        return Err(unreadable("an item without its key"));
    };
    Ok((Key::read_back(pk, sk), to_map(attributes)?))
}

/// The item that a failed check found; DynamoDB sends none, or an empty one, when nothing is stored there.
pub(super) fn to_found(attributes: Option<&Attributes>) -> Result<Option<Item>, StoreError> {
    let found = attributes.filter(|a| !a.is_empty()).cloned();
    found.map(|a| to_item(a).map(|(_, item)| item)).transpose()
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Refused(format!("it holds {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_json_value_is_read_as_it_was_written() {
        let numbers =
            json!([0, -1, i64::MIN, i64::MAX, u64::MAX, 0.5, -2.0, 1e18, 1e300, 5e-324, 0.1, -0.0, 1.5e-99]);
        let whole = json!({ "": [], "a": {}, "b": [null, true, "", "x"], "n": numbers });
        let read = to_json(from_json(&whole)).unwrap();
        assert_eq!(read.to_string(), whole.to_string());
    }

    #[test]
    fn a_null_at_the_top_of_an_item_is_not_stored_and_a_nested_one_is() {
        let Value::Object(item) = json!({ "gone": null, "kept": [null] }) else { unreachable!() };
        let key = Key::read_back("p".to_owned(), "s".to_owned());
        let (read_key, read) = to_item(from_item(&key, &item)).unwrap();
        assert_eq!((read_key, Value::Object(read)), (key, json!({ "kept": [null] })));
    }

    #[test]
    fn what_was_never_written_is_refused_and_not_quoted() {
        let set = AttributeValue::Ss(vec!["+12025550123".to_owned()]);
        for strange in [set, AttributeValue::B(Blob::new("abc")), AttributeValue::N("1e999".to_owned())] {
            let error = to_json(strange).unwrap_err();
            assert!(matches!(&error, StoreError::Refused(text) if !text.contains("2025")), "{error}");
        }
    }
}
