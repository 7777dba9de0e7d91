//! Who is told what, and why not: preferences, suppressions, channel choice, told once, people an event brings itself.

use carillon_tests::{Dev, order_template, until};
use serde_json::{Value, json};

fn state_of(deliveries: &[Value], recipient: &str, channel: &str) -> (String, String) {
    let found = deliveries.iter().find(|d| d["recipient_id"] == recipient && d["channel"] == channel);
    let text = |name: &str| found.map_or("absent", |d| d[name].as_str().unwrap_or("")).to_owned();
    (text("state"), text("reason"))
}

fn skipped(reason: &str) -> (String, String) {
    ("skipped".to_owned(), reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_recipient_wants_decides_and_critical_overrides_it() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let wishes = json!({"channels": {"whatsapp": false}, "categories": {"transactional": {"email": false}}});
    assert_eq!(dev.admin.put("/v1/recipients/ada/preferences", &wishes).await.body, wishes);
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "1"}})).await;
    let deliveries = dev.deliveries(&id).await;
    assert_eq!(state_of(&deliveries, "ada", "whatsapp"), skipped("opted_out"));
    assert_eq!(state_of(&deliveries, "ada", "email"), skipped("opted_out"));
    assert_eq!(state_of(&deliveries, "ada", "in_app").0, "delivered");
    // A put of the person does not touch what they want.
    let ada = json!({"name": "Ada L.", "email": "ada@example.com", "phone": "+12025550101"});
    assert_eq!(dev.admin.put("/v1/recipients/ada", &ada).await.status, 200);
    assert_eq!(dev.admin.get("/v1/recipients/ada/preferences").await.body, wishes);
    let critical = json!({"type": "order.created", "category": "critical", "data": {"number": "2"}});
    let accepted = dev.admin.post("/v1/events", &critical).await;
    let id = accepted.body["event_id"].as_str().unwrap().to_owned();
    dev.settled(&id).await;
    assert!(dev.deliveries(&id).await.iter().all(|d| d["state"] != "skipped"));
    // The tenant speaks for those who said nothing.
    dev.admin.put("/v1/recipients/bo", &json!({"name": "Bo", "email": "bo@example.com"})).await;
    let defaults = json!({"preferences": {"categories": {"transactional": false}}});
    assert_eq!(dev.admin.put("/v1/system/settings", &defaults).await.status, 200);
    let to_bo = json!({"ids": ["bo"], "replace": true});
    let id = dev
        .post_settled(&json!({"type": "order.created", "data": {"number": "3"}, "recipients": to_bo}))
        .await;
    assert_eq!(state_of(&dev.deliveries(&id).await, "bo", "email"), skipped("opted_out"));
    assert_eq!(dev.admin.put("/v1/recipients/nobody/preferences", &json!({})).await.status, 404);
    let bad = dev.admin.put("/v1/recipients/ada/preferences", &json!({"channels": {"email": "no"}})).await;
    assert_eq!((bad.status, bad.pointers()), (422, vec!["/channels".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_address_is_not_sent_to_and_a_bounce_suppresses() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let entry = json!({"channel": "email", "address": "Ada@Example.com", "reason": "asked by letter"});
    let put = dev.admin.post("/v1/suppressions", &entry).await;
    assert_eq!(put.status, 201);
    assert!(!put.body.to_string().contains("xample.com"), "the list holds no address: {}", put.body);
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "1"}})).await;
    assert_eq!(state_of(&dev.deliveries(&id).await, "ada", "email"), skipped("suppressed"));
    let listed = dev.admin.get("/v1/suppressions").await.body["items"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 1);
    let path = format!("/v1/suppressions/{}", listed[0]["id"].as_str().unwrap());
    assert_eq!(dev.admin.delete(&path).await.status, 204);
    assert_eq!(dev.admin.delete(&path).await.status, 404);
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "2"}})).await;
    assert_ne!(state_of(&dev.deliveries(&id).await, "ada", "email").0, "skipped");

    dev.admin
        .put("/v1/recipients/gone", &json!({"name": "Gone", "email": "bounce@simulator.amazonses.com"}))
        .await;
    let to_gone = json!({"ids": ["gone"], "replace": true});
    let id = dev
        .post_settled(&json!({"type": "order.created", "data": {"number": "3"}, "recipients": to_gone}))
        .await;
    assert_eq!(dev.delivery_in(&id, "email", "failed").await["reason"], "bounced");
    until("the bounce to be on the list", async || {
        let list =
            dev.admin.get("/v1/suppressions").await.body["items"].as_array().cloned().unwrap_or_default();
        list.iter().any(|entry| entry["reason"] == "bounced").then_some(())
    })
    .await;
    let id = dev
        .post_settled(&json!({"type": "order.created", "data": {"number": "4"}, "recipients": to_gone}))
        .await;
    assert_eq!(state_of(&dev.deliveries(&id).await, "gone", "email"), skipped("suppressed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_channel_that_works_is_the_only_one_used() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    dev.admin.put("/v1/recipients/bo", &json!({"name": "Bo", "email": "bo@example.com"})).await;
    let route = json!({
        "audience": {"ids": ["ada", "bo"]}, "template": "order", "channels": {"first_of": ["whatsapp", "email", "in_app"]}
    });
    assert_eq!(dev.admin.put("/v1/routes/order.shipped", &route).await.status, 201);
    let id = dev.post_settled(&json!({"type": "order.shipped", "data": {"number": "1"}})).await;
    let deliveries = dev.deliveries(&id).await;
    assert_ne!(state_of(&deliveries, "ada", "whatsapp").0, "absent");
    assert_eq!(state_of(&deliveries, "ada", "email").0, "absent");
    assert_eq!(state_of(&deliveries, "bo", "whatsapp"), skipped("no_address"));
    assert_ne!(state_of(&deliveries, "bo", "email").0, "absent");
    assert_eq!(deliveries.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_tells_once_per_value_whatever_id_the_producer_gives() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let mut template = order_template();
    template["locales"]["en"]["whatsapp"]["text"] = json!("Test {{ data.test }} is done.");
    dev.admin.put("/v1/templates/test?publish=true", &template).await;
    let route = json!({
        "audience": {"from_event": ["data.educator"]}, "template": "test", "channels": ["email"],
        "once_per": ["data.class", "data.test"]
    });
    assert_eq!(dev.admin.put("/v1/routes/test.completed", &route).await.status, 201);
    let post = async |id: &str, test: u32, educator: &str| {
        let data = json!({"class": "7b", "test": test, "educator": educator, "number": "1"});
        let id =
            dev.post_settled(&json!({"type": "test.completed", "source": "s", "id": id, "data": data})).await;
        state_of(&dev.deliveries(&id).await, educator, "email")
    };
    assert_ne!(post("1", 1, "ada").await.0, "skipped");
    assert_eq!(post("2", 1, "ada").await, skipped("already_told"));
    assert_ne!(post("3", 2, "ada").await.0, "skipped", "another test");
    // Who could not be told has not used up their once.
    dev.admin.put("/v1/recipients/cy", &json!({"name": "Cy"})).await;
    assert_eq!(post("4", 1, "cy").await, skipped("no_address"));
    dev.admin.put("/v1/recipients/cy", &json!({"name": "Cy", "email": "cy@example.com"})).await;
    assert_ne!(post("5", 1, "cy").await.0, "skipped");
    let missing =
        json!({"type": "test.completed", "data": {"class": "7b", "educator": "ada", "number": "1"}});
    let refused = dev.producer.post("/v1/events", &missing).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/data/test".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_can_bring_people_who_are_in_no_directory() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let bo = json!({"name": "Bo", "email": "bo@example.com", "phone": "(202) 555-0102"});
    let event = json!({
        "type": "greeting", "template": "order", "channels": ["whatsapp", "email"], "data": {"number": "9"},
        "recipients": {"addresses": [bo, {"name": "Cy", "email": "cy@example.com"}]}
    });
    let preview = dev.producer.post("/v1/events/preview", &event).await;
    assert_eq!(preview.body["notifications"].as_array().map(Vec::len), Some(4), "{preview:?}");
    let id = dev.post_settled(&event).await;
    assert_eq!(dev.deliveries(&id).await.len(), 4);
    let outbox = dev.outbox().await;
    assert_eq!(outbox.len(), 3);
    assert!(
        outbox.iter().any(|i| i["to"] == "+12025550102")
            && outbox.iter().any(|i| i["to"] == "cy@example.com")
    );
    let listed = dev.admin.get("/v1/recipients").await.body["items"].as_array().unwrap().len();
    assert_eq!(listed, 1, "who was brought is not in the directory");
    let bad = json!({
        "type": "greeting", "template": "order", "channels": ["email"],
        "recipients": {"addresses": [{"name": "X", "email": "x@"}, {"name": "Y"}]}
    });
    let refused = dev.producer.post("/v1/events", &bad).await;
    assert_eq!(
        refused.pointers(),
        ["/recipients/addresses/0/email", "/recipients/addresses/1"],
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_can_be_read_in_order() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    dev.admin.put("/v1/recipients/bo", &json!({"name": "Bo"})).await;
    dev.admin.put("/v1/groups/Sales%20Team", &json!({"members": ["ada", "bo"]})).await;
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "1"}})).await;
    let explained = dev.producer.get(&format!("/v1/events/{id}/explain?recipient=bo")).await.body;
    let decisions = explained["decisions"].as_array().unwrap();
    let steps: Vec<&str> = decisions.iter().map(|d| d["step"].as_str().unwrap()).collect();
    assert_eq!(steps[..3], ["accepted", "route", "audience"]);
    let email = decisions.iter().find(|d| d["channel"] == "email").unwrap();
    assert_eq!((email["outcome"].as_str(), email["reason"].as_str()), (Some("skipped"), Some("no_address")));
    assert!(decisions.iter().all(|d| d["recipient_id"].is_null() || d["recipient_id"] == "bo"));
    let stranger = dev.producer.get(&format!("/v1/events/{id}/explain?recipient=cy")).await.body;
    assert!(stranger["decisions"].as_array().unwrap().iter().any(|d| d["outcome"] == "not addressed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_imported_by_line_found_and_normalised() {
    let dev = Dev::start().await;
    let lines = [
        r#"{"id": "a", "name": "Ada", "phone": "12025550111"}"#,
        r#"{"id": "b", "name": "Bo", "phone": "12025550111"}"#,
        r#"{"name": "No id"}"#,
        "",
        "not json",
        r#"{"id": "c", "name": "Cy", "email": "cy@example.com"}"#,
    ];
    let headers = [("content-type", "application/x-ndjson")];
    let body = Some(lines[..1].join("\n").into_bytes());
    let first = dev.admin.raw("POST", "/v1/recipients/import", &headers, body).await;
    assert_eq!((first.status, &first.body["created"]), (200, &json!(1)));
    let all = dev
        .admin
        .raw("POST", "/v1/recipients/import", &headers, Some(lines.join("\n").into_bytes()))
        .await
        .body;
    assert_eq!((&all["created"], &all["updated"], &all["failed"]), (&json!(1), &json!(1), &json!(3)));
    let statuses: Vec<(i64, i64)> = all["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["line"].as_i64().unwrap(), l["status"].as_i64().unwrap()))
        .collect();
    assert_eq!(statuses, [(1, 200), (2, 409), (3, 422), (5, 400), (6, 201)]);
    for (query, id) in [("a", "a"), ("CY@example.com", "c"), ("(202) 555-0111", "a"), ("cy", "c")] {
        let found = dev.producer.post("/v1/recipients/search", &json!({"query": query})).await.body;
        assert_eq!(found["items"][0]["id"], id, "{query}");
    }
    let report = dev.admin.post("/v1/recipients/normalise", &json!({"dry_run": true})).await.body;
    assert_eq!(report, json!({"changed": 0, "unchanged": 2, "impossible": []}));
}
