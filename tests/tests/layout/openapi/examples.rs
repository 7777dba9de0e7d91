//! Every example of the document is valid: by the document's own schemas, and where a type of the domain reads it, by
//! that type.

use carillon_domain::deadline::DeadlineInput;
use carillon_domain::parse::from_value;
use carillon_domain::reminder::ReminderPolicy;
use carillon_domain::{EventInput, FieldError, Preferences, Recipient, RecipientId, Route, Template};
use serde_json::Value;

use super::schema::{Way, faults};
use super::{document, operations, resolved};

/// The examples of a request or response, each with the schema that it has to meet.
fn examples(content: &Value) -> Vec<(&Value, &Value)> {
    let media = content.as_object().into_iter().flatten().map(|(_, media)| media);
    media
        .flat_map(|media| {
            let many =
                media["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
            media.get("example").into_iter().chain(many).map(|example| (&media["schema"], example))
        })
        .collect()
}

#[test]
fn every_example_meets_its_schema() {
    let document = document();
    let mut seen = 0;
    for operation in operations(&document) {
        let here = format!("{} {}", operation.method, operation.path);
        let body = resolved(&document, &operation.value["requestBody"]);
        let requests = examples(&body["content"]).into_iter().map(|one| (Way::Request, one));
        let responses = operation.value["responses"].as_object().unwrap().values();
        let answers = responses.flat_map(|response| examples(&resolved(&document, response)["content"]));
        for (way, (schema, example)) in requests.chain(answers.map(|one| (Way::Answer, one))) {
            assert_eq!(faults(&document, schema, example, way), Vec::<String>::new(), "{here}: {example}");
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} examples were found");
}

#[test]
fn every_call_with_a_body_shows_one() {
    let document = document();
    for operation in operations(&document).iter().filter(|o| o.value.get("requestBody").is_some()) {
        let body = resolved(&document, &operation.value["requestBody"]);
        assert!(!examples(&body["content"]).is_empty(), "{} {}", operation.method, operation.path);
    }
}

/// A line of an import: a recipient with its id.
fn imported(line: &str) -> Result<Recipient, Vec<FieldError>> {
    let mut person: Value = serde_json::from_str(line).unwrap();
    let id = person.as_object_mut().unwrap().remove("id").unwrap();
    RecipientId::try_from(id.as_str().unwrap().to_owned()).unwrap();
    from_value::<Recipient>(person)?.normalised(Some("US"))
}

/// What the domain finds wrong with an example body; none where only a handler reads it.
fn domain_faults(path: &str, body: Value) -> Option<Vec<FieldError>> {
    let parsed = match path {
        "/v1/events" | "/v1/events/preview" => EventInput::parse(body).map(|_| Vec::new()),
        "/v1/events/batch" => {
            let events = body["events"].as_array().unwrap().iter().cloned();
            events.map(EventInput::parse).collect::<Result<Vec<_>, _>>().map(|_| Vec::new())
        }
        "/v1/recipients/{recipient}" => {
            from_value::<Recipient>(body).and_then(|r| r.normalised(Some("US"))).map(|_| Vec::new())
        }
        "/v1/recipients/{recipient}/preferences" => {
            from_value::<Preferences>(body).map(|preferences| preferences.faults())
        }
        "/v1/recipients/import" => {
            let lines = body.as_str().unwrap().lines();
            lines.map(imported).collect::<Result<Vec<_>, _>>().map(|_| Vec::new())
        }
        "/v1/routes/{event_type}" => from_value::<Route>(body).map(|route| route.faults()),
        "/v1/reminder-policies/{policy}" => from_value::<ReminderPolicy>(body).map(|policy| policy.faults()),
        "/v1/deadlines/{deadline}" => from_value::<DeadlineInput>(body).map(|deadline| deadline.faults()),
        "/v1/templates/{template}" => from_value::<Template>(body).map(|template| template.faults()),
        _ => return None,
    };
    Some(parsed.unwrap_or_else(|faults| faults))
}

#[test]
fn the_domain_takes_every_example_that_it_reads() {
    let document = document();
    let mut read = std::collections::BTreeSet::new();
    for operation in operations(&document) {
        let body = resolved(&document, &operation.value["requestBody"]);
        for (_, example) in examples(&body["content"]) {
            if let Some(found) = domain_faults(operation.path, example.clone()) {
                assert_eq!(found, [], "{}: {example}", operation.path);
                read.insert(operation.path);
            }
        }
    }
    assert_eq!(read.len(), 10, "{read:?}");
}
