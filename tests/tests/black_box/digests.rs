//! Digests by HTTP, on virtual time: events about the same thing become one message to each recipient and channel, and the
//! log says of each event which message told of it.

use carillon_tests::Dev;
use serde_json::{Value, json};

const WINDOW_S: u64 = 600;

/// A template that loops over everything that it is told of.
fn comments() -> Value {
    json!({"locales": {"en": {
        "whatsapp": {"template": {
            "name": "comments", "language": "en",
            "parameters": ["{{ events|length }}", "{% for one in events %}{{ one.data.text }};{% endfor %}"]
        }},
        "email": {
            "subject": "{{ events|length }} comments, the last: {{ data.text }}",
            "html": "{% for one in events %}<p>{{ one.data.text }}</p>{% endfor %}"
        },
        "in_app": {"title": "{{ events|length }} comments", "body": "{{ data.text }}"}
    }}})
}

fn route(changes: &Value) -> Value {
    let mut route = json!({
        "audience": {"from_event": ["data.to"]}, "template": "comments", "channels": ["whatsapp", "email", "in_app"],
        "digest": {"key": "data.thread_id", "window_s": WINDOW_S}
    });
    for (name, value) in changes.as_object().unwrap() {
        route[name] = value.clone();
    }
    route
}

async fn dev_with(changes: &Value) -> Dev {
    let dev = Dev::virtual_time().await;
    for (id, phone) in [("ada", "+12025550101"), ("bo", "+12025550102")] {
        let person = json!({"name": id, "email": format!("{id}@example.com"), "phone": phone});
        assert_eq!(dev.admin.put(&format!("/v1/recipients/{id}"), &person).await.status, 201);
    }
    assert_eq!(dev.admin.put("/v1/templates/comments?publish=true", &comments()).await.status, 201);
    for event in ["comment.made", "comment.changed"] {
        let put = dev.admin.put(&format!("/v1/routes/{event}"), &route(changes)).await;
        assert_eq!(put.status, 201, "{put:?}");
    }
    dev
}

fn comment(text: &str, changes: &Value) -> Value {
    let mut event = json!({"type": "comment.made", "data": {"to": "ada", "thread_id": "t-1", "text": text}});
    for (name, value) in changes.as_object().unwrap() {
        if let (Some(data), true) = (value.as_object(), name == "data") {
            for (name, value) in data {
                event["data"][name] = value.clone();
            }
        } else {
            event[name] = value.clone();
        }
    }
    event
}

