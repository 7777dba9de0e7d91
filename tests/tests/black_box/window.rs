//! WhatsApp's 24-hour window: who has written gets free text, everybody else the approved template; what has no template
//! waits. And what people write: STOP, START.

use carillon_tests::{Dev, order_template, until};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const HOURS_23_59_59: u64 = 24 * 3_600 - 1;

/// A recipient with a phone, and a route to them with this template and these channels.
async fn order_route(dev: &Dev, template: &Value, channels: &Value) {
    let ada = json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550101"});
    assert_eq!(dev.admin.put("/v1/recipients/ada", &ada).await.status, 201);
    assert_eq!(dev.admin.put("/v1/templates/order?publish=true", template).await.status, 201);
    let route = json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": channels});
    let put = dev.admin.put("/v1/routes/order.created", &route).await;
    assert_eq!(put.status, 201, "{put:?}");
}

fn order(number: &str) -> Value {
    json!({"type": "order.created", "source": "shop", "id": number, "data": {"number": number}})
}

/// A text that has no approved template beside it.
fn text_only() -> Value {
    json!({"locales": {"en": {
        "whatsapp": {"text": "Your order {{ data.number }} is here.", "window_only": true},
        "email": {"subject": "Order {{ data.number }}", "html": "<p>It is here.</p>"},
    }}})
}

async fn post(dev: &Dev, event: &Value) -> String {
    let accepted = dev.producer.post("/v1/events", event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

async fn write(dev: &Dev, text: &str) {
    let written = dev.admin.post("/dev/inbound", &json!({"from": "+12025550101", "text": text})).await;
    assert_eq!(written.status, 202, "{written:?}");
}

/// Posts a webhook as Meta does.
async fn receive(dev: &Dev, body: &Value) {
    let body = body.to_string().into_bytes();
    let secret = &dev.cloud.ready().whatsapp_app_secret;
    let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&body).finalize();
    let signed = format!("sha256={}", data_encoding::HEXLOWER.encode(&tag.into_bytes()));
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signed.as_str())];
    let answer = dev.admin.with_key("").raw("POST", "/webhooks/whatsapp", &headers, Some(body)).await;
    assert_eq!(answer.status, 200);
}

fn change(dev: &Dev, field: &str, mut value: Value) -> Value {
    value["metadata"] = json!({"phone_number_id": dev.cloud.ready().phone_number_id});
    json!({"object": "whatsapp_business_account", "entry": [
        {"id": "100000000000001", "time": 1_795_000_000, "changes": [{"field": field, "value": value}]}
    ]})
}

