//! Waiting by HTTP, on virtual time: `deliver_at`, quiet hours, send windows and throttles. Whatever waits says for what and
//! until when, is decided again when its time comes, and leaves at the first instant that is allowed.

use carillon_tests::{Dev, order_template};
use serde_json::{Value, json};

/// A cloud where it is Friday, 09:00 UTC, with Ada, a template on all channels, and a route to her for `order.created`.
async fn dev_with(changes: &Value) -> Dev {
    let dev = Dev::virtual_time().await;
    let ada = json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550101", "time_zone": "UTC"});
    assert_eq!(dev.admin.put("/v1/recipients/ada", &ada).await.status, 201);
    assert_eq!(dev.admin.put("/v1/templates/order?publish=true", &order_template()).await.status, 201);
    put_route(&dev, "order.created", changes).await;
    dev
}

/// A route to Ada on all channels, with these fields besides.
async fn put_route(dev: &Dev, event: &str, changes: &Value) {
    let put = dev.admin.put(&format!("/v1/routes/{event}"), &route(changes)).await;
    assert!(put.status < 300, "{put:?}");
}

fn route(changes: &Value) -> Value {
    let mut route = json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": ["whatsapp", "email", "in_app"]});
    for (name, value) in changes.as_object().unwrap() {
        route[name] = value.clone();
    }
    route
}

/// Posts an event and lets happen what is due now. Answers its id.
async fn post(dev: &Dev, changes: &Value) -> String {
    let mut event = json!({"type": "order.created", "data": {"number": "A-1"}});
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    let accepted = dev.admin.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    dev.advance(0).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// State, reason and end of the wait of each delivery, by channel.
async fn standing(dev: &Dev, id: &str) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each = dev.deliveries(id).await;
    let mut each: Vec<_> = each
        .iter()
        .map(|d| ["channel", "state", "reason", "held_until"].map(|name| text(&d[name])))
        .collect();
    each.sort();
    each
}

fn all(state: &str, reason: &str, until: &str) -> Vec<[String; 4]> {
    ["email", "in_app", "whatsapp"].map(|channel| [channel, state, reason, until].map(str::to_owned)).to_vec()
}

