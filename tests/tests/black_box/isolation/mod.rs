//! Tenants never meet: whatever B asks with A's ids, it finds nothing of A's and changes nothing of A's. The calls are
//! those of infra/openapi.yaml, so a new one is tried without a new test; what B says in bodies is a random mixture.

mod calls;
mod mixtures;
mod world;

use std::collections::BTreeMap;

use calls::{Asked, names_what_only_a_has, order, requests};
use carillon_tests::Answer;
use carillon_tests::document::{Operation, document, operations};
use serde_json::{Value, json};
use world::{SECRET, World};

/// Fails where something of A's is not what it was.
fn unchanged(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>, by: &str) {
    for (path, was) in before {
        assert_eq!(Some(was), after.get(path), "{path} of A, after {by}");
    }
    assert_eq!(before.len(), after.len());
}

/// How many messages went to A's people.
async fn told(world: &World) -> usize {
    let outbox = world.dev.outbox().await;
    outbox.iter().filter(|item| item.to_string().contains(SECRET)).count()
}

/// E25: B asks every call of the document with each of A's ids, twice: in the second round it has things of its own under
/// some of A's names.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_with_another_tenants_ids_finds_nothing_and_changes_nothing() {
    let world = World::furnished().await;
    let document = document();
    let (before, told_before) = (world.everything_of_a(&document).await, told(&world).await);
    let with_secret = before.values().filter(|answer| answer.to_string().contains(SECRET)).count();
    assert!(with_secret > 15, "only {with_secret} of {} answers to A show what is A's", before.len());
    let secrets = world.ids_of_a_alone();
    let mut calls = operations(&document);
    calls.sort_by_key(order);
    // In the second round B has things of its own under A's names.
    for round in 1..=2 {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            for call in calls.iter().filter(|call| call.method == method) {
                for asked in requests(&world, &document, call) {
                    let answer = asked.by_b(&world).await;
                    let leaks = asked.leaks(&answer, &secrets);
                    // What a PUT has made under one of A's names is B's own, and may be told.
                    let own = |leak: &String| round == 2 && leak != SECRET;
                    assert!(leaks.iter().all(own), "{asked:?} shows {leaks:?}: {answer:?}");
                    fits(call, &asked, &answer, round == 1);
                }
            }
            if method != "GET" && (round == 1 || method == "PUT") {
                let by = format!("every {method} of round {round}");
                unchanged(&before, &world.everything_of_a(&document).await, &by);
            }
        }
    }
    assert_eq!(told(&world).await, told_before, "nobody of A's was told anything");
    let world = world.with_a_job().await;
    for call in calls.iter().filter(|call| call.path.contains("{job}")) {
        for asked in requests(&world, &document, call) {
            fits(call, &asked, &asked.by_b(&world).await, true);
        }
    }
}

/// Fails where an answer is not one that B may get with an id of A's.
fn fits(call: &Operation<'_>, asked: &Asked, answer: &Answer, first: bool) {
    assert!(answer.status < 500 && answer.status != 405, "{asked:?}: {answer:?}");
    if first && names_what_only_a_has(call) {
        // 409: what the document's example says of B's own is taken by another of B's own.
        let own = call.method == "PUT" && [200, 201, 409].contains(&answer.status);
        assert!(own || answer.status == 404, "{asked:?}: {answer:?}");
    }
    if call.value["x-scope"] == "platform" {
        assert_eq!(answer.status, 403, "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_filter_number_or_key_of_another_tenant_opens_nothing() {
    let world = World::furnished().await;
    let document = document();
    let secrets = world.ids_of_a_alone();
    let mut tried = 0;
    for call in
        operations(&document).iter().filter(|call| call.method == "GET" && call.value["x-scope"].is_string())
    {
        let takes = |name: &str| call.parameters.iter().any(|p| p["in"] == "query" && p["name"] == name);
        for path in world.paths(call) {
            let question = if path.contains('?') { '&' } else { '?' };
            let mut queries = Vec::new();
            for (name, of) in [
                ("recipient", "recipient"),
                ("event_type", "event_type"),
                ("type", "event_type"),
                ("tenant", "tenant"),
            ] {
                queries.extend(takes(name).then(|| format!("{name}={}", world.ids[of][0])));
            }
            queries.extend(takes("subject").then(|| format!("subject={SECRET}")));
            if takes("cursor") {
                let page = world.a.get(&format!("{path}{question}limit=1")).await;
                let cursor =
                    page.body["next_cursor"].as_str().map(|c| c.replace('#', "%23").replace(' ', "%20"));
                queries.extend(cursor.map(|cursor| format!("limit=200&cursor={cursor}")));
            }
            for query in queries {
                let asked = Asked::bare("GET", format!("{path}{question}{query}"));
                let answer = asked.by_b(&world).await;
                assert!([200, 400, 403, 404].contains(&answer.status), "{asked:?}: {answer:?}");
                assert_eq!(asked.leaks(&answer, &secrets), Vec::<String>::new(), "{asked:?}: {answer:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 15, "only {tried} queries were tried");
    let before = world.everything_of_a(&document).await;
    let taken = json!({"phone_number_id": world.number, "token": "mine"});
    let answer = world.b.put("/v1/channels/whatsapp", &taken).await;
    assert_eq!(answer.status, 409, "receipts for A's number would come to B: {answer:?}");
    for body in [
        json!({"name": "k", "kind": "live", "scopes": ["read"], "tenant": "amber"}),
        json!({"name": "k", "kind": "live", "scopes": ["platform"]}),
    ] {
        assert_eq!(world.b.post("/v1/keys", &body).await.status, 403, "{body}");
    }
    let key = &world.ids["key"][0];
    assert_eq!(world.b.delete(&format!("/v1/keys/{key}?tenant=amber")).await.status, 403);
    unchanged(&before, &world.everything_of_a(&document).await, "asking for what is A's");
}
