//! Time that stands still until a test moves it: what is due now happens by itself, what is due later when its time has
//! come, and a call that moves the clock answers when all of it is done.

use carillon_tests::{Answer, Dev, until};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

fn order() -> Value {
    json!({"type": "order.created", "data": {"number": "1"}})
}

async fn now(dev: &Dev) -> String {
    dev.admin.get("/dev/clock").await.body["now"].as_str().unwrap().to_owned()
}

async fn states(dev: &Dev, id: &str) -> Vec<String> {
    let mut states: Vec<String> =
        dev.deliveries(id).await.iter().map(|d| d["state"].as_str().unwrap().to_owned()).collect();
    states.sort();
    states
}

async fn posted(dev: &Dev, event: &Value) -> String {
    let accepted = dev.producer.post("/v1/events", event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// Posts an event while something goes wrong, waits until everything due is done, and lets it go right again.
async fn posted_under(dev: &Dev, faults: &Value) -> String {
    assert_eq!(dev.admin.post("/dev/faults", faults).await.status, 200);
    let id = posted(dev, &order()).await;
    dev.advance(0).await;
    assert_eq!(dev.admin.post("/dev/faults", &json!({})).await.status, 200);
    id
}

/// What the providers received: channel and instant.
async fn received(dev: &Dev) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    dev.outbox().await.iter().map(|item| (text(&item["channel"]), text(&item["received_at"]))).collect()
}

fn owned((channel, at): (&str, &str)) -> (String, String) {
    (channel.to_owned(), at.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn work_due_now_runs_by_itself_and_no_time_passes() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let id = posted(&dev, &order()).await;
    until("three deliveries are delivered", async || {
        (states(&dev, &id).await == ["delivered", "delivered", "delivered"]).then_some(())
    })
    .await;
    for delivery in dev.deliveries(&id).await {
        assert_eq!(delivery["created_at"], "2026-11-20T09:00:00Z");
        assert_eq!(delivery["delivered_at"], "2026-11-20T09:00:00Z");
    }
    let shown = dev.admin.get("/dev/clock").await;
    assert_eq!(shown.body, json!({"now": "2026-11-20T09:00:00Z", "clock": "virtual"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_seconds_wait_until_everything_that_is_due_is_done() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    for _ in 0..8 {
        let id = posted(&dev, &order()).await;
        dev.advance(0).await;
        assert_eq!(states(&dev, &id).await, ["delivered", "delivered", "delivered"]);
    }
    assert_eq!(now(&dev).await, "2026-11-20T09:00:00Z");
    let queues = dev.admin.get("/dev/queues").await.body;
    let empty = json!({"visible": 0, "in_flight": 0, "oldest_age_s": null, "dead_letters": 0});
    for queue in ["events", "whatsapp", "email", "receipts"] {
        assert_eq!(queues[queue], empty, "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_time_leaves_at_its_instant_and_not_a_second_before() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    // Meta holds it back for a day.
    let id = posted_under(&dev, &json!({"whatsapp": {"refuse": {"code": 131_049}}})).await;
    dev.delivery_in(&id, "whatsapp", "held").await;
    dev.advance(DAY - 1).await;
    assert_eq!(now(&dev).await, "2026-11-21T08:59:59Z");
    dev.delivery_in(&id, "whatsapp", "held").await;
    dev.advance(1).await;
    assert_eq!(
        received(&dev).await,
        [("email", "2026-11-20T09:00:00Z"), ("whatsapp", "2026-11-21T09:00:00Z")].map(owned)
    );
    assert_eq!(states(&dev, &id).await, ["delivered", "delivered", "delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_days_pass_at_once_and_what_was_due_on_the_way_happened_in_its_order() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let held = posted_under(&dev, &json!({"whatsapp": {"refuse": {"code": 131_049}}})).await;
    let lost =
        posted_under(&dev, &json!({"whatsapp": {"lose_request": 1}, "email": {"lose_request": 1}})).await;
    dev.advance(3 * DAY).await;
    assert_eq!(now(&dev).await, "2026-11-23T09:00:00Z");
    let expected = [
        ("email", "2026-11-20T09:00:00Z"),
        // In doubt: 120 s for WhatsApp and 300 s for email.
        ("whatsapp", "2026-11-20T09:02:00Z"),
        ("email", "2026-11-20T09:05:00Z"),
        ("whatsapp", "2026-11-21T09:00:00Z"),
    ];
    assert_eq!(received(&dev).await, expected.map(owned));
    for id in [held, lost] {
        assert_eq!(states(&dev, &id).await, ["delivered", "delivered", "delivered"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_sleeps_holds_nobody_up_and_wakes_when_its_time_has_come() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    // More people than there are workers.
    let people: Vec<String> = (0..45).map(|i| format!("p-{i}")).collect();
    let line = |id: &String| json!({"id": id, "name": id, "email": format!("{id}@example.com")}).to_string();
    let lines = people.iter().map(line).collect::<Vec<_>>().join("\n").into_bytes();
    let headers = [("content-type", "application/x-ndjson")];
    let imported = dev.admin.raw("POST", "/v1/recipients/import", &headers, Some(lines)).await;
    assert_eq!(imported.body["created"], 45, "{imported:?}");
    // A first wait is at most two seconds, which a worker sleeps.
    assert_eq!(dev.admin.post("/dev/faults", &json!({"email": {"down": true}})).await.status, 200);
    let mut event = order();
    event["recipients"] = json!({"ids": people});
    let id = posted(&dev, &event).await;
    dev.advance(0).await;
    assert_eq!(received(&dev).await, [owned(("whatsapp", "2026-11-20T09:00:00Z"))]);
    assert_eq!(dev.admin.post("/dev/faults", &json!({})).await.status, 200);
    dev.advance(10).await;
    assert_eq!(received(&dev).await.len(), 1 + 46);
    // The event has more deliveries than a page shows.
    let mails = "/v1/deliveries?recipient=p-44&channel=email&state=delivered&from=2026-11-20T00:00:00Z";
    until(mails, async || (dev.admin.get(mails).await.body["items"][0]["event_id"] == id).then_some(()))
        .await;
    dev.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_stops_although_a_worker_sleeps_for_a_time_that_never_comes() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let id = posted_under(&dev, &json!({"email": {"down": true}})).await;
    dev.delivery_in(&id, "email", "retrying").await;
    dev.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_moves_by_whole_seconds_forward_and_only_when_it_is_virtual() {
    let dev = Dev::virtual_time().await;
    let fault = |answer: &Answer, status: u16, pointers: &[&str]| {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.pointers(), pointers, "{answer:?}");
    };
    for (body, pointers) in [
        (json!({}), ["/advance_s"]),
        (json!({"advance_s": -1}), ["/advance_s"]),
        (json!({"advance_s": 1.5}), ["/advance_s"]),
        (json!({"advance_s": 1_000_000_000_000_u64}), ["/advance_s"]),
        (json!({"advance_s": 1, "advance_m": 1}), ["/advance_m"]),
    ] {
        fault(&dev.admin.post("/dev/clock", &body).await, 422, &pointers);
    }
    assert_eq!(dev.admin.raw("POST", "/dev/clock", &[], Some(b"soon".to_vec())).await.status, 400);
    assert_eq!(now(&dev).await, "2026-11-20T09:00:00Z");
    dev.cloud.stop().await;

    let real = Dev::start().await;
    assert_eq!(real.admin.get("/dev/clock").await.body["clock"], "real");
    fault(&real.admin.post("/dev/clock", &json!({"advance_s": 1})).await, 409, &[]);
}
