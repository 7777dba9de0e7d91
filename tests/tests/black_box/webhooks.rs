//! What Meta posts, and what becomes of a provider that does not answer.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use carillon_tests::{Client, Dev};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::{Arc, Mutex};

fn signature(secret: &str, body: &[u8]) -> String {
    let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize();
    format!("sha256={}", data_encoding::HEXLOWER.encode(&tag.into_bytes()))
}

fn status(number: &str, token: &str, status: &str) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp", "metadata": {"phone_number_id": number},
        "statuses": [{"id": "wamid.x", "status": status, "timestamp": "1795217019", "biz_opaque_callback_data": token}]
    }}]}]})
}

async fn receive(dev: &Dev, body: &[u8]) -> u16 {
    let signed = signature(&dev.cloud.ready().whatsapp_app_secret, body);
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signed.as_str())];
    dev.admin.with_key("").raw("POST", "/webhooks/whatsapp", &headers, Some(body.to_vec())).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_without_one_good_signature_is_refused() {
    let dev = Dev::start().await;
    let anybody: Client = dev.admin.with_key("");
    let body = b"{}".to_vec();
    let good = signature(&dev.cloud.ready().whatsapp_app_secret, &body);
    let bad = signature("another secret", &body);
    let post = async |headers: &[(&str, &str)]| {
        anybody.raw("POST", "/webhooks/whatsapp", headers, Some(body.clone())).await.status
    };
    assert_eq!(post(&[]).await, 401);
    assert_eq!(post(&[("x-hub-signature-256", &bad)]).await, 401);
    assert_eq!(post(&[("x-hub-signature-256", &good), ("x-hub-signature-256", &bad)]).await, 401);
    assert_eq!(post(&[("x-hub-signature-256", &good), ("x-hub-signature-256", &good)]).await, 401);
    assert_eq!(post(&[("x-hub-signature-256", &good)]).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_and_not_understood_is_still_taken() {
    let dev = Dev::start().await;
    for body in [
        &b"not json"[..],
        b"[]",
        b"{}",
        br#"{"entry": [{"changes": [{"field": "new_thing", "value": 3}]}]}"#,
        br#"{"entry": [{"changes": [{"field": "messages", "value": {"statuses": [{"status": "teleported"}]}}]}]}"#,
    ] {
        assert_eq!(receive(&dev, body).await, 200);
    }
    let unknown = status("1", "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w-1", "delivered").to_string();
    assert_eq!(receive(&dev, unknown.as_bytes()).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_gives_the_challenge_back_bare() {
    let dev = Dev::start().await;
    let ask = async |token: &str| {
        let path = format!(
            "/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444"
        );
        dev.admin.with_key("").get(&path).await
    };
    let answer = ask(&dev.cloud.ready().whatsapp_verify_token).await;
    assert_eq!((answer.status, answer.body), (200, json!(1_158_201_444)));
    assert_eq!(ask("wrong").await.status, 403);
    assert_eq!(ask("").await.status, 403);
}

type Requests = Arc<Mutex<Vec<Value>>>;

/// A Graph API that takes every message and never answers: the connection just closes.
async fn silent_provider() -> (String, Requests) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let take = async |State(requests): State<Requests>, body: Bytes| -> String {
        requests.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        panic!("the answer is lost");
    };
    let router =
        Router::new().route("/{version}/{number}/messages", post(take)).with_state(Arc::clone(&requests));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_in_doubt_until_a_receipt_settles_it() {
    let (url, requests) = silent_provider().await;
    let dev = Dev::with(Some(url), None).await;
    dev.with_an_order_route().await;
    let accepted =
        dev.producer.post("/v1/events", &json!({"type": "order.created", "data": {"number": "1"}})).await;
    let id = accepted.body["event_id"].as_str().unwrap().to_owned();
    let doubtful = dev.delivery_in(&id, "whatsapp", "in_doubt").await;
    assert_eq!(doubtful["attempts"], 1);
    let token = requests.lock().unwrap()[0]["biz_opaque_callback_data"].as_str().unwrap().to_owned();
    let body = status(&dev.cloud.ready().phone_number_id, &token, "delivered").to_string();
    assert_eq!(receive(&dev, body.as_bytes()).await, 200);
    let settled = dev.delivery_in(&id, "whatsapp", "delivered").await;
    assert_eq!(settled["provider_message_id"], "wamid.x");
    // Late and doubled receipts change nothing.
    for late in ["sent", "delivered", "failed"] {
        receive(&dev, status(&dev.cloud.ready().phone_number_id, &token, late).to_string().as_bytes()).await;
    }
    dev.settled(&id).await;
    assert_eq!(dev.delivery_in(&id, "whatsapp", "delivered").await["attempts"], 1);
    assert_eq!(requests.lock().unwrap().len(), 1, "never called twice without a mark");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_another_tenants_number_moves_nothing() {
    let (url, requests) = silent_provider().await;
    let dev = Dev::with(Some(url), None).await;
    dev.with_an_order_route().await;
    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    let accepted =
        dev.producer.post("/v1/events", &json!({"type": "order.created", "data": {"number": "1"}})).await;
    let id = accepted.body["event_id"].as_str().unwrap().to_owned();
    dev.delivery_in(&id, "whatsapp", "in_doubt").await;
    let token = requests.lock().unwrap()[0]["biz_opaque_callback_data"].as_str().unwrap().to_owned();
    let body = status(&other.phone_number_id, &token, "delivered").to_string();
    assert_eq!(receive(&dev, body.as_bytes()).await, 200);
    // Something of our own behind it in the queue: when that is through, the other was looked at too.
    receive(&dev, status(&dev.cloud.ready().phone_number_id, &token, "sent").to_string().as_bytes()).await;
    dev.delivery_in(&id, "whatsapp", "sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_reached_is_tried_again() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let dev = Dev::with(Some(format!("http://{closed}")), None).await;
    dev.with_an_order_route().await;
    let accepted =
        dev.producer.post("/v1/events", &json!({"type": "order.created", "data": {"number": "1"}})).await;
    let id = accepted.body["event_id"].as_str().unwrap().to_owned();
    let waiting = dev.delivery_in(&id, "whatsapp", "retrying").await;
    let read = dev.admin.get(&format!("/v1/deliveries/{}", waiting["id"].as_str().unwrap())).await.body;
    let attempt =
        read["timeline"].as_array().unwrap().iter().find(|e| e["kind"] == "attempt").unwrap().clone();
    assert_eq!(attempt["outcome"], "unreachable");
    assert!(!read.to_string().contains("2025550101"), "no address in what is kept of a failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounced_email_ends_failed() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let gone = json!({"name": "Gone", "email": "bounce@simulator.amazonses.com"});
    dev.admin.put("/v1/recipients/gone", &gone).await;
    let only = json!({"ids": ["gone"], "replace": true});
    let event = json!({"type": "order.created", "data": {"number": "1"}, "recipients": only});
    let id = dev.producer.post("/v1/events", &event).await.body["event_id"].as_str().unwrap().to_owned();
    assert_eq!(dev.delivery_in(&id, "email", "failed").await["reason"], "bounced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_does_not_hurt_its_neighbours() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    for queue in carillon_pipeline::ports::Queue::ALL {
        dev.cloud.queues().send_raw(queue, "not work").await.unwrap();
        dev.cloud.queues().send_raw(queue, r#"{"tenant": 3}"#).await.unwrap();
    }
    for number in 0..5 {
        let id =
            dev.post_settled(&json!({"type": "order.created", "data": {"number": number.to_string()}})).await;
        dev.delivery_in(&id, "whatsapp", "delivered").await;
    }
    let counts = dev.cloud.queues().counts().await.unwrap();
    assert!(
        counts.values().all(|c| c.visible + c.in_flight + c.dead == 2),
        "the poison is still there: {counts:?}"
    );
}
