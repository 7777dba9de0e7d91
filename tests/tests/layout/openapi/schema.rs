//! As much of JSON Schema 2020-12 as the document uses to check its examples. `pattern` and `format` are left out: the
//! domain's types check those.

use serde_json::{Map, Value};

/// Which way a value goes: what is `readOnly` is never sent, what is `writeOnly` never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the caller.
    Request,
    /// To the caller.
    Answer,
}

/// The keywords that are checked, and those that say nothing about a value. Another one fails the test.
const KNOWN: &[&str] = &[
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "dependentRequired",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "type",
    "uniqueItems",
    "writeOnly",
];

/// What a schema finds wrong with a value.
pub fn faults(document: &Value, schema: &Value, value: &Value, way: Way) -> Vec<String> {
    let check = Check { document, way };
    check.value(schema, value, "")
}

struct Check<'a> {
    document: &'a Value,
    way: Way,
}

impl Check<'_> {
    fn value(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let Some(schema) = schema.as_object() else {
            return if *schema == Value::Bool(false) {
                vec![format!("{at} may not be there")]
            } else {
                Vec::new()
            };
        };
        let mut faults = Vec::new();
        for unknown in schema.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            faults.push(format!("the schema at {at} has the keyword {unknown}"));
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            match self.document.pointer(reference.trim_start_matches('#')) {
                Some(target) => faults.extend(self.value(target, value, at)),
                None => faults.push(format!("nothing is at {reference}")),
            }
        }
        faults.extend(self.choices(schema, value, at));
        faults.extend(plain(schema, value, at));
        match value {
            Value::Object(object) => faults.extend(self.object(schema, object, at)),
            Value::Array(items) => faults.extend(self.array(schema, items, at)),
            _ => {}
        }
        faults
    }

    fn choices(&self, schema: &Map<String, Value>, value: &Value, at: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for all in list(schema, "allOf") {
            faults.extend(self.value(all, value, at));
        }
        for (keyword, bound) in [("oneOf", 1), ("anyOf", usize::MAX)] {
            let choices = list(schema, keyword);
            let found: Vec<Vec<String>> =
                choices.iter().map(|choice| self.value(choice, value, at)).collect();
            let fitting = found.iter().filter(|faults| faults.is_empty()).count();
            if !choices.is_empty() && !(1..=bound).contains(&fitting) {
                faults.push(format!("{at} fits {fitting} of {keyword}: {found:?}"));
            }
        }
        faults
    }

    fn object(&self, schema: &Map<String, Value>, object: &Map<String, Value>, at: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for name in list(schema, "required").iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                faults.push(format!("{at}/{name} is missing"));
            }
        }
        for (name, others) in schema.get("dependentRequired").and_then(Value::as_object).into_iter().flatten()
        {
            let missing = others
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .any(|o| !object.contains_key(o));
            if object.contains_key(name) && missing {
                faults.push(format!("{at}/{name} needs {others}"));
            }
        }
        if number(schema, "minProperties").is_some_and(|least| object.len() < least) {
            faults.push(format!("{at} has too few fields"));
        }
        for (name, value) in object {
            let here = format!("{at}/{name}");
            if let Some(names) = schema.get("propertyNames") {
                faults.extend(self.value(names, &Value::String(name.clone()), &here));
            }
            match schema.get("properties").and_then(|p| p.get(name)) {
                Some(property) => {
                    let hidden = if self.way == Way::Request { "readOnly" } else { "writeOnly" };
                    if property[hidden] == true {
                        faults.push(format!("{here} is {hidden}"));
                    }
                    faults.extend(self.value(property, value, &here));
                }
                None => faults.extend(
                    schema.get("additionalProperties").into_iter().flat_map(|s| self.value(s, value, &here)),
                ),
            }
        }
        faults
    }

    fn array(&self, schema: &Map<String, Value>, items: &[Value], at: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let few = number(schema, "minItems").is_some_and(|least| items.len() < least);
        let many = number(schema, "maxItems").is_some_and(|most| items.len() > most);
        let doubled =
            schema.contains_key("uniqueItems") && (1..items.len()).any(|i| items[..i].contains(&items[i]));
        if few || many || doubled {
            faults.push(format!("{at} has too few, too many or doubled items"));
        }
        for (i, item) in items.iter().enumerate() {
            faults.extend(
                schema.get("items").into_iter().flat_map(|s| self.value(s, item, &format!("{at}/{i}"))),
            );
        }
        faults
    }
}

/// What is wrong with a value without looking into it.
fn plain(schema: &Map<String, Value>, value: &Value, at: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if schema.get("const").is_some_and(|only| only != value) {
        faults.push(format!("{at} is not {}", schema["const"]));
    }
    if schema.contains_key("enum") && !list(schema, "enum").contains(value) {
        faults.push(format!("{at} is none of {}", schema["enum"]));
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(one) => one.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    if !types.is_empty() && !types.contains(&type_of(value)) {
        faults.push(format!("{at} is no {types:?}"));
    }
    let chars = value.as_str().map(|text| text.chars().count());
    let below = chars.is_some_and(|n| number(schema, "minLength").is_some_and(|least| n < least));
    let above = chars.is_some_and(|n| number(schema, "maxLength").is_some_and(|most| n > most));
    let amount = value.as_u64().and_then(|n| usize::try_from(n).ok());
    let small = amount.is_some_and(|n| number(schema, "minimum").is_some_and(|least| n < least));
    let large = amount.is_some_and(|n| number(schema, "maximum").is_some_and(|most| n > most));
    if below || above || small || large {
        faults.push(format!("{at} is outside its bounds"));
    }
    faults
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    schema.get(keyword).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn number(schema: &Map<String, Value>, keyword: &str) -> Option<usize> {
    schema.get(keyword)?.as_u64()?.try_into().ok()
}

#[test]
fn the_checker_finds_what_does_not_fit() {
    let document = serde_json::json!({"Id": {"type": "string", "maxLength": 2}});
    let schema = serde_json::json!({
        "type": "object", "additionalProperties": false, "required": ["id"],
        "properties": {
            "id": {"$ref": "#/Id"}, "kind": {"oneOf": [{"const": "a"}, {"const": "b"}]},
            "seen": {"type": ["integer", "null"], "minimum": 1, "readOnly": true},
        },
    });
    let request = |value| faults(&document, &schema, &value, Way::Request).len();
    assert_eq!(request(serde_json::json!({"id": "u1", "kind": "a"})), 0);
    for bad in [
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!({"id": "u10"}),
        serde_json::json!({"id": 1}),
        serde_json::json!({"id": "u1", "kind": "c"}),
        serde_json::json!({"id": "u1", "seen": 1}),
        serde_json::json!({"id": "u1", "more": 1}),
    ] {
        assert_eq!(request(bad.clone()), 1, "{bad}");
    }
    assert_eq!(faults(&document, &schema, &serde_json::json!({"id": "u1", "seen": 0}), Way::Answer).len(), 1);
}
