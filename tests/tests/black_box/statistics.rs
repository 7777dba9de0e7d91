//! Numbers: what the counters say is what is there, by whatever it is grouped, and what it costs. E21, R27, R33, I23.

use std::collections::BTreeMap;

use carillon_domain::Channel;
use carillon_tests::Dev;
use carillon_tests::command::{run, run_json};
use serde_json::{Value, json};

async fn post(dev: &Dev, number: &str) -> String {
    let event = json!({"type": "order.created", "data": {"number": number}});
    let accepted = dev.producer.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    dev.advance(0).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

async fn stats(dev: &Dev, query: &str) -> Value {
    let stats = dev.admin.get(&format!("/v1/system/stats?{query}")).await;
    assert_eq!(stats.status, 200, "{stats:?}");
    stats.body
}

/// Every delivery of the log.
async fn log(dev: &Dev) -> Vec<Value> {
    let page = dev.admin.get("/v1/deliveries?limit=200").await.body;
    assert!(page["next_cursor"].is_null());
    page["items"].as_array().unwrap().clone()
}

/// How many there are and what they cost, by channel and state, as the log has it.
fn recount(log: &[Value]) -> BTreeMap<(String, String), i64> {
    let mut counts = BTreeMap::new();
    for one in log {
        let [channel, state] = ["channel", "state"].map(|name| one[name].as_str().unwrap().to_owned());
        *counts.entry((channel, state)).or_default() += 1;
    }
    counts
}

fn counted(numbers: &Value) -> BTreeMap<(String, String), i64> {
    let items = numbers["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let [channel, state] = ["channel", "state"].map(|name| item[name].as_str().unwrap().to_owned());
            ((channel, state), item["count"].as_i64().unwrap())
        })
        .collect()
}

/// E21, I23: the counters are equal to a recount, with failures, skipped ones and retries among them.
#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_equal_to_a_recount_e21() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    for number in 0..4 {
        post(&dev, &number.to_string()).await;
    }
    let down = json!({"whatsapp": {"refuse": {"code": 131_026, "rate": 1.0}}, "email": {"down": true}});
    assert_eq!(dev.admin.post("/dev/faults", &down).await.status, 200);
    post(&dev, "refused").await;
    dev.advance(3_600).await;
    assert_eq!(dev.admin.post("/dev/faults", &json!({})).await.status, 200);
    let opted_out = json!({"channels": {"email": false}});
    assert_eq!(dev.admin.put("/v1/recipients/ada/preferences", &opted_out).await.status, 200);
    post(&dev, "skipped").await;
    let log = log(&dev).await;
    let by_state = stats(&dev, "by=channel,state").await;
    assert_eq!(counted(&by_state), recount(&log));
    let total = &by_state["total"];
    let cost: i64 = log.iter().filter_map(|one| one["cost"]["amount_micros"].as_i64()).sum();
    assert_eq!((&total["count"], &total["cost"]["amount_micros"]), (&json!(log.len()), &json!(cost)));
    assert_eq!(total["reasons"]["skipped(opted_out)"], 1);
    assert_eq!(total["failed"], log.iter().filter(|one| one["state"] == "failed").count());
    assert!(total["success_rate"].as_f64().unwrap() < 1.0, "{total}");
    assert!(total["latency_ms"]["p95"].as_u64().is_some(), "{total}");
    let by_event = stats(&dev, "by=event_type,template,day").await;
    let item = &by_event["items"][0];
    assert_eq!(
        (&item["event_type"], &item["template"], &item["day"], &item["count"]),
        (&json!("order.created"), &json!("order"), &json!("2026-11-20"), &json!(log.len()))
    );
}

/// What a test key posts touches no counter.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_test_key_posts_is_not_counted() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let made =
        dev.admin.post("/v1/keys", &json!({"name": "try", "kind": "test", "scopes": ["events:write"]})).await;
    let key = made.body["key"].as_str().unwrap();
    let opted_out = json!({"channels": {"email": false}});
    assert_eq!(dev.admin.put("/v1/recipients/ada/preferences", &opted_out).await.status, 200);
    let event = json!({"type": "order.created", "data": {"number": "1"}});
    assert_eq!(dev.producer.with_key(key).post("/v1/events", &event).await.status, 202);
    dev.advance(1).await;
    assert_eq!(log(&dev).await.len(), 3);
    assert_eq!(stats(&dev, "").await["total"]["count"], 0);
}

/// What a message is expected to cost is shown before it is sent, on it, on its event, and in the numbers; what the
/// provider says about the price is worth more.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_costs_what_the_list_says_until_the_provider_says_it() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let event = json!({"type": "order.created", "category": "marketing", "data": {"number": "1"}});
    let preview = dev.producer.post("/v1/events/preview", &event).await.body;
    let expected: BTreeMap<&str, &Value> = preview["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["channel"].as_str().unwrap(), &one["estimated_cost"]))
        .collect();
    let guess = |micros: i64| json!({"amount_micros": micros, "currency": "USD", "estimated": true});
    assert_eq!(expected["whatsapp"], &guess(25_000));
    assert_eq!(expected["email"], &guess(160));
    assert!(expected["in_app"].is_null());
    let id = {
        let accepted = dev.producer.post("/v1/events", &event).await;
        dev.advance(0).await;
        accepted.body["event_id"].as_str().unwrap().to_owned()
    };
    // Meta bills it as utility, and says so in its receipts.
    let billed = json!({"amount_micros": 3_400, "currency": "USD", "estimated": false});
    for one in dev.deliveries(&id).await {
        match one["channel"].as_str().unwrap().parse().unwrap() {
            Channel::Whatsapp => assert_eq!(one["cost"], billed),
            Channel::Email => assert_eq!(one["cost"], guess(160)),
            Channel::InApp => assert!(one["cost"].is_null()),
        }
    }
    assert_eq!(dev.settled(&id).await["cost"], guess(3_560));
    let by_category = stats(&dev, "by=category").await;
    assert_eq!(by_category["items"][0]["cost"], guess(3_560));
    assert_eq!(by_category["total"]["cost"], guess(3_560));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused() {
    let dev = Dev::virtual_time().await;
    for (query, status) in [
        ("by=colour", 400),
        ("from=yesterday", 400),
        ("from=2026-11-20&to=2026-11-20", 422),
        ("from=2020-01-01", 422),
        ("by=&from=2026-11-20T09:00:00Z", 200),
    ] {
        let answer = dev.admin.get(&format!("/v1/system/stats?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
    }
}

/// R27, R33: the command shows how many there are, how they fared and why.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_the_numbers_r27_r33() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    post(&dev, "1").await;
    let shown = run(&dev, &["stats"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for word in ["CHANNEL", "SUCCESS", "email", "in_app", "whatsapp", "total", "100.0 %", "USD"] {
        assert!(shown.text.contains(word), "{word}: {shown:?}");
    }
    let (code, json) = run_json(&dev, &["stats", "--by", "state", "--from", "2026-11-20"]).await;
    let item = &json["items"][0];
    assert_eq!((code, &item["state"], &item["count"]), (Some(0), &json!("delivered"), &json!(3)));
}
