//! Kill switches: what is stopped at once, what becomes of it, and what goes out when the stop is lifted. I28.

use carillon_domain::Timestamp;
use carillon_tests::command::{run, run_json};
use carillon_tests::{Dev, until};
use serde_json::{Value, json};

/// Longer than anybody obeys a list that has been replaced.
const OBEYED_S: u64 = 5;

async fn set(dev: &Dev, switches: &Value) {
    let put = dev.admin.put("/v1/system/switches", &json!({"switches": switches})).await;
    assert_eq!(put.status, 200, "{put:?}");
}

/// Posts an event of the order route and answers its id.
async fn post(dev: &Dev, number: &str) -> String {
    let event = json!({"type": "order.created", "data": {"number": number}});
    let accepted = dev.producer.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// `channel: state(reason)` of an event's deliveries, by channel.
async fn states(dev: &Dev, event: &str) -> Vec<String> {
    let mut states: Vec<String> = Vec::new();
    for one in dev.deliveries(event).await {
        let [channel, state, reason] =
            ["channel", "state", "reason"].map(|n| one[n].as_str().unwrap_or_default());
        states.push(if reason.is_empty() {
            format!("{channel}: {state}")
        } else {
            format!("{channel}: {state}({reason})")
        });
    }
    states.sort();
    states
}

const HELD: [&str; 3] =
    ["email: held(switched_off)", "in_app: held(switched_off)", "whatsapp: held(switched_off)"];
const DELIVERED: [&str; 3] = ["email: delivered", "in_app: delivered", "whatsapp: delivered"];

async fn feed(dev: &Dev) -> Vec<Value> {
    dev.admin.get("/v1/inbox?recipient=ada").await.body["items"].as_array().cloned().unwrap_or_default()
}

/// I28: no new message anywhere while it is stopped, and all of them afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_waits_and_goes_out_when_the_stop_is_lifted_i28() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    set(&dev, &json!([{"scope": "tenant", "stopped": true, "mode": "hold"}])).await;
    dev.advance(OBEYED_S).await;
    let preview = dev
        .producer
        .post("/v1/events/preview", &json!({"type": "order.created", "data": {"number": "0"}}))
        .await;
    for shown in preview.body["notifications"].as_array().unwrap() {
        assert_eq!(
            (&shown["decision"], &shown["reason"]),
            (&json!("held"), &json!("switched_off")),
            "{shown}"
        );
    }
    let (first, second) = (post(&dev, "1").await, post(&dev, "2").await);
    dev.advance(3_600).await;
    for event in [&first, &second] {
        assert_eq!(states(&dev, event).await, HELD);
    }
    assert!(dev.outbox().await.is_empty() && feed(&dev).await.is_empty());
    // Long before the sweep would look again.
    set(&dev, &json!([])).await;
    dev.advance(OBEYED_S).await;
    for event in [&first, &second] {
        assert_eq!(states(&dev, event).await, DELIVERED);
    }
    assert_eq!((dev.outbox().await.len(), feed(&dev).await.len()), (4, 2));
    assert_eq!(states(&dev, &post_done(&dev, "3").await).await, DELIVERED);
}

