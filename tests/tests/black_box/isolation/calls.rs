//! The calls of infra/openapi.yaml as another tenant makes them: every path with A's ids, every body that the document
//! shows. A new call is tried as soon as it is documented; one that takes an id of a new kind fails until A has one.

use std::collections::BTreeSet;

use carillon_tests::Answer;
use carillon_tests::document::{Operation, resolved};
use serde_json::Value;

use crate::isolation::world::{SECRET, World};

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path, filled.
    pub path: String,
    /// Its content type and its body.
    pub body: Option<(String, String)>,
}

impl Asked {
    /// A request with a body of JSON.
    pub fn json(method: &str, path: impl Into<String>, body: &Value) -> Self {
        let body = Some(("application/json".to_owned(), body.to_string()));
        Self { method: method.to_owned(), path: path.into(), body }
    }

    /// A request without a body.
    pub fn bare(method: &str, path: impl Into<String>) -> Self {
        Self { method: method.to_owned(), path: path.into(), body: None }
    }

    /// Asks it as B.
    pub async fn by_b(&self, world: &World) -> Answer {
        let typed: Vec<(&str, &str)> =
            self.body.iter().map(|(content_type, _)| ("content-type", content_type.as_str())).collect();
        let body = self.body.as_ref().map(|(_, body)| body.clone().into_bytes());
        world.b.raw(&self.method, &self.path, &typed, body).await
    }

    /// What of A's is in an answer that the request has not said itself.
    pub fn leaks(&self, answer: &Answer, secrets: &BTreeSet<&str>) -> Vec<String> {
        let mut body = answer.body.clone();
        // A problem names the call that it answers.
        if let Some(problem) = body.as_object_mut() {
            problem.remove("instance");
        }
        let answered = body.to_string();
        let asked = format!("{} {:?}", self.path.replace("%20", " "), self.body);
        let leaked =
            |secret: &&&str| answered.contains(**secret) && (**secret == SECRET || !asked.contains(**secret));
        secrets.iter().chain([&SECRET]).filter(leaked).map(|secret| (*secret).to_owned()).collect()
    }
}

/// The requests of an operation: every path with A's ids, each with every body that the document shows.
pub fn requests(world: &World, document: &Value, operation: &Operation<'_>) -> Vec<Asked> {
    let bodies = bodies(document, operation);
    let mut requests = Vec::new();
    for path in world.paths(operation) {
        if bodies.is_empty() {
            requests.push(Asked::bare(&operation.method, &path));
        }
        for body in &bodies {
            requests.push(Asked {
                method: operation.method.clone(),
                path: path.clone(),
                body: Some(body.clone()),
            });
        }
    }
    requests
}

fn bodies(document: &Value, operation: &Operation<'_>) -> Vec<(String, String)> {
    let body = resolved(document, &operation.value["requestBody"]);
    let mut bodies = Vec::new();
    for (content_type, media) in body["content"].as_object().into_iter().flatten() {
        let many = media["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
        for example in media.get("example").into_iter().chain(many) {
            let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            bodies.push((content_type.clone(), text));
        }
    }
    let needed = body["required"] == true;
    assert!(!needed || !bodies.is_empty(), "{} {} shows no example", operation.method, operation.path);
    bodies
}

/// Whether the path holds an id that only A has, so that it names nothing of B's.
pub fn names_what_only_a_has(operation: &Operation<'_>) -> bool {
    let shared = ["{channel}", "{pack}", "{tenant}", "{app}", "{sweep}"];
    operation.path.split('/').any(|part| part.starts_with('{') && !shared.contains(&part))
}

/// In this order a call meets nothing that an earlier one made: readers first, then what needs the thing to be there, at
/// last what would make one of B's own, children before their parents.
pub fn order(operation: &Operation<'_>) -> (usize, usize) {
    let verb = ["GET", "POST", "DELETE", "PUT"].iter().position(|verb| *verb == operation.method);
    (verb.unwrap_or_default(), usize::MAX - operation.path.split('/').count())
}