async fn titles(dev: &Dev) -> Vec<String> {
    let feed = dev.admin.get("/v1/inbox?recipient=ada").await.body;
    feed["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_delivered_later_waits_for_its_instant_on_every_channel() {
    let dev = dev_with(&json!({})).await;
    let id = post(&dev, &json!({"deliver_at": "2026-11-30T07:00:00Z"})).await;
    assert_eq!(standing(&dev, &id).await, all("held", "scheduled", "2026-11-30T07:00:00Z"));
    let shown = dev.admin.get(&format!("/v1/events/{id}")).await.body;
    assert_eq!((&shown["planned"], &shown["settled"]), (&json!(3), &json!(false)));
    let held = &dev.deliveries(&id).await[0];
    assert_eq!(held["expires_at"], "2026-12-03T07:00:00Z", "expiry counts from deliver_at: {held}");
    let explained = dev.admin.get(&format!("/v1/events/{id}/explain")).await.body;
    let states: Vec<&Value> =
        explained["decisions"].as_array().unwrap().iter().filter(|d| d["step"] == "state").collect();
    assert!(
        states.len() == 3
            && states.iter().all(|d| d["reason"] == "scheduled" && d["until"] == "2026-11-30T07:00:00Z"),
        "{explained}"
    );
    // A day before its instant nothing has left; a minute after it everything has.
    dev.advance(9 * 86_400).await;
    assert_eq!((dev.outbox().await.len(), titles(&dev).await.len()), (0, 0));
    dev.advance(86_400 - 2 * 3_600).await;
    assert_eq!((dev.outbox().await.len(), titles(&dev).await), (2, vec!["Order A-1".to_owned()]));
    for item in dev.outbox().await {
        assert!(item["received_at"].as_str().unwrap().starts_with("2026-11-30T07:00:"), "{item}");
    }
    let feed = dev.admin.get("/v1/inbox?recipient=ada").await.body;
    assert!(feed["items"][0]["created_at"].as_str().unwrap().starts_with("2026-11-30T07:00:"), "{feed}");
    assert_eq!(dev.admin.get("/v1/inbox/unread-count?recipient=ada").await.body["unread_count"], 1);
    assert_eq!(dev.settled(&id).await["planned"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_cannot_be_are_refused_and_say_so() {
    let dev = dev_with(&json!({})).await;
    for (times, pointer, words) in [
        (json!({"deliver_at": "2026-11-20T08:59:59Z"}), "/deliver_at", "in the past"),
        (json!({"deliver_at": "2027-11-22T09:00:00Z"}), "/deliver_at", "more than a year ahead"),
        (json!({"deliver_at": "tomorrow"}), "/deliver_at", ""),
        (
            json!({"deliver_at": "2026-12-01T09:00:00Z", "expires_at": "2026-12-01T09:00:00Z"}),
            "/expires_at",
            "not after deliver_at",
        ),
    ] {
        let mut event = json!({"type": "order.created", "data": {"number": "1"}});
        for (name, value) in times.as_object().unwrap() {
            event[name] = value.clone();
        }
        let refused = dev.admin.post("/v1/events", &event).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{times}");
        let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_until_when_a_message_would_wait_and_what_it_would_say() {
    let dev = dev_with(&json!({})).await;
    let event =
        json!({"type": "order.created", "data": {"number": "7"}, "deliver_at": "2026-12-01T08:00:00Z"});
    let preview = dev.producer.post("/v1/events/preview", &event).await.body;
    let shown = preview["notifications"].as_array().unwrap();
    assert_eq!(shown.len(), 3);
    for one in shown {
        assert_eq!((&one["decision"], &one["reason"]), (&json!("held"), &json!("scheduled")), "{one}");
        assert_eq!(one["held_until"], "2026-12-01T08:00:00Z");
        assert!(one["rendered"].is_object(), "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_checked_again_when_the_instant_comes() {
    let dev = dev_with(&json!({})).await;
    for person in ["bo", "cy", "di"] {
        let body = json!({"name": person, "email": format!("{person}@example.com")});
        assert_eq!(dev.admin.put(&format!("/v1/recipients/{person}"), &body).await.status, 201);
    }
    put_route(
        &dev,
        "order.created",
        &json!({"audience": {"ids": ["ada", "bo", "cy", "di"]}, "channels": ["email", "in_app"]}),
    )
    .await;
    let id = post(&dev, &json!({"deliver_at": "2026-11-21T09:00:00Z"})).await;
    let no = json!({"categories": {"transactional": false}});
    assert_eq!(dev.admin.put("/v1/recipients/bo/preferences", &no).await.status, 200);
    let moved = json!({"name": "cy", "email": "cy.new@example.com"});
    assert_eq!(dev.admin.put("/v1/recipients/cy", &moved).await.status, 200);
    let off = json!({"name": "di", "email": "di@example.com", "active": false});
    assert_eq!(dev.admin.put("/v1/recipients/di", &off).await.status, 200);
    dev.advance(86_460).await;
    let sent: Vec<Value> = dev.outbox().await.iter().map(|item| item["to"].clone()).collect();
    assert!(
        sent.contains(&json!("ada@example.com")) && sent.contains(&json!("cy.new@example.com")),
        "{sent:?}"
    );
    assert_eq!(sent.len(), 2);
    for delivery in dev.deliveries(&id).await {
        let why = match delivery["recipient_id"].as_str().unwrap() {
            "bo" => ("skipped", json!("opted_out")),
            "di" => ("skipped", json!("inactive")),
            _ => ("delivered", Value::Null),
        };
        assert_eq!((delivery["state"].as_str().unwrap(), delivery["reason"].clone()), why, "{delivery}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_can_be_taken_back_and_a_stop_holds_it_when_its_time_comes() {
    let dev = dev_with(&json!({})).await;
    let taken_back = post(&dev, &json!({"deliver_at": "2026-11-20T12:00:00Z"})).await;
    let stopped = post(&dev, &json!({"deliver_at": "2026-11-20T12:00:00Z", "data": {"number": "A-2"}})).await;
    let report = dev.admin.post(&format!("/v1/events/{taken_back}/cancel"), &json!({})).await.body;
    assert_eq!(report, json!({"cancelled": 3, "too_late": 0}));
    let stop = json!({"switches": [{"scope": "tenant", "stopped": true}]});
    assert_eq!(dev.admin.put("/v1/system/switches", &stop).await.status, 200);
    dev.advance(4 * 3_600).await;
    assert_eq!(standing(&dev, &taken_back).await, all("cancelled", "cancelled_by", ""));
    for one in standing(&dev, &stopped).await {
        assert_eq!(&one[1..3], ["held", "switched_off"]);
    }
    assert_eq!((dev.outbox().await.len(), titles(&dev).await.len()), (0, 0));
    assert_eq!(dev.admin.put("/v1/system/switches", &json!({"switches": []})).await.status, 200);
    dev.advance(60).await;
    assert_eq!((dev.outbox().await.len(), titles(&dev).await), (2, vec!["Order A-2".to_owned()]));
}

/// Nothing but WhatsApp and email.
async fn sent(dev: &Dev) -> usize {
    dev.outbox().await.len()
}

async fn put_preferences(dev: &Dev, preferences: &Value) {
    let put = dev.admin.put("/v1/recipients/ada/preferences", preferences).await;
    assert_eq!(put.status, 200, "{put:?}");
}

fn night() -> Value {
    json!({"quiet_hours": {"from": "22:00", "to": "07:00"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_hold_every_channel_until_they_end_in_the_readers_zone() {
    let dev = dev_with(&json!({})).await;
    let ada = json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550101", "time_zone": "Asia/Kolkata"});
    assert_eq!(dev.admin.put("/v1/recipients/ada", &ada).await.status, 200);
    put_preferences(&dev, &night()).await;
    // 22:00 in Kolkata.
    dev.advance(7 * 3_600 + 1_800 - 1).await;
    post(&dev, &json!({})).await;
    assert_eq!(sent(&dev).await, 2, "a second before, nothing waits");
    dev.advance(1).await;
    let id = post(&dev, &json!({})).await;
    assert_eq!(standing(&dev, &id).await, all("held", "quiet_hours", "2026-11-21T01:30:00Z"));
    let explained = dev.admin.get(&format!("/v1/events/{id}/explain?recipient=ada")).await.body;
    let why = explained["decisions"].as_array().unwrap().iter().filter(|d| d["reason"] == "quiet_hours");
    assert_eq!(why.count(), 3, "{explained}");
    let critical = post(&dev, &json!({"category": "critical"})).await;
    dev.settled(&critical).await;
    assert_eq!(sent(&dev).await, 4, "what is critical passes");
    dev.advance(9 * 3_600 - 1).await;
    assert_eq!(sent(&dev).await, 4);
    dev.advance(60).await;
    assert_eq!((sent(&dev).await, titles(&dev).await.len()), (6, 3));
    dev.settled(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_quiet_hours_hold_for_those_who_say_nothing() {
    let dev = dev_with(&json!({"channels": ["email"]})).await;
    let settings = json!({"preferences": {"quiet_hours": {"from": "09:00", "to": "10:00"}}});
    assert_eq!(dev.admin.put("/v1/system/settings", &settings).await.status, 200);
    let bad = json!({"preferences": {"quiet_hours": {"from": "9:00", "to": "10:00"}}});
    let refused = dev.admin.put("/v1/system/settings", &bad).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/preferences/quiet_hours/from".to_owned()]));
    post(&dev, &json!({})).await;
    assert_eq!(sent(&dev).await, 0);
    put_preferences(&dev, &night()).await;
    post(&dev, &json!({})).await;
    assert_eq!(sent(&dev).await, 1, "her own come before the tenant's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_in_the_night_waits_for_the_morning_too() {
    let dev = dev_with(&json!({"channels": ["email"]})).await;
    put_preferences(&dev, &night()).await;
    let slow = json!({"tries": 3, "base_ms": 600_000, "factor": 1, "cap_ms": 600_000});
    assert_eq!(dev.admin.put("/v1/system/settings", &json!({"retry": {"email": slow}})).await.status, 200);
    dev.admin.post("/dev/faults", &json!({"email": {"down": true}})).await;
    dev.advance(13 * 3_600 - 2).await;
    let id = post(&dev, &json!({})).await;
    dev.admin.post("/dev/faults", &json!({})).await;
    dev.advance(1_200).await;
    let held = &dev.deliveries(&id).await[0];
    assert_eq!(
        (&held["state"], &held["reason"], &held["attempts"]),
        (&json!("held"), &json!("quiet_hours"), &json!(1))
    );
    dev.advance(9 * 3_600).await;
    assert_eq!(sent(&dev).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_while_it_waits_is_expired_and_what_comes_due_in_the_night_waits_on() {
    let dev = dev_with(&json!({"channels": ["email", "in_app"]})).await;
    put_preferences(&dev, &night()).await;
    let due = post(&dev, &json!({"deliver_at": "2026-11-20T23:00:00Z"})).await;
    let short = json!({"deliver_at": "2026-11-20T23:00:00Z", "expires_at": "2026-11-21T06:00:00Z"});
    let short = post(&dev, &short).await;
    dev.advance(14 * 3_600 + 60).await;
    for one in standing(&dev, &due).await {
        assert_eq!(&one[1..], ["held", "quiet_hours", "2026-11-21T07:00:00Z"]);
    }
    dev.advance(7 * 3_600).await;
    for one in standing(&dev, &short).await {
        assert_eq!(&one[1..3], ["expired", "past_expiry"]);
    }
    dev.advance(3_600).await;
    assert_eq!((sent(&dev).await, titles(&dev).await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_window_lets_messages_go_on_its_days_and_hours_only() {
    let office = json!({"from": "08:00", "to": "20:00", "days": ["mon", "tue", "wed", "thu", "fri"]});
    let dev = dev_with(&json!({"send_window": office, "channels": ["email"]})).await;
    post(&dev, &json!({})).await;
    assert_eq!(sent(&dev).await, 1, "it is Friday morning");
    dev.advance(11 * 3_600).await;
    let id = post(&dev, &json!({})).await;
    let weekend = ["email", "held", "quiet_hours", "2026-11-23T08:00:00Z"].map(str::to_owned);
    assert_eq!(standing(&dev, &id).await, [weekend]);
    dev.advance(60 * 3_600 - 1).await;
    assert_eq!(sent(&dev).await, 1);
    dev.advance(61).await;
    assert_eq!(sent(&dev).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_than_a_throttle_lets_through_waits_for_room() {
    let throttle = json!({"count": 2, "per_s": 3_600, "mode": "defer"});
    let dev = dev_with(&json!({"throttle": throttle})).await;
    let ids = [post(&dev, &json!({})).await, post(&dev, &json!({})).await];
    let event = json!({"type": "order.created", "data": {"number": "1"}});
    let preview = dev.producer.post("/v1/events/preview", &event).await.body;
    assert_eq!(preview["notifications"][0]["reason"], "throttled", "{preview}");
    let third = post(&dev, &json!({})).await;
    assert_eq!(standing(&dev, &third).await, all("held", "throttled", "2026-11-20T10:00:00Z"));
    for id in &ids {
        dev.settled(id).await;
    }
    // Other people, other categories and what is critical have room of their own.
    let bo = json!({"name": "Bo", "email": "bo@example.com"});
    assert_eq!(dev.admin.put("/v1/recipients/bo", &bo).await.status, 201);
    let other = json!({"recipients": {"ids": ["bo"], "replace": true}});
    let marketing = json!({"category": "marketing"});
    let critical = json!({"category": "critical"});
    for (changes, more) in [(other, 1), (marketing, 2), (critical, 2)] {
        let before = sent(&dev).await;
        post(&dev, &changes).await;
        assert_eq!(sent(&dev).await, before + more, "{changes}");
    }
    let before = sent(&dev).await;
    dev.advance(3_660).await;
    assert_eq!(sent(&dev).await, before + 2);
    dev.settled(&third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_than_a_throttle_lets_through_is_dropped_where_the_route_says_so() {
    let throttle = json!({"count": 1, "per_s": 3_600, "mode": "drop"});
    let dev = dev_with(&json!({"throttle": throttle})).await;
    post(&dev, &json!({})).await;
    let second = post(&dev, &json!({})).await;
    assert_eq!(standing(&dev, &second).await, all("skipped", "throttled", ""));
    dev.advance(3_600).await;
    let third = post(&dev, &json!({})).await;
    dev.settled(&third).await;
    assert_eq!((sent(&dev).await, titles(&dev).await.len()), (4, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_nothing_or_for_ever_is_refused_with_its_place() {
    let dev = dev_with(&json!({})).await;
    for (changes, pointer) in [
        (json!({"send_window": {"from": "8:00", "to": "20:00"}}), "/send_window/from"),
        (json!({"send_window": {"from": "08:00", "to": "25:00"}}), "/send_window/to"),
        (json!({"send_window": {"from": "08:00", "to": "08:00"}}), "/send_window/to"),
        (json!({"send_window": {"from": "08:00", "to": "20:00", "days": []}}), "/send_window/days"),
        (json!({"send_window": {"from": "08:00", "to": "20:00", "days": ["monday"]}}), "/send_window/days/0"),
        (json!({"throttle": {"count": 0, "per_s": 60}}), "/throttle/count"),
        (json!({"throttle": {"count": 1, "per_s": 0}}), "/throttle/per_s"),
        (json!({"throttle": {"count": 1, "per_s": 60, "mode": "hide"}}), "/throttle/mode"),
        (json!({"throttle": {"count": 1}}), "/throttle/per_s"),
    ] {
        let refused = dev.admin.put("/v1/routes/order.created", &route(&changes)).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{changes}");
    }
    let quiet = json!({"quiet_hours": {"from": "22:00", "to": "07:00", "time_zone": "Mars/Olympus"}});
    let refused = dev.admin.put("/v1/recipients/ada/preferences", &quiet).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/quiet_hours/time_zone".to_owned()]));
}
