//! The life of a notification, from outside: an event goes in, messages on three channels come out, receipts move them on.

use carillon_tests::{Dev, until};
use serde_json::{Value, json};

/// The whole life, told once.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_told_on_three_channels_and_every_step_is_seen() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let event = json!({
        "specversion": "1.0", "type": "order.created", "source": "shop", "id": "ord-1", "subject": "customer-17",
        "time": "2026-11-20T09:00:00Z", "data": {"number": "A-1001"}
    });
    let id = dev.post_settled(&event).await;
    for channel in ["whatsapp", "email", "in_app"] {
        dev.delivery_in(&id, channel, "delivered").await;
    }
    let deliveries = dev.deliveries(&id).await;
    assert_eq!(deliveries.len(), 3);

    let outbox = dev.outbox().await;
    assert_eq!(outbox.len(), 2, "one WhatsApp message and one email left");
    for item in &outbox {
        let token = item["token"].as_str().unwrap();
        let delivery =
            deliveries.iter().find(|d| token.starts_with(d["id"].as_str().unwrap())).expect("its delivery");
        assert_eq!(token, format!("{}-1", delivery["id"].as_str().unwrap()));
    }
    let whatsapp = outbox.iter().find(|i| i["channel"] == "whatsapp").unwrap();
    assert_eq!(
        (&whatsapp["to"], &whatsapp["template"]["parameters"]),
        (&json!("+12025550101"), &json!(["A-1001"]))
    );
    let email = outbox.iter().find(|i| i["channel"] == "email").unwrap();
    assert_eq!((&email["to"], &email["subject"]), (&json!("ada@example.com"), &json!("Order A-1001")));
    assert!(email["html"].as_str().unwrap().contains("Hello Ada"));

    let inbox = dev.admin.get("/v1/inbox?recipient=ada").await.body;
    assert_eq!(inbox["items"][0]["title"], "Order A-1001");
    assert_eq!(dev.admin.get("/v1/inbox/unread-count?recipient=ada").await.body["unread_count"], 1);

    let sent = deliveries.iter().find(|d| d["channel"] == "whatsapp").unwrap();
    let read = dev.admin.get(&format!("/v1/deliveries/{}", sent["id"].as_str().unwrap())).await.body;
    let kinds: Vec<&str> =
        read["timeline"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "attempt").count(), 1);
    assert_eq!(kinds.iter().filter(|k| **k == "receipt").count(), 2, "sent and delivered");
    assert_eq!((kinds[0], read["rendered"]["name"].as_str()), ("planned", Some("order_created")));
    assert!(!read.to_string().contains("2025550101"), "an operator sees a masked number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_post_is_the_same_event_and_tells_nobody_twice() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let event = json!({"type": "order.created", "source": "shop", "id": "1", "data": {"number": "A-1"}});
    let racing =
        futures_util::future::join_all((0..10).map(|_| dev.producer.post("/v1/events", &event))).await;
    assert!(racing.iter().all(|a| a.status == 202));
    assert_eq!(racing.iter().filter(|a| a.body["replayed"] == false).count(), 1);
    let id = racing[0].body["event_id"].as_str().unwrap().to_owned();
    assert!(racing.iter().all(|a| a.body["event_id"] == id.as_str()));
    dev.settled(&id).await;
    // The order of keys is not another body; another value is.
    let same = dev.producer.raw(
        "POST",
        "/v1/events",
        &[("content-type", "application/json")],
        Some(br#"{"data":{"number":"A-1"},"id":"1","source":"shop","type":"order.created"}"#.to_vec()),
    );
    assert_eq!(same.await.body["replayed"], true);
    let other = json!({"type": "order.created", "source": "shop", "id": "1", "data": {"number": "A-2"}});
    assert_eq!(dev.producer.post("/v1/events", &other).await.status, 422);
    assert_eq!(dev.outbox().await.len(), 2);
    // What was accepted stays accepted when its route is gone.
    assert_eq!(dev.admin.delete("/v1/routes/order.created").await.status, 204);
    assert_eq!(dev.producer.post("/v1/events", &event).await.body["replayed"], true);
    assert_eq!(dev.outbox().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_key_wins_over_source_and_id() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let post = async |key: &str, number: &str| {
        let body = json!({"type": "order.created", "source": "s", "id": number, "data": {"number": number}})
            .to_string();
        let headers = [("content-type", "application/cloudevents+json"), ("idempotency-key", key)];
        dev.producer.raw("POST", "/v1/events", &headers, Some(body.into_bytes())).await
    };
    let first = post("k", "1").await;
    assert_eq!(first.status, 202);
    assert_eq!(post("k", "1").await.body["event_id"], first.body["event_id"]);
    assert_eq!(post("k", "2").await.status, 422);
    assert_ne!(post("l", "1").await.body["event_id"], first.body["event_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_in_two_groups_and_named_by_id_is_told_once() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    dev.admin.put("/v1/groups/Admins", &json!({"members": ["ada"]})).await;
    let event = json!({
        "type": "order.created", "data": {"number": "1"}, "recipients": {"ids": ["ada"], "groups": ["Admins", "Sales Team"]}
    });
    let id = dev.post_settled(&event).await;
    assert_eq!(dev.deliveries(&id).await.len(), 3);
    assert_eq!(dev.outbox().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_is_skipped_with_a_reason() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    dev.admin.put("/v1/recipients/bo", &json!({"name": "Bo", "email": "bo@example.com"})).await;
    dev.admin
        .put("/v1/recipients/cy", &json!({"name": "Cy", "email": "cy@example.com", "active": false}))
        .await;
    let only = json!({"ids": ["bo", "cy"], "replace": true});
    let id = dev
        .post_settled(&json!({"type": "order.created", "data": {"number": "1"}, "recipients": only}))
        .await;
    let deliveries = dev.deliveries(&id).await;
    let reason = |who: &str, channel: &str| {
        deliveries
            .iter()
            .find(|d| d["recipient_id"] == who && d["channel"] == channel)
            .map(|d| d["reason"].clone())
    };
    assert_eq!(deliveries.len(), 6);
    assert_eq!(reason("bo", "whatsapp"), Some(json!("no_address")));
    assert_eq!(reason("bo", "email"), Some(Value::Null));
    for channel in ["whatsapp", "email", "in_app"] {
        assert_eq!(reason("cy", channel), Some(json!("inactive")), "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_lacks_a_variable_fails_visibly_and_is_never_half_sent() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let id = dev.post_settled(&json!({"type": "order.created", "data": {}})).await;
    for delivery in dev.deliveries(&id).await {
        assert_eq!(
            (delivery["state"].as_str(), delivery["reason"].as_str()),
            (Some("failed"), Some("rejected:template"))
        );
        assert!(delivery["note"].as_str().unwrap().contains("data.number"), "{delivery}");
    }
    assert!(dev.outbox().await.is_empty());
}

/// H3: templates are rendered from versions; a version never changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_keeps_the_template_version_it_was_planned_with() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "1"}})).await;
    let mut changed = carillon_tests::order_template();
    changed["locales"]["en"]["in_app"]["title"] = json!("New {{ data.number }}");
    let put = dev.admin.put("/v1/templates/order?publish=true", &changed).await;
    assert_eq!((put.status, &put.body["version"]), (200, &json!(2)));
    let old = dev.delivery_in(&id, "in_app", "delivered").await;
    let read = dev.admin.get(&format!("/v1/deliveries/{}", old["id"].as_str().unwrap())).await.body;
    assert_eq!((&read["version"], &read["rendered"]["title"]), (&json!(1), &json!("Order 1")));
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "2"}})).await;
    assert_eq!(dev.delivery_in(&id, "in_app", "delivered").await["version"], 2);
    // And back again.
    let back = dev.admin.post("/v1/templates/order/publish", &json!({"version": 1})).await;
    assert_eq!(back.status, 200);
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "3"}})).await;
    assert_eq!(dev.delivery_in(&id, "in_app", "delivered").await["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_would_be_sent_and_sends_nothing() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let preview = dev
        .producer
        .post("/v1/events/preview", &json!({"type": "order.created", "data": {"number": "7"}}))
        .await;
    let shown = preview.body["notifications"].as_array().unwrap().clone();
    assert_eq!((preview.status, shown.len()), (200, 3));
    assert!(shown.iter().all(|n| n["decision"] == "send" && n["recipient_id"] == "ada"));
    assert_eq!(shown[1]["rendered"]["subject"], "Order 7");
    let of_template =
        dev.producer.post("/v1/templates/order/preview", &json!({"data": {"number": "7"}})).await;
    assert_eq!(of_template.body["rendered"]["whatsapp"]["inside_window"]["body"], "Order 7 came in.");
    assert_eq!(dev.producer.get("/v1/events").await.body["items"], json!([]));
    assert!(dev.outbox().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_its_good_events_and_names_its_bad_ones() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let good = json!({"type": "order.created", "source": "s", "id": "1", "data": {"number": "1"}});
    let body = json!({"events": [good, {"type": "nope"}, 3, good]});
    let answer = dev.producer.post("/v1/events/batch", &body).await;
    assert_eq!(answer.status, 207);
    let results = answer.body["results"].as_array().unwrap();
    let statuses: Vec<i64> = results.iter().map(|r| r["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 422, 202]);
    assert_eq!((&results[0]["replayed"], &results[3]["replayed"]), (&json!(false), &json!(true)));
    assert_eq!(results[1]["problem"]["errors"][0]["pointer"], "/events/1/type");
    dev.settled(results[0]["event_id"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_pages_through_everything_newest_first() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    for number in 0..5 {
        dev.post_settled(&json!({"type": "order.created", "data": {"number": number.to_string()}})).await;
    }
    for (list, total) in [("/v1/events", 5), ("/v1/deliveries", 15)] {
        let mut seen = Vec::new();
        let mut path = format!("{list}?limit=2");
        loop {
            let page = dev.producer.get(&path).await.body;
            seen.extend(
                page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()),
            );
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("{list}?limit=2&cursor={}", cursor.replace('#', "%23"));
        }
        assert_eq!(seen.len(), total, "{list}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), total, "{list} shows nothing twice");
    }
    let failed = dev.producer.get("/v1/deliveries?state=failed").await.body;
    assert_eq!(failed["items"], json!([]));
    let emails = until("all emails delivered", async || {
        let found = dev.producer.get("/v1/deliveries?channel=email&state=delivered&recipient=ada").await.body;
        (found["items"].as_array().unwrap().len() == 5).then_some(found)
    });
    emails.await;
}
