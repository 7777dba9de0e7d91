//! Erasing a person at once, and handing out what is kept of them.

use carillon_tests::{Client, Dev, until};
use serde_json::{Value, json};

/// Everything a call can read of a tenant, as one text.
async fn everything(dev: &Dev, ids: &[&str]) -> String {
    let mut paths: Vec<String> = [
        "/v1/recipients",
        "/v1/recipients/ada",
        "/v1/recipients/ada/preferences",
        "/v1/recipients/ada/export",
        "/v1/inbox?recipient=ada",
        "/v1/inbox/recent?recipient=ada",
        "/v1/groups",
        "/v1/groups/Sales%20Team/members",
        "/v1/events",
        "/v1/deliveries",
        "/v1/deadlines",
        "/v1/deadlines/d1",
        "/v1/dead-letters",
        "/v1/suppressions",
        "/v1/system/forecast?days=7",
    ]
    .map(str::to_owned)
    .into();
    for id in ids {
        paths.extend(["", "/deliveries", "/explain"].map(|part| format!("/v1/events/{id}{part}")));
        paths.extend((0..2).map(|n| format!("/v1/recipients/one-off-{id}-{n}")));
    }
    let mut text = String::new();
    for delivery in dev.admin.get("/v1/deliveries").await.body["items"].as_array().unwrap() {
        paths.push(format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap()));
    }
    for path in paths {
        let answer = dev.admin.get(&path).await;
        // A problem names its own path.
        if answer.status == 200 {
            text.push_str(&answer.body.to_string());
        }
    }
    text
}

async fn search(client: &Client, query: &str) -> usize {
    let found = client.post("/v1/recipients/search", &json!({"query": query})).await;
    found.body["items"].as_array().unwrap().len()
}

/// R34, R35: erasing a person works at once: nothing that says who they were can be read through any call, no message leaves
/// any more, statistics and ledger say what they said before.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_erased_person_can_be_read_and_everything_adds_up_r34_r35() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let bob = json!({"name": "Bob", "email": "bob@example.com"});
    assert_eq!(dev.admin.put("/v1/recipients/bob", &bob).await.status, 201);
    let add = json!({"add": ["bob"]});
    assert_eq!(dev.admin.post("/v1/groups/Sales%20Team/members", &add).await.status, 200);
    let named = json!({
        "type": "order.created", "subject": "ada", "data": {"number": "for Elm Street 1"}
    });
    let one = dev.post_settled(&named).await;
    let shared = json!({"type": "order.created", "data": {"number": "N-2 for (202) 555-0101"}});
    let two = dev.post_settled(&shared).await;
    let policy = json!({"reminders": [{
        "kind": "soon", "offset": "-1h", "template": "order", "channels": ["email"], "category": "reminder"
    }]});
    assert_eq!(dev.admin.put("/v1/reminder-policies/loan", &policy).await.status, 201);
    let deadline = json!({
        "policy": "loan", "recipients": {"ids": ["ada"]}, "due_at": "2027-01-01T00:00:00Z",
        "data": {"number": "Ada's loan"}
    });
    assert_eq!(dev.admin.put("/v1/deadlines/d1", &deadline).await.status, 201);
    let waits =
        json!({"type": "order.created", "deliver_at": "2026-12-20T09:00:00Z", "data": {"number": "N-3"}});
    let three = dev.producer.post("/v1/events", &waits).await.body["event_id"].as_str().unwrap().to_owned();
    until("it to be planned", async || {
        let view = dev.admin.get(&format!("/v1/events/{three}")).await.body;
        (view["states"]["held"] == 5).then_some(())
    })
    .await;
    let ids = [one.as_str(), two.as_str(), three.as_str()];
    let before = everything(&dev, &ids).await;
    for trace in ["Ada", "ada@example.com", "+12025550101", "555-0101", "Elm Street"] {
        assert!(before.contains(trace), "{trace} is not there to be erased");
    }
    let planned = async || dev.admin.get("/v1/system/stats").await.body["total"]["count"].clone();
    let proof = async || {
        let all = json!({"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"});
        dev.admin.post("/v1/system/prove", &all).await.body
    };
    let (proven, sent) = (proof().await, dev.outbox().await.len());
    assert_eq!(proven["balanced"], true, "{proven}");

    let erased = dev.admin.delete("/v1/recipients/ada?erase=true").await;
    assert_eq!(erased.status, 204, "{erased:?}");
    let after = everything(&dev, &ids).await;
    for trace in ["Ada", "ada@example.com", "a***@", "12025550101", "555-0101", "Elm Street", "\"ada\""] {
        let at = after.find(trace).unwrap_or_default();
        assert!(
            !after.contains(trace),
            "{trace} can still be read: {}",
            &after[at.saturating_sub(300)..at + 30]
        );
    }
    assert_eq!((search(&dev.admin, "Ada").await, search(&dev.admin, "ada@example.com").await), (0, 0));
    assert_eq!(dev.admin.delete("/v1/recipients/ada?erase=true").await.status, 404);
    let proven_after = proof().await;
    assert_eq!(proven_after["balanced"], true, "{proven_after}");
    for count in ["accepted", "planned"] {
        assert_eq!(proven_after[count], proven[count], "{count}");
    }
    // What had not left for her is taken back; what waits for Bob waits.
    let states = dev.admin.get(&format!("/v1/events/{three}")).await.body["states"].clone();
    assert_eq!((&states["cancelled"], &states["held"]), (&json!(3), &json!(2)), "{states}");
    assert_eq!(dev.outbox().await.len(), sent);
    until("the counters to be there", async || (planned().await.as_i64() >= Some(15)).then_some(())).await;
}

/// R34: a person whom an event brought is erased like one of the directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_whom_an_event_brought_is_erased_too_r34() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let body = json!({"type": "order.created", "data": {"number": "N-1"}, "recipients": {"replace": true, "addresses": [
        {"name": "Cy Young", "email": "cy@example.com"}, {"name": "Dee", "email": "dee@example.com"}
    ]}});
    let id = dev.post_settled(&body).await;
    assert!(everything(&dev, &[&id]).await.contains("cy@example.com"));
    let path = format!("/v1/recipients/one-off-{id}-0?erase=true");
    assert_eq!(dev.admin.delete(&path).await.status, 204);
    let after = everything(&dev, &[&id]).await;
    assert!(!after.contains("cy@example.com") && !after.contains("Cy Young"), "{after}");
    assert!(after.contains("dee@example.com"), "{after}");
    assert_eq!(dev.admin.delete("/v1/recipients/nobody?erase=true").await.status, 404);
}

/// R34: what is kept of a person can be handed to them: who they are, what they want, and what they were told.
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_data_are_exported_with_what_they_were_told_r34() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    dev.post_settled(&json!({"type": "order.created", "data": {"number": "N-1"}})).await;
    let export = dev.admin.get("/v1/recipients/ada/export").await;
    assert_eq!(export.status, 200, "{export:?}");
    assert_eq!(export.body["recipient"]["email"], "ada@example.com");
    assert_eq!((&export.body["groups"], &export.body["next_cursor"]), (&json!(["Sales Team"]), &Value::Null));
    let told: Vec<String> = export.body["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["rendered"].to_string())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|text| text.contains("N-1")), "{told:?}");
    assert_eq!(dev.admin.get("/v1/recipients/nobody/export").await.status, 404);
}
