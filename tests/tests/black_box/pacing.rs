//! Pacing by HTTP, on virtual time: a large audience leaves at the tenant's rate, what is urgent does not wait behind it,
//! and one recipient may be paced by itself. I20.

use carillon_domain::Timestamp;
use carillon_tests::{Dev, order_template};
use serde_json::{Value, json};

/// A cloud that paces, with so many people in the group `Everybody` and one named Ada, and a route to each by WhatsApp.
async fn dev_with(people: usize, pacing: &Value) -> Dev {
    let dev = Dev::virtual_time_paced().await;
    let put = dev.admin.put("/v1/system/settings", &json!({"pacing": {"whatsapp": pacing}})).await;
    assert_eq!((put.status, &put.body["pacing"]["whatsapp"]), (200, pacing));
    let everybody =
        (0..people).map(|n| json!({"id": format!("p-{n:04}"), "name": "P", "bsuid": format!("US.{n:015}")}));
    let ada = json!({"id": "ada", "name": "Ada", "phone": "+12025550101"});
    let lines: Vec<String> = everybody.chain([ada]).map(|person| person.to_string()).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let imported =
        dev.admin.raw("POST", "/v1/recipients/import", &headers, Some(lines.join("\n").into_bytes())).await;
    assert_eq!(imported.body["failed"], 0, "{imported:?}");
    let members: Vec<String> = (0..people).map(|n| format!("p-{n:04}")).collect();
    assert_eq!(dev.admin.put("/v1/groups/Everybody", &json!({"members": members})).await.status, 201);
    assert_eq!(dev.admin.put("/v1/templates/order?publish=true", &order_template()).await.status, 201);
    for (event, audience, priority) in
        [("news", json!({"groups": ["Everybody"]}), "normal"), ("alarm", json!({"ids": ["ada"]}), "critical")]
    {
        let route = json!({"audience": audience, "template": "order", "channels": ["whatsapp"], "priority": priority});
        assert_eq!(dev.admin.put(&format!("/v1/routes/{event}"), &route).await.status, 201);
    }
    dev
}

async fn post(dev: &Dev, event: &str, number: usize) -> String {
    let body = json!({"type": event, "source": "shop", "id": number.to_string(), "data": {"number": "1"}});
    let accepted = dev.producer.post("/v1/events", &body).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// When the provider took messages, in milliseconds since the first.
async fn taken(dev: &Dev) -> Vec<i64> {
    let at =
        |item: &Value| item["received_at"].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond();
    let mut at: Vec<i64> = dev.outbox().await.iter().map(at).collect();
    at.sort_unstable();
    let first = at.first().copied().unwrap_or_default();
    at.into_iter().map(|ms| ms - first).collect()
}

/// I20: the rate of a number.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_audience_leaves_at_the_rate_and_a_critical_message_at_once_i20() {
    let dev = dev_with(500, &json!({"per_s": 10})).await;
    let news = post(&dev, "news", 1).await;
    dev.advance(0).await;
    // Whose slot is more than a minute away has it written down.
    let held = dev.admin.get("/v1/deliveries?state=held&limit=100").await.body;
    let held = held["items"].as_array().unwrap();
    assert!(!held.is_empty() && held.iter().all(|d| d["reason"] == "pacing"), "{held:?}");
    dev.advance(5).await;
    let begun = taken(&dev).await.len();
    assert!((38..=44).contains(&begun), "{begun} in 5 s at 8 a second");
    let alarm = post(&dev, "alarm", 2).await;
    dev.advance(10).await;
    let urgent = &dev.deliveries(&alarm).await[0];
    assert_eq!(urgent["state"], "delivered", "{urgent}");
    dev.advance(60).await;
    let at = taken(&dev).await;
    assert_eq!(
        (at.len(), &dev.admin.get(&format!("/v1/events/{news}")).await.body["states"]["delivered"]),
        (501, &json!(500))
    );
    for (from, start) in at.iter().enumerate() {
        let within = at[from..].iter().take_while(|later| **later < start + 1_000).count();
        assert!(within <= 10 + 2, "{within} in the second from {start}");
    }
}

/// I20: the rate of a pair, for a tenant that wants it counted here.
#[tokio::test(flavor = "multi_thread")]
async fn one_recipient_is_paced_by_itself_i20() {
    let dev = dev_with(0, &json!({"per_s": 80, "pair_every_s": 6, "pair_burst": 2})).await;
    for number in 0..4 {
        post(&dev, "alarm", number).await;
        dev.advance(0).await;
    }
    assert_eq!(taken(&dev).await.len(), 2);
    dev.advance(60).await;
    let at = taken(&dev).await;
    assert!(at.len() == 4 && at[2] >= 5_000 && at[3] - at[2] >= 5_000, "{at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_rate_is_refused() {
    let dev = Dev::start().await;
    for (pacing, pointer) in [
        (json!({"whatsapp": {"per_s": 0}}), "/pacing/whatsapp/per_s"),
        (json!({"email": {"per_s": 14, "pair_every_s": 6}}), "/pacing/email/pair_every_s"),
        (json!({"in_app": {"per_s": 14}}), "/pacing/in_app"),
    ] {
        let refused = dev.admin.put("/v1/system/settings", &json!({"pacing": pacing})).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{refused:?}");
    }
}
