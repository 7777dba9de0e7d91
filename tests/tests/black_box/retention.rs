//! What is removed after a while, what is kept, and that everything adds up before and after.

use carillon_tests::command::{run, run_json};
use carillon_tests::{Dev, until};
use serde_json::{Value, json};

const DAY_S: u64 = 86_400;

async fn cleanup(dev: &Dev, dry_run: bool) -> Value {
    let answer = dev.admin.post("/v1/system/cleanup", &json!({"dry_run": dry_run})).await;
    assert_eq!((answer.status, &answer.body["dry_run"]), (200, &json!(dry_run)), "{answer:?}");
    answer.body
}

async fn post(dev: &Dev, number: &str) -> String {
    let body = json!({"type": "order.created", "source": "shop", "id": number, "data": {"number": number}});
    let accepted = dev.producer.post("/v1/events", &body).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    dev.advance(30).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

async fn proof(dev: &Dev) -> Value {
    let all = json!({"from": "2026-11-20T00:00:00Z", "to": "2026-12-25T00:00:00Z"});
    let proof = dev.admin.post("/v1/system/prove", &all).await;
    assert_eq!((proof.status, &proof.body["balanced"]), (200, &json!(true)), "{proof:?}");
    proof.body
}

async fn planned(dev: &Dev) -> i64 {
    let stats = dev.admin.get("/v1/system/stats?from=2026-11-01&to=2026-12-01&by=channel").await;
    assert_eq!(stats.status, 200, "{stats:?}");
    stats.body["total"]["count"].as_i64().unwrap_or_default()
}

/// R18, R34, E20: what is older than 90 days is removed by the daily sweep, with all that belongs to it, and nothing that is
/// younger; the counters keep what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_90_days_is_removed_and_stays_counted_r18_r34_e20() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let old = post(&dev, "1").await;
    let deliveries = dev.admin.get(&format!("/v1/events/{old}/deliveries")).await.body["items"].clone();
    assert_eq!(deliveries.as_array().unwrap().len(), 3, "{deliveries}");
    let counted = until("it to be counted", async || {
        let counted = planned(&dev).await;
        (counted >= 3).then_some(counted)
    })
    .await;
    dev.advance(30 * DAY_S).await;
    let young = post(&dev, "2").await;
    // The day that it was accepted on is not over for 90 days yet.
    dev.advance(60 * DAY_S).await;
    assert_eq!(cleanup(&dev, true).await["events"], 0);
    assert_eq!(dev.admin.get(&format!("/v1/events/{old}")).await.status, 200);
    // Half past midnight.
    dev.advance(15 * 3_600 + 1_800).await;
    assert_eq!(dev.admin.get(&format!("/v1/events/{old}")).await.status, 200);
    let would = cleanup(&dev, true).await;
    assert_eq!((&would["events"], &would["deliveries"], &would["inbox"]), (&json!(1), &json!(3), &json!(1)));
    // 02:00 comes by.
    dev.advance(2 * 3_600).await;
    assert_eq!(dev.admin.get(&format!("/v1/events/{old}")).await.status, 404);
    for delivery in deliveries.as_array().unwrap() {
        let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
        assert_eq!(dev.admin.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(dev.admin.get(&format!("/v1/events/{young}")).await.status, 200);
    let feed = dev.admin.get("/v1/inbox/recent?recipient=ada").await.body;
    assert_eq!((feed["items"].as_array().unwrap().len(), &feed["unread_count"]), (1, &json!(1)), "{feed}");
    assert_eq!(cleanup(&dev, false).await["events"], 0);
    assert_eq!(proof(&dev).await["accepted"], 1);
    assert_eq!(planned(&dev).await, counted);
    let ran = dev.admin.get("/v1/system/schedules").await.body;
    let own = ran["items"].as_array().unwrap().iter().find(|item| item["name"] == "sweep-cleanup").unwrap();
    assert_eq!((&own["fault"], &own["cadence"]), (&Value::Null, &json!("daily 02:00")), "{own}");
}

/// R18: a tenant keeps what it wants, each category for its own time; what is not settled stays.
#[tokio::test(flavor = "multi_thread")]
async fn each_category_is_kept_as_long_as_the_tenant_says_r18() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    for (retention, pointer) in
        [(json!(0), "/retention_days"), (json!({"marketing": 4_000}), "/retention_days/marketing")]
    {
        let refused = dev.admin.put("/v1/system/settings", &json!({"retention_days": retention})).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{refused:?}");
    }
    let kept = json!({"default": 20, "marketing": 5});
    let put = dev.admin.put("/v1/system/settings", &json!({"retention_days": kept})).await;
    assert_eq!((put.status, &put.body["retention_days"]), (200, &kept), "{put:?}");
    let event = |number: &str, category: &str, also: Value| {
        let mut body = json!({"type": "order.created", "category": category, "data": {"number": number}});
        body.as_object_mut().unwrap().extend(also.as_object().unwrap().clone());
        body
    };
    let mut ids = Vec::new();
    for body in [
        event("1", "marketing", json!({})),
        event("2", "transactional", json!({})),
        event("3", "marketing", json!({"deliver_at": "2026-12-05T09:00:00Z"})),
    ] {
        let accepted = dev.producer.post("/v1/events", &body).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        ids.push(accepted.body["event_id"].as_str().unwrap().to_owned());
    }
    let there = async || {
        let mut there = Vec::new();
        for id in &ids {
            there.push(dev.admin.get(&format!("/v1/events/{id}")).await.status == 200);
        }
        there
    };
    dev.advance(7 * DAY_S).await;
    assert_eq!(there().await, [false, true, true]);
    dev.advance(10 * DAY_S).await;
    assert_eq!(there().await, [false, true, false], "sent on the 5th, and then old enough");
    dev.advance(5 * DAY_S).await;
    assert_eq!(there().await, [false, false, false]);
    assert_eq!(dev.outbox().await.len(), 6);
}

/// E5: the path of the system before cleans as well, and so does the command, which can count first.
#[tokio::test(flavor = "multi_thread")]
async fn cleaning_by_hand_counts_first_when_asked_e5_r18() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let id = post(&dev, "1").await;
    dev.advance(3 * DAY_S).await;
    let put = dev.admin.put("/v1/system/settings", &json!({"retention_days": 1})).await;
    assert_eq!((put.status, &put.body["retention_days"]), (200, &json!(1)), "{put:?}");
    let counted = run(&dev, &["cleanup", "--dry-run"]).await;
    assert_eq!(counted.code, Some(0), "{counted:?}");
    assert!(counted.text.contains("1 event") && counted.text.contains("3 messages"), "{counted:?}");
    assert_eq!(dev.admin.get(&format!("/v1/events/{id}")).await.status, 200);
    let refused = dev.producer.post("/api/notifications/system/cleanup/", &json!({})).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let cleaned = dev.admin.post("/api/notifications/system/cleanup/", &json!({"dry_run": false})).await;
    assert_eq!((cleaned.status, &cleaned.body["deliveries"]), (200, &json!(3)), "{cleaned:?}");
    assert_eq!(dev.admin.get(&format!("/v1/events/{id}")).await.status, 404);
    let (code, again) = run_json(&dev, &["cleanup"]).await;
    assert_eq!((code, &again["events"]), (Some(0), &json!(0)), "{again}");
}
