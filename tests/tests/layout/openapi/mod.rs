//! infra/openapi.yaml and the code say the same, in both directions: the calls with their scopes and limits, the closed
//! lists, the fields of what is posted, and every example. Reads the document and the tables of calls; runs nothing.

mod calls;
mod examples;
mod fields;
mod lists;
mod schema;

use carillon_tests::document::{document, operations, resolved};
use serde_json::Value;

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
