//! infra/openapi.yaml and the code say the same, in both directions: the calls with their scopes and limits, the closed
//! lists, the fields of what is posted, and every example. Reads the document and the tables of calls; runs nothing.

#![cfg(test)]

mod calls;
mod examples;
mod fields;
mod lists;
mod schema;

use serde_json::Value;

/// The document.
fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/openapi.yaml");
    // Not straight to JSON: only YAML's own value refuses a key that is there twice.
    let yaml: yaml_serde::Value = yaml_serde::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::to_value(yaml).unwrap()
}

/// What a value is, or what it refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        None => value,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            resolved(
                document,
                document.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {reference}")),
            )
        }
    }
}

/// One operation of the document.
struct Operation<'a> {
    method: String,
    path: &'a str,
    /// The path's own parameters and the operation's.
    parameters: Vec<&'a Value>,
    value: &'a Value,
}

/// Every operation of the document.
fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, value) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            let lists = [&item["parameters"], &value["parameters"]];
            let parameters = lists.iter().filter_map(|list| list.as_array()).flatten();
            let parameters = parameters.map(|parameter| resolved(document, parameter)).collect();
            found.push(Operation { method: method.to_uppercase(), path, parameters, value });
        }
    }
    found
}

/// The words of a list that is written as `oneOf` of documented constants, or as `enum`.
fn words<'a>(document: &'a Value, schema: &str) -> Vec<&'a str> {
    let schema = &document["components"]["schemas"][schema];
    match schema["enum"].as_array() {
        Some(words) => words.iter().map(|word| word.as_str().unwrap()).collect(),
        None => {
            schema["oneOf"].as_array().unwrap().iter().map(|one| one["const"].as_str().unwrap()).collect()
        }
    }
}