async fn post(dev: &Dev, text: &str, changes: &Value) -> String {
    let accepted = dev.admin.post("/v1/events", &comment(text, changes)).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    dev.advance(0).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// The subjects of the emails that left, in order.
async fn subjects(dev: &Dev) -> Vec<String> {
    let mails = dev.outbox().await.into_iter().filter(|item| item["channel"] == "email");
    let mut subjects: Vec<String> = mails.map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

async fn on(dev: &Dev, id: &str, channel: &str) -> Value {
    dev.deliveries(id).await.into_iter().find(|d| d["channel"] == channel).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_the_same_thing_become_one_message_on_each_channel() {
    let dev = dev_with(&json!({})).await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(post(&dev, text, &json!({})).await);
        dev.advance(100).await;
    }
    for id in &ids {
        for delivery in dev.deliveries(id).await {
            assert_eq!(
                (&delivery["state"], &delivery["reason"], &delivery["held_until"]),
                (&json!("held"), &json!("digest"), &json!("2026-11-20T09:10:00Z")),
                "{delivery}"
            );
        }
    }
    dev.advance(299).await;
    assert!(dev.outbox().await.is_empty());
    dev.advance(61).await;
    assert_eq!(subjects(&dev).await, ["3 comments, the last: three"]);
    let outbox = dev.outbox().await;
    let whatsapp: Vec<&Value> = outbox.iter().filter(|item| item["channel"] == "whatsapp").collect();
    assert_eq!(whatsapp.len(), 1);
    assert_eq!(whatsapp[0]["template"]["parameters"], json!(["3", "one;two;three;"]));
    let feed = dev.admin.get("/v1/inbox?recipient=ada").await.body;
    assert_eq!(feed["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&feed["items"][0]["title"], &feed["items"][0]["body"]),
        (&json!("3 comments"), &json!("three"))
    );

    // The first carries all; the others say so, and what was sent is made again from the log.
    for channel in ["whatsapp", "email", "in_app"] {
        let carrier = on(&dev, &ids[0], channel).await;
        assert_eq!(carrier["events"], 3, "{carrier}");
        for id in &ids[1..] {
            let other = on(&dev, id, channel).await;
            assert_eq!(
                (&other["state"], &other["reason"], &other["carried_by"]),
                (&json!("skipped"), &json!("digested"), &carrier["id"])
            );
        }
    }
    let carrier = on(&dev, &ids[0], "email").await;
    let read = dev.admin.get(&format!("/v1/deliveries/{}", carrier["id"].as_str().unwrap())).await.body;
    assert_eq!(read["rendered"]["subject"], "3 comments, the last: three");
    assert!(read["rendered"]["html"].as_str().unwrap().contains("<p>two</p>"));
    let explained = dev.admin.get(&format!("/v1/events/{}/explain", ids[2])).await.body;
    let why = explained["decisions"].as_array().unwrap().iter().find(|d| d["carried_by"] == carrier["id"]);
    assert_eq!(why.unwrap()["reason"], "digested", "{explained}");
    for id in &ids {
        dev.settled(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_things_people_and_types_of_event_stay_apart_and_a_late_event_begins_anew() {
    let dev = dev_with(&json!({"channels": ["email"]})).await;
    for n in 1..=2 {
        post(&dev, &format!("a{n}"), &json!({})).await;
        post(&dev, &format!("b{n}"), &json!({"data": {"thread_id": "t-2"}})).await;
        post(&dev, &format!("c{n}"), &json!({"data": {"to": "bo"}})).await;
        post(&dev, &format!("d{n}"), &json!({"type": "comment.changed"})).await;
    }
    dev.advance(WINDOW_S + 60).await;
    // Those of one instant are told in the order in which they came.
    let each = ["a2", "b2", "c2", "d2"].map(|last| format!("2 comments, the last: {last}"));
    assert_eq!(subjects(&dev).await, each);
    let late = post(&dev, "late", &json!({})).await;
    assert_eq!(on(&dev, &late, "email").await["held_until"], "2026-11-20T09:21:00Z");
    dev.advance(WINDOW_S + 60).await;
    assert!(subjects(&dev).await.contains(&"1 comments, the last: late".to_owned()));
    assert_eq!(subjects(&dev).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_critical_goes_by_itself_and_what_has_no_key_is_refused() {
    let dev = dev_with(&json!({"channels": ["email"]})).await;
    post(&dev, "waits", &json!({})).await;
    post(&dev, "now", &json!({"category": "critical"})).await;
    assert_eq!(subjects(&dev).await, ["1 comments, the last: now"]);
    let refused = dev
        .admin
        .post("/v1/events", &json!({"type": "comment.made", "data": {"to": "ada", "text": "x"}}))
        .await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/data/thread_id".to_owned()]));
    let preview = dev.producer.post("/v1/events/preview", &comment("x", &json!({}))).await.body;
    let shown = &preview["notifications"][0];
    assert_eq!((&shown["decision"], &shown["reason"]), (&json!("held"), &json!("digest")), "{preview}");
    dev.advance(WINDOW_S + 60).await;
    assert_eq!(subjects(&dev).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_in_time_is_not_told_and_what_tells_of_others_is_too_late() {
    let dev = dev_with(&json!({"channels": ["email"]})).await;
    let quiet = json!({"quiet_hours": {"from": "09:05", "to": "10:00"}});
    assert_eq!(dev.admin.put("/v1/recipients/ada/preferences", &quiet).await.status, 200);
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(post(&dev, text, &json!({})).await);
    }
    let cancel = async |id: &str| dev.admin.post(&format!("/v1/events/{id}/cancel"), &json!({})).await.body;
    assert_eq!(cancel(&ids[0]).await, json!({"cancelled": 1, "too_late": 0}));
    dev.advance(WINDOW_S + 60).await;
    let carrier = on(&dev, &ids[1], "email").await;
    assert_eq!(
        (&carrier["state"], &carrier["reason"], &carrier["events"]),
        (&json!("held"), &json!("quiet_hours"), &json!(2)),
        "a digest of the night waits for the morning: {carrier}"
    );
    assert_eq!(cancel(&ids[1]).await, json!({"cancelled": 0, "too_late": 1}), "others are told by it");
    dev.advance(3_600).await;
    assert_eq!(subjects(&dev).await, ["2 comments, the last: three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_event_joins_its_digest_when_it_is_due() {
    let dev = dev_with(&json!({"channels": ["email"]})).await;
    let later = post(&dev, "later", &json!({"deliver_at": "2026-11-20T12:00:00Z"})).await;
    assert_eq!(on(&dev, &later, "email").await["reason"], "scheduled");
    dev.advance(3 * 3_600 - 100).await;
    post(&dev, "before", &json!({})).await;
    dev.advance(160).await;
    assert_eq!(on(&dev, &later, "email").await["reason"], "digest");
    dev.advance(WINDOW_S).await;
    assert_eq!(subjects(&dev).await.len(), 1);
    assert!(subjects(&dev).await[0].starts_with("2 comments"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_makes_no_sense_is_refused_with_its_place() {
    let dev = dev_with(&json!({})).await;
    for (changes, pointer) in [
        (json!({"digest": {"key": "data.thread_id", "window_s": 0}}), "/digest/window_s"),
        (json!({"digest": {"key": "data.thread_id", "window_s": 604_801}}), "/digest/window_s"),
        (json!({"digest": {"key": "data", "window_s": 60}}), "/digest/key"),
        (json!({"digest": {"key": "thread", "window_s": 60}}), "/digest/key"),
        (json!({"digest": {"window_s": 60}}), "/digest/key"),
        (json!({"once_per": ["data.thread_id"]}), "/digest"),
        (json!({"channels": ["email"], "fallback": {"channels": ["whatsapp"]}}), "/digest"),
        (json!({"escalation": [{"after_s": 600, "audience": {"ids": ["bo"]}}]}), "/digest"),
    ] {
        let refused = dev.admin.put("/v1/routes/comment.made", &route(&changes)).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{changes}");
    }
}
