//! What operators do after an end: retry one or many, decide again, take an event back, and prove what became of it all.

use carillon_pipeline::ports::{Index, Query, Write};
use carillon_tests::Dev;
use serde_json::{Value, json};

fn order() -> Value {
    json!({"type": "order.created", "data": {"number": "A-1"}})
}

async fn refuse(dev: &Dev, code: u32) {
    let faults = json!({"whatsapp": {"refuse": {"code": code, "rate": 1.0}}});
    assert_eq!(dev.admin.post("/dev/faults", &faults).await.status, 200);
}

/// Deletes the first item of a partition whose sort key begins like this, as an accident would.
async fn delete(dev: &Dev, partition: &str, beginning: &str) {
    let table = &dev.cloud.pipeline().table;
    let page = table.query(&Query::of(Index::Table, partition.to_owned(), 1_000)).await.unwrap();
    let key = page.items.into_iter().map(|(key, _)| key).find(|key| key.sk().starts_with(beginning)).unwrap();
    table.write(Write::Delete { key, only_if: Vec::new() }).await.unwrap();
}

async fn heal(dev: &Dev) {
    assert_eq!(dev.admin.post("/dev/faults", &json!({})).await.status, 200);
}

/// I15, I16: one failed notification is retried by hand, and the timeline says who did.
#[tokio::test(flavor = "multi_thread")]
async fn one_failed_delivery_is_sent_again_and_says_who_asked() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    refuse(&dev, 131_008).await;
    let event = dev.post_settled(&order()).await;
    let failed = dev.delivery_in(&event, "whatsapp", "failed").await;
    let path = format!("/v1/deliveries/{}", failed["id"].as_str().unwrap());
    heal(&dev).await;
    let again = dev.admin.post(&format!("{path}/retry"), &json!({})).await;
    // A worker may have it already.
    assert!(again.status == 200 && again.body["state"] != "failed", "{again:?}");
    dev.advance(0).await;
    let delivery = dev.admin.get(&path).await.body;
    assert!(["sent", "delivered", "read"].contains(&delivery["state"].as_str().unwrap()), "{delivery}");
    assert_eq!(delivery["attempts"], 2);
    let timeline = delivery["timeline"].to_string();
    assert!(timeline.contains("taken back from failed"), "{timeline}");
    // It may have arrived: only force sends it again, and that is counted.
    let twice = dev.admin.post(&format!("{path}/retry"), &json!({})).await;
    assert_eq!(twice.status, 409, "{twice:?}");
    let unknown = dev.admin.post(&format!("{path}/retry"), &json!({"forced": true})).await;
    assert_eq!((unknown.status, unknown.pointers()), (422, vec!["/forced".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_arrived_is_sent_again_by_force_only_and_counted() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let faults = json!({"whatsapp": {"receipts": "none"}});
    assert_eq!(dev.admin.post("/dev/faults", &faults).await.status, 200);
    let event = dev.post_settled(&order()).await;
    let sent = dev.delivery_in(&event, "whatsapp", "sent").await;
    let path = format!("/v1/deliveries/{}", sent["id"].as_str().unwrap());
    assert_eq!(dev.admin.post(&format!("{path}/retry"), &json!({})).await.status, 409);
    let forced = dev.admin.post(&format!("{path}/retry"), &json!({"force": true})).await;
    assert_eq!((forced.status, &forced.body["resends"]), (200, &json!(1)), "{forced:?}");
    dev.advance(0).await;
    let delivery = dev.admin.get(&path).await.body;
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("sent"), &json!(2)));
    assert_eq!(dev.outbox().await.iter().filter(|m| m["channel"] == "whatsapp").count(), 2);
}

