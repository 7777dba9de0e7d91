//! Credits and budgets: what is sent when there is nothing left, and what goes out when there is again. E11.

use carillon_tests::Dev;
use serde_json::{Value, json};

/// Longer than anybody remembers what bounds a tenant's spending.
const OBEYED_S: u64 = 5;

async fn post(dev: &Dev, event: Value) -> String {
    let accepted = dev.producer.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    // Two workers that take credits at once wait for each other, for some milliseconds of this clock.
    dev.advance(1).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

async fn order(dev: &Dev, number: &str) -> String {
    post(dev, json!({"type": "order.created", "data": {"number": number}})).await
}

/// `channel: state(reason)` of an event's deliveries, by channel.
async fn states(dev: &Dev, event: &str) -> Vec<String> {
    let mut states: Vec<String> = Vec::new();
    for one in dev.deliveries(event).await {
        let [channel, state, reason] =
            ["channel", "state", "reason"].map(|n| one[n].as_str().unwrap_or_default());
        let reason = if reason.is_empty() { String::new() } else { format!("({reason})") };
        states.push(format!("{channel}: {state}{reason}"));
    }
    states.sort();
    states
}

async fn put_credits(dev: &Dev, credits: Value) -> Value {
    let put = dev.admin.put("/v1/system/credits", &credits).await;
    assert_eq!(put.status, 200, "{put:?}");
    dev.advance(OBEYED_S).await;
    put.body
}

async fn balance(dev: &Dev) -> i64 {
    dev.admin.get("/v1/system/credits").await.body["balance"].as_i64().unwrap()
}

const DELIVERED: [&str; 3] = ["email: delivered", "in_app: delivered", "whatsapp: delivered"];
const NO_CREDITS: [&str; 3] = ["email: held(credits)", "in_app: delivered", "whatsapp: held(credits)"];
const NO_BUDGET: [&str; 3] = ["email: held(budget)", "in_app: delivered", "whatsapp: held(budget)"];

/// E11: credits are tracked for each tenant and say when they are low; at zero nothing is lost, and what is critical goes.
#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_credits_waits_and_goes_when_there_are_some_e11() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    assert!(dev.admin.get("/v1/system/credits").await.body["unit"].is_null());
    put_credits(&dev, json!({"unit": "messages", "balance": 3, "allowance": 10})).await;
    assert_eq!(states(&dev, &order(&dev, "1").await).await, DELIVERED);
    let left = dev.admin.get("/v1/system/credits").await.body;
    assert_eq!(
        left,
        json!({"unit": "messages", "balance": 1, "allowance": 10, "percent": 10, "level": "critical"})
    );
    // One of the two gets the last one.
    let second = order(&dev, "2").await;
    let held = states(&dev, &second).await.iter().filter(|state| state.contains("held(credits)")).count();
    assert_eq!((held, balance(&dev).await), (1, 0));
    dev.advance(OBEYED_S).await;
    let third = order(&dev, "3").await;
    assert_eq!(states(&dev, &third).await, NO_CREDITS);
    let fourth = json!({"type": "order.created", "data": {"number": "4"}});
    let shown = dev.producer.post("/v1/events/preview", &fourth).await.body["notifications"].clone();
    let waits = shown.as_array().unwrap().iter().filter(|one| one["reason"] == "credits").count();
    assert_eq!(waits, 2, "{shown}");
    // An operator's key may say that it is critical.
    let critical = json!({"type": "order.created", "category": "critical", "data": {"number": "5"}});
    let accepted = dev.admin.post("/v1/events", &critical).await;
    dev.advance(1).await;
    assert_eq!(states(&dev, accepted.body["event_id"].as_str().unwrap()).await, DELIVERED);
    assert_eq!(balance(&dev).await, -2);
    dev.advance(3_600).await;
    assert_eq!(states(&dev, &third).await, NO_CREDITS);
    let before = dev.outbox().await.len();
    let level = put_credits(&dev, json!({"unit": "messages", "balance": 10, "allowance": 10})).await;
    assert_eq!(level["level"], "ok");
    for event in [&second, &third] {
        assert_eq!(states(&dev, event).await, DELIVERED);
    }
    assert_eq!((dev.outbox().await.len() - before, balance(&dev).await), (3, 7));
}