async fn post_done(dev: &Dev, number: &str) -> String {
    let id = post(dev, number).await;
    dev.advance(0).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_stops_its_own_and_dropping_ends_it() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    for (switch, expected) in [
        (json!({"scope": "global", "stopped": true}), ["held(switched_off)"; 3]),
        (json!({"scope": "tenant", "stopped": true}), ["held(switched_off)"; 3]),
        (
            json!({"scope": "channel", "value": "email", "stopped": true}),
            ["held(switched_off)", "delivered", "delivered"],
        ),
        (
            json!({"scope": "channel", "value": "in_app", "stopped": true, "mode": "drop"}),
            ["delivered", "skipped(switched_off)", "delivered"],
        ),
        (json!({"scope": "category", "value": "transactional", "stopped": true}), ["held(switched_off)"; 3]),
        (json!({"scope": "category", "value": "marketing", "stopped": true}), ["delivered"; 3]),
        (
            json!({"scope": "template", "value": "order", "stopped": true, "mode": "drop"}),
            ["skipped(switched_off)"; 3],
        ),
        (json!({"scope": "template", "value": "orders", "stopped": true}), ["delivered"; 3]),
        (json!({"scope": "tenant", "stopped": false}), ["delivered"; 3]),
    ] {
        let mut list = vec![switch.clone()];
        if switch["scope"] != "global" {
            list.push(json!({"scope": "global", "stopped": false}));
        }
        set(&dev, &json!(list)).await;
        dev.advance(OBEYED_S).await;
        let id = post_done(&dev, "1").await;
        let expected = ["email", "in_app", "whatsapp"]
            .iter()
            .zip(expected)
            .map(|(channel, state)| format!("{channel}: {state}"));
        assert_eq!(states(&dev, &id).await, expected.collect::<Vec<_>>(), "{switch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opts_out_while_it_waits_is_told_nothing() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    set(&dev, &json!([{"scope": "tenant", "stopped": true}])).await;
    dev.advance(OBEYED_S).await;
    let id = post_done(&dev, "1").await;
    let wish = json!({"categories": {"transactional": false}});
    assert_eq!(dev.admin.put("/v1/recipients/ada/preferences", &wish).await.status, 200);
    set(&dev, &json!([])).await;
    dev.advance(3_600).await;
    let ended = ["email: skipped(opted_out)", "in_app: skipped(opted_out)", "whatsapp: skipped(opted_out)"];
    assert_eq!(states(&dev, &id).await, ended);
    assert!(dev.outbox().await.is_empty() && feed(&dev).await.is_empty());
}

/// The sweep lets go what no job does: another tenant's, after the stop of the whole deployment.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_stops_everybody_and_the_sweep_finds_what_waits() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    let platform = dev.admin.with_key(&other.admin_key);
    let manage = json!({"name": "Ops", "kind": "live", "scopes": ["manage", "read"]});
    let key = dev.admin.post("/v1/keys", &manage).await.body["key"].as_str().unwrap().to_owned();
    let operator = dev.admin.with_key(&key);
    let everybody = json!({"switches": [{"scope": "global", "stopped": true}]});
    assert_eq!(operator.put("/v1/system/switches", &everybody).await.status, 403);
    assert_eq!(platform.put("/v1/system/switches", &everybody).await.status, 200);
    dev.advance(OBEYED_S).await;
    let id = post_done(&dev, "1").await;
    assert_eq!(states(&dev, &id).await, HELD);
    // Everybody sees it, and may put back what they see.
    let seen = operator.get("/v1/system/switches").await.body;
    assert_eq!(
        (&seen["switches"][0]["scope"], &seen["switches"][0]["stopped"]),
        (&json!("global"), &json!(true))
    );
    assert_eq!(operator.put("/v1/system/switches", &seen).await.body, seen);
    let go = json!({"switches": [{"scope": "global", "stopped": false}]});
    assert_eq!(platform.put("/v1/system/switches", &go).await.status, 200);
    dev.advance(15 * 60).await;
    assert_eq!(states(&dev, &id).await, DELIVERED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_switch_is_refused() {
    let dev = Dev::start().await;
    for (switches, pointer) in [
        (json!([{"scope": "channel", "stopped": true}]), "/switches/0/value"),
        (json!([{"scope": "channel", "value": "sms", "stopped": true}]), "/switches/0/value"),
        (json!([{"scope": "tenant", "value": "dev", "stopped": true}]), "/switches/0/value"),
        (json!([{"scope": "tenant", "stopped": true}, {"scope": "tenant", "stopped": false}]), "/switches/1"),
        (json!([{"scope": "tenant", "stoped": true, "stopped": true}]), "/switches/0/stoped"),
    ] {
        let refused = dev.admin.put("/v1/system/switches", &json!({"switches": switches})).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{refused:?}");
    }
}

/// I28: whatever is in the queue already, no provider is called later than five seconds after the flip.
#[tokio::test(flavor = "multi_thread")]
async fn five_seconds_after_the_flip_no_provider_is_called_i28() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let route =
        json!({"audience": {"groups": ["Sales Team"]}, "template": "order", "channels": ["whatsapp"]});
    assert_eq!(dev.admin.put("/v1/routes/order.created", &route).await.status, 200);
    // So slow that most of them wait in the queue.
    let slow = json!({"whatsapp": {"latency_ms": 1_000}});
    assert_eq!(dev.admin.post("/dev/faults", &slow).await.status, 200);
    let event = |n: usize| json!({"type": "order.created", "source": "shop", "id": n.to_string(), "data": {"number": "1"}});
    for batch in (0..200).collect::<Vec<usize>>().chunks(50) {
        let events: Vec<Value> = batch.iter().map(|n| event(*n)).collect();
        let posted = dev.producer.post("/v1/events/batch", &json!({"events": events})).await;
        assert!(posted.status < 300, "{posted:?}");
    }
    until("some to be sent", async || (!dev.outbox().await.is_empty()).then_some(())).await;
    set(&dev, &json!([{"scope": "tenant", "stopped": true}])).await;
    let flipped: Timestamp = {
        let seen = dev.admin.get("/v1/system/switches").await.body;
        seen["switches"][0]["at"].as_str().unwrap().parse().unwrap()
    };
    until("all to be held or done", async || {
        let counts = dev.cloud.queues().counts().await.unwrap();
        let left: u64 = counts.values().map(|queue| queue.visible + queue.in_flight).sum();
        (left == 0).then_some(())
    })
    .await;
    let sent = dev.outbox().await;
    for item in &sent {
        let at: Timestamp = item["received_at"].as_str().unwrap().parse().unwrap();
        assert!(at.duration_since(flipped).as_secs() < 5, "{at} is after {flipped}");
    }
    let held =
        dev.admin.get("/v1/deliveries?state=held&limit=200").await.body["items"].as_array().unwrap().len();
    assert!(held > 0, "{} were sent", sent.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_stops_and_lets_go() {
    let dev = Dev::start().await;
    assert_eq!(run(&dev, &["switch"]).await.text, "nothing is stopped\n");
    let stopped =
        run(&dev, &["switch", "--stop", "--scope", "channel", "--value", "email", "--mode", "drop"]).await;
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let words: Vec<Vec<&str>> = stopped.text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        (words[0][0], &words[1][..3]),
        ("STOPPED", &["channel", "email", "drop"][..]),
        "{}",
        stopped.text
    );
    assert_eq!(run(&dev, &["switch"]).await.text, stopped.text);
    let (code, shown) = run_json(&dev, &["switch", "--go", "--scope", "channel", "--value", "email"]).await;
    assert_eq!((code, &shown["switches"][0]["stopped"]), (Some(0), &json!(false)));
    assert_eq!(run(&dev, &["switch"]).await.text, "nothing is stopped\n");
    assert_eq!(run(&dev, &["switch", "--stop", "--scope", "template"]).await.code, Some(2));
}