/// I15: all failed ones, or those of a filter, after a dry count.
#[tokio::test(flavor = "multi_thread")]
async fn many_are_counted_and_then_sent_again() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    refuse(&dev, 131_008).await;
    for class in ["7a", "7a", "8b"] {
        let mut event = order();
        event["subject"] = json!(class);
        dev.post_settled(&event).await;
    }
    heal(&dev).await;
    let retry = async |filter: Value, dry_run: bool| {
        let body = json!({"filter": filter, "dry_run": dry_run});
        dev.admin.post("/v1/deliveries/retry", &body).await.body
    };
    assert_eq!(retry(json!({"state": "failed"}), true).await, json!({"matched": 3, "retried": 0}));
    let one_class = json!({"state": "failed", "channel": "whatsapp", "subject": "7a"});
    assert_eq!(retry(one_class.clone(), false).await, json!({"matched": 2, "retried": 2}));
    dev.advance(0).await;
    assert_eq!(retry(one_class, false).await, json!({"matched": 0, "retried": 0}));
    let left = dev.admin.get("/v1/deliveries?state=failed").await.body;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    let bad = dev.admin.post("/v1/deliveries/retry", &json!({"filter": {"state": "sent"}})).await;
    assert_eq!((bad.status, bad.pointers()), (422, vec!["/filter/state".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_skipped_is_decided_again_with_the_preferences_of_today() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let no = json!({"channels": {"email": false}});
    assert_eq!(dev.admin.put("/v1/recipients/ada/preferences", &no).await.status, 200);
    let event = dev.post_settled(&order()).await;
    let skipped = dev.delivery_in(&event, "email", "skipped").await;
    let path = format!("/v1/deliveries/{}/reconsider", skipped["id"].as_str().unwrap());
    let still = dev.admin.post(&path, &json!({})).await;
    assert_eq!(still.status, 409, "{still:?}");
    assert!(still.body["detail"].as_str().unwrap().contains("opted_out"), "{still:?}");
    dev.admin.put("/v1/recipients/ada/preferences", &json!({})).await;
    let now = dev.admin.post(&path, &json!({})).await;
    assert!(now.status == 200 && now.body["state"] != "skipped", "{now:?}");
    dev.advance(0).await;
    assert!(dev.outbox().await.iter().any(|m| m["channel"] == "email"));
    let sent = dev.delivery_in(&event, "whatsapp", "delivered").await;
    let path = format!("/v1/deliveries/{}/reconsider", sent["id"].as_str().unwrap());
    assert_eq!(dev.admin.post(&path, &json!({})).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_taken_back_as_far_as_it_has_not_left() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    // A halted channel keeps the message; the email and the feed have it already.
    refuse(&dev, 190).await;
    let accepted = dev.producer.post("/v1/events", &order()).await.body;
    let event = accepted["event_id"].as_str().unwrap().to_owned();
    dev.advance(0).await;
    dev.delivery_in(&event, "whatsapp", "held").await;
    let path = format!("/v1/events/{event}/cancel");
    let report = dev.producer.post(&path, &json!({})).await;
    assert_eq!((report.status, report.body), (200, json!({"cancelled": 1, "too_late": 2})));
    let again = dev.producer.post(&path, &json!({})).await;
    assert_eq!(again.body, json!({"cancelled": 1, "too_late": 2}), "repeating it says the same");
    heal(&dev).await;
    dev.advance(3_600).await;
    let whatsapp = dev.delivery_in(&event, "whatsapp", "cancelled").await;
    assert_eq!(whatsapp["reason"], "cancelled_by");
    assert!(dev.outbox().await.iter().all(|m| m["channel"] != "whatsapp"));
    assert_eq!(
        dev.producer.post("/v1/events/aaaaaaaaaaaaaaaaaaaaaaaaaa/cancel", &json!({})).await.status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_proved_and_a_deletion_is_named() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let first = dev.post_settled(&order()).await;
    dev.post_settled(&order()).await;
    dev.advance(1).await;
    let period = json!({"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z"});
    let proof = dev.producer.post("/v1/system/prove", &period).await.body;
    assert_eq!(
        (&proof["accepted"], &proof["planned"], &proof["balanced"], &proof["faults"]),
        (&json!(2), &json!(6), &json!(true), &json!([])),
        "{proof}"
    );
    let states: u64 = proof["states"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(states, 6);
    let victim = dev.deliveries(&first).await.remove(0);
    let person = victim["id"].as_str().unwrap().split('-').next().unwrap();
    delete(&dev, &format!("T#{}#R#{person}", dev.cloud.ready().tenant), &format!("D#{first}#")).await;
    let proof = dev.producer.post("/v1/system/prove", &period).await.body;
    assert_eq!(proof["balanced"], false, "{proof}");
    assert_eq!(proof["faults"][0]["event_id"], json!(first));
    delete(&dev, &format!("T#{}#E#{first}", dev.cloud.ready().tenant), "EVENT").await;
    let proof = dev.producer.post("/v1/system/prove", &period).await.body;
    let what = proof["faults"].to_string();
    assert!(what.contains(&first) && what.contains("the event is gone"), "{proof}");
    let bad = dev
        .producer
        .post("/v1/system/prove", &json!({"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T00:00:00Z"}))
        .await;
    assert_eq!((bad.status, bad.pointers()), (422, vec!["/to".to_owned()]));
}