/// What was refused has cost nothing, and money is counted as it is expected.
#[tokio::test(flavor = "multi_thread")]
async fn credits_in_money_are_taken_by_price_and_given_back_for_what_was_refused() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    put_credits(&dev, json!({"unit": "money", "balance": 1_000_000})).await;
    order(&dev, "1").await;
    assert_eq!(balance(&dev).await, 1_000_000 - 3_400 - 160);
    let refuse = json!({"whatsapp": {"refuse": {"code": 131_026, "rate": 1.0}}});
    assert_eq!(dev.admin.post("/dev/faults", &refuse).await.status, 200);
    order(&dev, "2").await;
    assert_eq!(balance(&dev).await, 1_000_000 - 3_400 - 160 - 160);
    // Without credits nothing is counted and nothing waits.
    put_credits(&dev, json!({"unit": null})).await;
    assert_eq!(dev.admin.post("/dev/faults", &json!({})).await.status, 200);
    assert_eq!(states(&dev, &order(&dev, "3").await).await, DELIVERED);
}

/// A budget holds at 100 %, on what it covers, until its period is over or there is more.
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_spent_holds_what_it_covers() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    // Half past eleven at night.
    dev.advance(14 * 3_600 + 1_800).await;
    let budget = |scope: &str, value: Value, micros: i64| json!({"budgets": [{"scope": scope, "value": value, "amount_micros": micros, "currency": "USD", "period": "day"}]});
    let put = dev.admin.put("/v1/system/budgets", &budget("tenant", Value::Null, 5_000)).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(dev.admin.get("/v1/system/budgets").await.body, put.body);
    // 3,400 for WhatsApp and 160 for the email each time.
    for number in ["1", "2"] {
        assert_eq!(states(&dev, &order(&dev, number).await).await, DELIVERED);
    }
    dev.advance(60).await;
    let third = order(&dev, "3").await;
    assert_eq!(states(&dev, &third).await, NO_BUDGET);
    dev.advance(1_000).await;
    assert_eq!(states(&dev, &third).await, NO_BUDGET);
    // Another budget, which only covers WhatsApp, lets the email go.
    let put = dev.admin.put("/v1/system/budgets", &budget("channel", json!("whatsapp"), 5_000)).await;
    assert_eq!(put.status, 200, "{put:?}");
    dev.advance(OBEYED_S).await;
    assert_eq!(
        states(&dev, &third).await,
        ["email: delivered", "in_app: delivered", "whatsapp: held(budget)"]
    );
    // The next day has its own.
    dev.advance(1_800).await;
    assert_eq!(states(&dev, &third).await, DELIVERED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let dev = Dev::virtual_time().await;
    for (path, body, pointer) in [
        ("credits", json!({"unit": "apples", "balance": 1}), "/unit"),
        ("credits", json!({"unit": "messages"}), "/balance"),
        ("credits", json!({"unit": "messages", "balance": -1}), "/balance"),
        (
            "budgets",
            json!({"budgets": [{"scope": "channel", "amount_micros": 1, "currency": "USD", "period": "day"}]}),
            "/budgets/0/value",
        ),
        (
            "budgets",
            json!({"budgets": [{"scope": "tenant", "amount_micros": 1, "currency": "EUR", "period": "day"}]}),
            "/budgets/0/currency",
        ),
    ] {
        let put = dev.admin.put(&format!("/v1/system/{path}"), &body).await;
        assert_eq!((put.status, put.pointers().first().map(String::as_str)), (422, Some(pointer)), "{put:?}");
    }
    assert_eq!(dev.producer.put("/v1/system/credits", &json!({"unit": null})).await.status, 403);
}
