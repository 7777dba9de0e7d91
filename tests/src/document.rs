//! infra/openapi.yaml as the tests read it: the document, its operations, and what its references lead to.

use serde_json::Value;

/// The document.
#[must_use]
pub fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/openapi.yaml");
    let text = std::fs::read_to_string(path).expect("the document is in the checkout");
    // Not straight to JSON: only YAML's own value refuses a key that is there twice.
    let yaml: yaml_serde::Value = yaml_serde::from_str(&text).expect("the document is YAML");
    serde_json::to_value(yaml).expect("the document is JSON too")
}

/// What a value is, or what it refers to.
#[must_use]
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        None => value,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("references stay within the document");
            resolved(
                document,
                document.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {reference}")),
            )
        }
    }
}

/// One operation of the document.
pub struct Operation<'a> {
    /// Its method, in capitals.
    pub method: String,
    /// Its path, with the names of what varies in braces.
    pub path: &'a str,
    /// The path's own parameters and the operation's.
    pub parameters: Vec<&'a Value>,
    /// All of it.
    pub value: &'a Value,
}

/// Every operation of the document.
#[must_use]
pub fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("operations").iter().filter(|(name, _)| *name != "parameters");
        for (method, value) in methods {
            let lists = [&item["parameters"], &value["parameters"]];
            let parameters = lists.iter().filter_map(|list| list.as_array()).flatten();
            let parameters = parameters.map(|parameter| resolved(document, parameter)).collect();
            found.push(Operation { method: method.to_uppercase(), path, parameters, value });
        }
    }
    found
}
