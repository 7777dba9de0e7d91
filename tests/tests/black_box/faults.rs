//! Providers that fail on demand: whatever they lose, refuse or say in the wrong order, each delivery ends right and the
//! account of what was sent stays true. Time is virtual, so that a grace of minutes costs nothing.

use carillon_tests::Dev;
use serde_json::{Value, json};

/// A cloud with one recipient and a route over this channel to her.
async fn dev_with(channel: &str) -> Dev {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let route = json!({"audience": {"groups": ["Sales Team"]}, "template": "order", "channels": [channel]});
    assert_eq!(dev.admin.put("/v1/routes/order.created", &route).await.status, 200);
    dev
}

async fn faults(dev: &Dev, faults: &Value) {
    let set = dev.admin.post("/dev/faults", faults).await;
    assert_eq!(set.status, 200, "{set:?}");
}

/// Posts an event, waits until everything due is done, and answers the event's id.
async fn posted(dev: &Dev, number: usize) -> String {
    let event = json!({"type": "order.created", "data": {"number": number.to_string()}});
    let accepted = dev.producer.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    dev.advance(0).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// The only delivery of an event.
async fn delivery(dev: &Dev, event: &str) -> Value {
    let deliveries = dev.deliveries(event).await;
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    deliveries[0].clone()
}

async fn state(dev: &Dev, event: &str) -> String {
    delivery(dev, event).await["state"].as_str().unwrap().to_owned()
}

/// The numbers of the provider calls that were accepted.
async fn accepted_calls(dev: &Dev) -> Vec<String> {
    let token = |item: &Value| item["token"].as_str().unwrap().rsplit_once('-').unwrap().1.to_owned();
    dev.outbox().await.iter().map(token).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_without_receipts_is_in_doubt_and_sent_again_after_its_grace_marked() {
    for (channel, grace_s) in [("whatsapp", 120), ("email", 300)] {
        let dev = dev_with(channel).await;
        faults(&dev, &json!({channel: {"lose_answer": 1, "receipts": "none"}})).await;
        let id = posted(&dev, 1).await;
        assert_eq!(
            (state(&dev, &id).await.as_str(), accepted_calls(&dev).await.as_slice()),
            ("in_doubt", &["1".to_owned()][..])
        );
        faults(&dev, &json!({})).await;
        dev.advance(grace_s - 1).await;
        assert_eq!(state(&dev, &id).await, "in_doubt");
        dev.advance(1).await;
        let ended = delivery(&dev, &id).await;
        assert_eq!(
            (&ended["state"], &ended["resends"], &ended["attempts"]),
            (&json!("delivered"), &json!(1), &json!(2))
        );
        assert_eq!(accepted_calls(&dev).await, ["1", "2"], "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_settled_by_its_receipts_without_a_second_call() {
    for channel in ["whatsapp", "email"] {
        let dev = dev_with(channel).await;
        faults(&dev, &json!({channel: {"lose_answer": 1}})).await;
        let id = posted(&dev, 1).await;
        assert_eq!(state(&dev, &id).await, "delivered", "{channel}");
        dev.advance(3_600).await;
        let ended = delivery(&dev, &id).await;
        assert_eq!((&ended["state"], &ended["attempts"]), (&json!("delivered"), &json!(1)), "{channel}");
        assert_eq!(accepted_calls(&dev).await, ["1"], "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_request_is_as_doubtful_and_arrives_with_the_second_call() {
    for (channel, grace_s) in [("whatsapp", 120), ("email", 300)] {
        let dev = dev_with(channel).await;
        faults(&dev, &json!({channel: {"lose_request": 1}})).await;
        let id = posted(&dev, 1).await;
        assert_eq!(state(&dev, &id).await, "in_doubt", "{channel}");
        assert!(dev.outbox().await.is_empty(), "{channel}");
        faults(&dev, &json!({})).await;
        dev.advance(grace_s).await;
        assert_eq!(state(&dev, &id).await, "delivered", "{channel}");
        assert_eq!(accepted_calls(&dev).await, ["2"], "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_the_providers_code_and_leaves_nothing_in_the_outbox() {
    for (channel, code) in [("whatsapp", json!(131_026)), ("email", json!("MessageRejected"))] {
        let dev = dev_with(channel).await;
        faults(&dev, &json!({channel: {"refuse": {"code": code, "rate": 1}}})).await;
        let id = posted(&dev, 1).await;
        let failed = delivery(&dev, &id).await;
        let reason = format!("rejected:{}", code.as_str().map_or(code.to_string(), str::to_owned));
        assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!(reason)));
        assert!(dev.outbox().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_tried_again_and_given_up_after_three_tries() {
    for channel in ["whatsapp", "email"] {
        let dev = dev_with(channel).await;
        let before = posted(&dev, 1).await;
        assert_eq!(state(&dev, &before).await, "delivered");
        faults(&dev, &json!({channel: {"down": true}})).await;
        let (helped, lost) = (posted(&dev, 2).await, posted(&dev, 3).await);
        let waiting = delivery(&dev, &helped).await;
        assert_eq!(
            (&waiting["state"], &waiting["tries"]),
            (&json!("retrying"), &json!(1)),
            "{channel}: {waiting}"
        );
        faults(&dev, &json!({})).await;
        // The second wait is at most 30 s, the first at most 2 s.
        dev.advance(60).await;
        assert_eq!(
            (state(&dev, &helped).await, state(&dev, &lost).await),
            ("delivered".into(), "delivered".into())
        );
        faults(&dev, &json!({channel: {"down": true}})).await;
        let lost = posted(&dev, 4).await;
        dev.advance(120).await;
        let ended = delivery(&dev, &lost).await;
        assert_eq!(
            (&ended["state"], &ended["reason"], &ended["attempts"]),
            (&json!("failed"), &json!("attempts_exhausted"), &json!(3)),
            "{channel}: {ended}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_may_be_missing_early_doubled_or_out_of_order() {
    for channel in ["whatsapp", "email"] {
        let dev = dev_with(channel).await;
        for (mode, ends) in
            [("none", "sent"), ("early", "delivered"), ("double", "delivered"), ("reorder", "delivered")]
        {
            faults(&dev, &json!({channel: {"receipts": mode}})).await;
            let id = posted(&dev, 1).await;
            dev.advance(600).await;
            let ended = delivery(&dev, &id).await;
            assert_eq!(
                (&ended["state"], &ended["attempts"]),
                (&json!(ends), &json!(1)),
                "{channel} {mode}: {ended}"
            );
        }
        assert_eq!(accepted_calls(&dev).await, ["1"; 4], "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_meets_the_same_calls() {
    let dev = dev_with("whatsapp").await;
    let rounds = 12;
    let mut seen: Vec<Vec<String>> = Vec::new();
    for seed in [7, 7, 8] {
        // A code that says nothing about the recipient, so that each refusal stands for itself.
        let refuse = json!({"code": 100, "rate": 0.5});
        faults(&dev, &json!({"whatsapp": {"refuse": refuse}, "seed": seed})).await;
        let mut states = Vec::new();
        for number in 0..rounds {
            let id = posted(&dev, number).await;
            states.push(state(&dev, &id).await);
        }
        seen.push(states);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
    assert!(seen[0].contains(&"failed".to_owned()) && seen[0].contains(&"delivered".to_owned()), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_provider_could_do_is_refused_with_its_place_and_changes_nothing() {
    let dev = Dev::virtual_time().await;
    faults(&dev, &json!({"email": {"latency_ms": 5, "receipts": "double"}, "seed": 3})).await;
    let before = dev.admin.get("/dev/faults").await.body;
    assert_eq!((&before["email"]["latency_ms"], &before["email"]["receipts"]), (&json!(5), &json!("double")));
    for (body, pointer) in [
        (json!({"sms": {}}), "/sms"),
        (json!({"whatsapp": {"dwon": true}}), "/whatsapp/dwon"),
        (json!({"whatsapp": {"lose_answer": 5}}), "/whatsapp/lose_answer"),
        (json!({"whatsapp": {"lose_request": -0.1}}), "/whatsapp/lose_request"),
        (json!({"whatsapp": {"receipts": "late"}}), "/whatsapp/receipts"),
        (json!({"whatsapp": {"refuse": {"code": "TooManyRequestsException"}}}), "/whatsapp/refuse/code"),
        (json!({"email": {"refuse": {"code": 131_026}}}), "/email/refuse/code"),
        (json!({"email": {"refuse": {"rate": 1}}}), "/email/refuse/code"),
        (json!({"email": {"latency_ms": 86_400_000}}), "/email/latency_ms"),
    ] {
        let refused = dev.admin.post("/dev/faults", &body).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{body}");
    }
    assert_eq!(dev.admin.get("/dev/faults").await.body, before);
    faults(&dev, &json!({})).await;
    let cleared = dev.admin.get("/dev/faults").await.body;
    assert_eq!(
        (&cleared["email"]["latency_ms"], &cleared["email"]["receipts"]),
        (&json!(0), &json!("normal"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_ses_from_outside_takes_the_path_of_the_fakes_own() {
    let dev = dev_with("email").await;
    faults(&dev, &json!({"email": {"receipts": "none"}})).await;
    let id = posted(&dev, 1).await;
    assert_eq!(state(&dev, &id).await, "sent");
    let token = dev.outbox().await[0]["token"].clone();
    let bounced = json!({"emailAddress": "ada@example.com", "action": "failed", "status": "5.1.1"});
    let detail = json!({
        "eventType": "Bounce",
        "mail": {"messageId": "m-1", "destination": ["ada@example.com"],
                 "tags": {"carillon": [token], "carillon-tenant": ["dev"]}},
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "f-1",
                   "timestamp": "2026-11-20T09:00:00.000Z", "bouncedRecipients": [bounced]}
    });
    let event = json!({"source": "aws.ses", "detail-type": "Email Bounced", "detail": detail});
    assert_eq!(dev.admin.post("/dev/ses-events", &event).await.status, 202);
    dev.advance(0).await;
    let failed = delivery(&dev, &id).await;
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!("bounced")), "{failed}");
    for (wrong, pointer) in [
        (json!({"source": "aws.ec2", "detail": {}}), "/source"),
        (json!({"source": "aws.ses", "detail": "Bounce"}), "/detail"),
    ] {
        let refused = dev.admin.post("/dev/ses-events", &wrong).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]));
    }
}