/// The template of the newest WhatsApp message; none when it was free text.
async fn newest_template(dev: &Dev) -> Option<String> {
    let outbox = dev.outbox().await;
    let newest = outbox.iter().rfind(|item| item["channel"] == "whatsapp").unwrap();
    newest["template"]["name"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn free_text_goes_out_at_23_59_59_and_the_template_at_24_00_00() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &order_template(), &json!(["whatsapp"])).await;
    let first = post(&dev, &order("1")).await;
    dev.advance(0).await;
    assert_eq!(newest_template(&dev).await.as_deref(), Some("order_created"));
    write(&dev, "hello").await;
    dev.advance(HOURS_23_59_59).await;
    let preview = dev.producer.post("/v1/events/preview", &order("preview")).await.body;
    assert_eq!(preview["notifications"][0]["rendered"]["kind"], "whatsapp_text", "{preview}");
    let second = post(&dev, &order("2")).await;
    dev.advance(0).await;
    assert_eq!(newest_template(&dev).await, None);
    dev.advance(1).await;
    let third = post(&dev, &order("3")).await;
    dev.advance(0).await;
    assert_eq!(newest_template(&dev).await.as_deref(), Some("order_created"));
    for (id, said) in [(first, "approved template"), (second, "free text"), (third, "approved template")] {
        assert_eq!(dev.deliveries(&id).await[0]["state"], "delivered");
        let explained = dev.admin.get(&format!("/v1/events/{id}/explain")).await.body.to_string();
        assert!(explained.contains(said), "{explained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_template_waits_until_its_reader_writes() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &text_only(), &json!(["whatsapp"])).await;
    let id = post(&dev, &order("1")).await;
    dev.advance(0).await;
    let held = &dev.deliveries(&id).await[0];
    assert_eq!((&held["state"], &held["reason"]), (&json!("held"), &json!("window_closed")), "{held}");
    assert_eq!(dev.outbox().await.len(), 0);
    let preview = dev.producer.post("/v1/events/preview", &order("preview")).await.body;
    let shown = &preview["notifications"][0];
    assert_eq!((&shown["decision"], &shown["reason"]), (&json!("held"), &json!("window_closed")));
    dev.advance(3_600).await;
    write(&dev, "where is it?").await;
    dev.advance(0).await;
    assert_eq!(dev.deliveries(&id).await[0]["state"], "delivered");
    assert_eq!(dev.outbox().await[0]["text"], "Your order 1 is here.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_vain_expires_and_says_why() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &text_only(), &json!(["whatsapp"])).await;
    let id = post(&dev, &order("1")).await;
    dev.advance(72 * 3_600 + 60).await;
    let gone = &dev.deliveries(&id).await[0];
    assert_eq!((&gone["state"], &gone["reason"]), (&json!("expired"), &json!("window_closed")), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_channels_the_next_one_says_what_the_window_keeps_back() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &text_only(), &json!({"first_of": ["whatsapp", "email"]})).await;
    let id = post(&dev, &order("1")).await;
    dev.advance(0).await;
    let deliveries = dev.deliveries(&id).await;
    let on = |channel: &str| deliveries.iter().find(|d| d["channel"] == channel).unwrap();
    assert_eq!(
        (&on("whatsapp")["state"], &on("whatsapp")["reason"]),
        (&json!("skipped"), &json!("window_closed"))
    );
    assert_eq!(on("email")["state"], "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whom_an_event_brought_is_let_go_too() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &text_only(), &json!(["whatsapp"])).await;
    let mut event = order("1");
    event["recipients"] = json!({"addresses": [{"name": "Bob", "phone": "+12025550101"}]});
    let route = json!({"template": "order", "channels": ["whatsapp"]});
    assert_eq!(dev.admin.put("/v1/routes/order.created", &route).await.status, 200);
    let id = post(&dev, &event).await;
    dev.advance(0).await;
    assert_eq!(dev.deliveries(&id).await[0]["reason"], "window_closed");
    write(&dev, "hello").await;
    dev.advance(0).await;
    assert_eq!(dev.deliveries(&id).await[0]["state"], "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_start_change_what_the_writer_wants() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &order_template(), &json!(["whatsapp"])).await;
    write(&dev, " stop ").await;
    dev.advance(10).await;
    let stopped = post(&dev, &order("1")).await;
    let mut urgent = order("2");
    urgent["category"] = json!("critical");
    let urgent = dev.admin.post("/v1/events", &urgent).await.body["event_id"].as_str().unwrap().to_owned();
    dev.advance(0).await;
    assert_eq!(dev.deliveries(&stopped).await[0]["reason"], "opted_out");
    assert_eq!(dev.deliveries(&urgent).await[0]["state"], "delivered");
    let preferences = dev.admin.get("/v1/recipients/ada/preferences").await.body;
    assert_eq!(preferences["channels"], json!({"whatsapp": false}), "{preferences}");
    write(&dev, "START").await;
    dev.advance(0).await;
    let again = post(&dev, &order("3")).await;
    dev.advance(0).await;
    assert_eq!(dev.deliveries(&again).await[0]["state"], "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_from_a_number_of_nobody_suppresses_it_until_it_starts_again() {
    let dev = Dev::virtual_time().await;
    write(&dev, "STOP").await;
    dev.advance(5).await;
    let list = dev.admin.get("/v1/suppressions").await.body;
    assert_eq!(
        (&list["items"][0]["reason"], &list["items"][0]["channel"]),
        (&json!("stop"), &json!("whatsapp"))
    );
    write(&dev, "unstop").await;
    dev.advance(0).await;
    assert_eq!(dev.admin.get("/v1/suppressions").await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_come_doubled_and_late_change_nothing_back() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &order_template(), &json!(["whatsapp"])).await;
    let now: i64 = "2026-11-20T09:00:00Z".parse::<carillon_domain::Timestamp>().unwrap().as_second();
    let message = |ago: i64, text: &str| {
        json!({"from": "12025550101", "id": "wamid.x", "timestamp": (now - ago).to_string(), "type": "text",
               "text": {"body": text}})
    };
    // START was written last; STOP comes later, and twice.
    for messages in [
        json!([message(30, "START")]),
        json!([message(60, "STOP"), {"type": "from the future"}, message(60, "STOP")]),
        json!([message(30, "START"), 3, {"from": "nobody", "type": "text", "text": "odd"}]),
    ] {
        receive(&dev, &change(&dev, "messages", json!({"messages": messages}))).await;
        dev.advance(0).await;
    }
    let id = post(&dev, &order("1")).await;
    dev.advance(0).await;
    assert_eq!(dev.deliveries(&id).await[0]["state"], "delivered");
    // The window is open here and not at the fake, which has heard of none of this: free text was tried first.
    let attempts = &dev
        .admin
        .get(&format!("/v1/deliveries/{}", dev.deliveries(&id).await[0]["id"].as_str().unwrap()))
        .await
        .body;
    assert!(attempts.to_string().contains("131047"), "{attempts}");
    assert_eq!(newest_template(&dev).await.as_deref(), Some("order_created"));
    let preferences = json!({"user_preferences": [
        {"wa_id": "12025550101", "category": "marketing_messages", "value": "stop", "timestamp": now}
    ]});
    receive(&dev, &change(&dev, "user_preferences", preferences)).await;
    dev.advance(0).await;
    let preferences = dev.admin.get("/v1/recipients/ada/preferences").await.body;
    assert_eq!(preferences["categories"]["marketing"]["whatsapp"], false, "{preferences}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_meta_paused_waits_until_it_is_approved_again() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &order_template(), &json!(["whatsapp"])).await;
    // Statuses of a first message tell which business account the number is of.
    post(&dev, &order("1")).await;
    dev.advance(0).await;
    let status = |event: &str| {
        json!({"event": event, "message_template_name": "order_created", "message_template_language": "en",
               "reason": "NONE"})
    };
    let about = |event: &str, time: i64| {
        let mut webhook = change(&dev, "message_template_status_update", status(event));
        webhook["entry"][0]["time"] = json!(time);
        webhook
    };
    let now: i64 = "2026-11-20T09:00:00Z".parse::<carillon_domain::Timestamp>().unwrap().as_second();
    receive(&dev, &about("PAUSED", now)).await;
    dev.advance(0).await;
    let id = post(&dev, &order("2")).await;
    dev.advance(0).await;
    let held = &dev.deliveries(&id).await[0];
    assert_eq!((&held["state"], &held["reason"]), (&json!("held"), &json!("template_paused")), "{held}");
    assert_eq!(held["attempts"].as_array().map_or(0, Vec::len), 0);
    let channel = dev.admin.get("/v1/channels/whatsapp").await.body;
    assert_eq!(channel["templates"][0]["status"], "PAUSED", "{channel}");
    // What is older than what is known says nothing.
    receive(&dev, &about("APPROVED", now - 60)).await;
    dev.advance(60).await;
    receive(&dev, &about("APPROVED", now + 30)).await;
    dev.advance(1_200).await;
    assert_eq!(dev.deliveries(&id).await[0]["state"], "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wanted_when_it_was_planned_is_asked_again_right_before_the_call() {
    let dev = Dev::virtual_time().await;
    order_route(&dev, &order_template(), &json!(["whatsapp"])).await;
    // It waits after a first call that was refused.
    let faults = json!({"whatsapp": {"refuse": {"code": 131_016, "rate": 1.0}}});
    assert_eq!(dev.admin.post("/dev/faults", &faults).await.status, 200);
    let id = post(&dev, &order("1")).await;
    let retrying = until("it waits", async || {
        let delivery = dev.deliveries(&id).await.into_iter().next()?;
        (delivery["state"] == "retrying").then_some(delivery)
    })
    .await;
    assert_eq!(dev.admin.post("/dev/faults", &json!({})).await.status, 200);
    let no = json!({"channels": {"whatsapp": false}});
    assert_eq!(dev.admin.put("/v1/recipients/ada/preferences", &no).await.status, 200);
    dev.advance(120).await;
    let gone = &dev.deliveries(&id).await[0];
    assert_eq!(
        (&gone["state"], &gone["reason"]),
        (&json!("skipped"), &json!("opted_out")),
        "{retrying} {gone}"
    );
    assert_eq!(dev.outbox().await.len(), 0);
}
