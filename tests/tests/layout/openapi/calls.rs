//! The document's operations against the tables of calls of the functions.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::ProblemKind;
use carillon_runtime::http::{Access, Call};

use super::{document, operations, resolved};

fn every_call() -> impl Iterator<Item = &'static Call> {
    [intake::CALLS, webhooks::CALLS, operate::CALLS, api::CALLS, inbox::CALLS].into_iter().flatten()
}

fn name(call: &Call) -> String {
    format!("{} {}", call.method.as_str(), call.path)
}

/// What the document says about an operation's caller, where a table of calls has a scope or nothing.
fn access(call: &Call) -> Option<&'static str> {
    match call.access {
        Access::Public => None,
        Access::Key(scope) | Access::Reader(scope) => Some(scope.as_str()),
    }
}

#[test]
fn the_document_has_the_calls_of_the_functions_with_their_scopes_and_no_others() {
    let document = document();
    let documented: BTreeMap<String, Option<&str>> = operations(&document)
        .iter()
        .map(|o| (format!("{} {}", o.method, o.path), o.value["x-scope"].as_str()))
        .collect();
    let answered: BTreeMap<String, Option<&str>> =
        every_call().map(|call| (name(call), access(call))).collect();
    assert_eq!(documented, answered);
}

#[test]
fn a_call_needs_the_bearer_key_exactly_when_it_has_a_scope() {
    let document = document();
    for operation in operations(&document) {
        let security = operation.value.get("security").unwrap_or(&document["security"]);
        let key = security.as_array().unwrap().iter().any(|one| one.get("key").is_some());
        assert_eq!(key, operation.value.get("x-scope").is_some(), "{} {}", operation.method, operation.path);
    }
}

#[test]
fn a_recipient_token_opens_exactly_the_calls_that_say_so() {
    let document = document();
    for operation in operations(&document) {
        let here = format!("{} {}", operation.method, operation.path);
        let security = operation.value.get("security").unwrap_or(&document["security"]);
        let stated = security.as_array().unwrap().iter().any(|one| one.get("recipientToken").is_some());
        let call = every_call().find(|call| name(call) == here).unwrap();
        assert_eq!(stated, matches!(call.access, Access::Reader(_)), "{here}");
    }
}

#[test]
fn browsers_may_make_the_calls_of_the_inbox_and_of_preferences_only() {
    let from_browsers = |path: &str| path.starts_with("/v1/inbox") || path.ends_with("/preferences");
    for call in every_call() {
        assert_eq!(call.from_browsers, from_browsers(call.path), "{}", name(call));
    }
}

#[test]
fn a_call_with_a_body_states_its_limit() {
    let document = document();
    for operation in operations(&document) {
        let here = format!("{} {}", operation.method, operation.path);
        let limit = every_call().find(|call| name(call) == here).unwrap().limit;
        let stated = operation.value["x-limit-bytes"].as_u64();
        let expected = operation.value.get("requestBody").map(|_| u64::try_from(limit).unwrap());
        assert_eq!(stated, expected, "{here}");
    }
}

#[test]
fn the_parts_of_a_path_that_vary_are_its_parameters() {
    let document = document();
    for operation in operations(&document) {
        let varying: BTreeSet<&str> =
            operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let declared: BTreeSet<&str> = operation
            .parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(varying, declared, "{} {}", operation.method, operation.path);
    }
}

#[test]
fn every_call_has_a_summary_a_name_of_its_own_and_the_answers_that_all_calls_share() {
    let document = document();
    let mut names = BTreeSet::new();
    for operation in operations(&document) {
        let here = format!("{} {}", operation.method, operation.path);
        assert!(!operation.value["summary"].as_str().unwrap().is_empty(), "{here}");
        assert!(names.insert(operation.value["operationId"].as_str().unwrap()), "{here}");
        let keyed: &[&str] = if operation.value.get("x-scope").is_some() { &["401", "403"] } else { &[] };
        let bodied: &[&str] = if operation.value.get("requestBody").is_some() { &["413"] } else { &[] };
        for status in ["400", "500", "503"].iter().chain(keyed).chain(bodied) {
            assert!(operation.value["responses"].get(status).is_some(), "{here} does not state {status}");
        }
    }
}

#[test]
fn a_problem_stands_under_its_own_status_with_its_own_type_and_title() {
    let document = document();
    for operation in operations(&document) {
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            let response = resolved(&document, response);
            // People who open a link get a page.
            let is_link = ["/a/", "/u/"].iter().any(|link| operation.path.starts_with(link));
            if is_link && response["content"]["text/html"].is_object() {
                continue;
            }
            let problem = &response["content"]["application/problem+json"];
            assert_eq!(problem.is_object(), status.as_str() >= "400", "{} {status}", operation.path);
            if problem.is_object() {
                let example = &problem["example"];
                let kind = ProblemKind::ALL.iter().find(|kind| kind.status().to_string() == *status).unwrap();
                assert_eq!(example["status"], kind.status());
                assert_eq!(example["type"], kind.urn());
                assert_eq!(example["title"], kind.title());
            }
        }
    }
}

#[test]
fn the_document_has_the_version_of_the_software() {
    assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
}
