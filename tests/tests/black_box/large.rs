//! A large audience is fanned out in parts: everybody is told once, whatever is delivered twice, and the progress can be
//! read. The normal run takes 2,000 recipients; `CARILLON_LARGE=100000` takes more.

use std::time::{Duration, Instant};

use carillon_tests::{Dev, until_within};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_large_group_is_told_in_parts_and_nobody_twice() {
    let size: usize =
        std::env::var("CARILLON_LARGE").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    // What a busy machine needs for an event, and a minute for each 5,000 people.
    let patience = Duration::from_mins(1) * u32::try_from(1 + size / 5_000).unwrap();
    // The event's states are counted each time they are asked for: 5 s apart with 100,000.
    let between = Duration::from_micros(50) * u32::try_from(size).unwrap();
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let started = Instant::now();
    let ids: Vec<String> = (0..size).map(|i| format!("p-{i:06}")).collect();
    let headers = [("content-type", "application/x-ndjson")];
    for some in ids.chunks(5_000) {
        let lines: Vec<String> = some.iter().map(|id| json!({"id": id, "name": id}).to_string()).collect();
        let body = Some(lines.join("\n").into_bytes());
        let imported = dev.admin.raw("POST", "/v1/recipients/import", &headers, body).await.body;
        assert_eq!(
            (&imported["failed"], &imported["created"]),
            (&json!(0), &json!(some.len())),
            "{imported}"
        );
    }
    dev.admin.put("/v1/groups/Everybody", &json!({})).await;
    for some in ids.chunks(5_000) {
        let changed = dev.admin.post("/v1/groups/Everybody/members", &json!({"add": some})).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }
    assert_eq!(dev.admin.get("/v1/groups/Everybody").await.body["member_count"], json!(size));
    println!("{size} recipients imported and in a group in {:.1} s", started.elapsed().as_secs_f64());
    // Ten of them are in a second group, and one is named by id: told once all the same.
    dev.admin.put("/v1/groups/Some", &json!({"members": &ids[..10]})).await;
    let event = json!({
        "type": "news", "template": "order", "channels": ["in_app"], "data": {"number": "1"},
        "recipients": {"groups": ["Everybody", "Some"], "ids": [&ids[5], "ada"]}
    });
    let started = Instant::now();
    let accepted = dev.producer.post("/v1/events", &event).await;
    let id = accepted.body["event_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/events/{id}");
    let done = until_within(patience, "the large event to be settled", async || {
        tokio::time::sleep(between).await;
        let view = dev.producer.get(&path).await.body;
        (view["settled"] == true).then_some(view)
    });
    let done = done.await;
    println!("told in {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(done["planned"], json!(size + 1), "{done}");
    assert_eq!(done["states"], json!({"delivered": size + 1}));
    let unread = dev.admin.get(&format!("/v1/inbox/unread-count?recipient={}", ids[5])).await.body;
    assert_eq!(unread["unread_count"], 1);
    // The event's own message and a part of it come again: nothing changes.
    let tenant = &dev.cloud.ready().tenant;
    let again = json!({"tenant": tenant, "event_id": id});
    let part = json!({"tenant": tenant, "event_id": id, "part": {"cutting": "other", "number": 0, "group": "Everybody", "to": ids[700]}});
    for message in [again, part] {
        dev.cloud
            .queues()
            .send_raw(carillon_pipeline::ports::Queue::Events, message.to_string())
            .await
            .unwrap();
    }
    until_within(patience, "the queue to be empty", async || {
        let counts = dev.cloud.queues().counts().await.unwrap();
        counts.values().all(|c| c.visible + c.in_flight == 0).then_some(())
    })
    .await;
    assert_eq!(dev.producer.get(&path).await.body["states"], json!({"delivered": size + 1}));
    let mut seen = 0;
    let mut next = Some(format!("{path}/deliveries?limit=200"));
    while let Some(page) = next {
        let body = dev.producer.get(&page).await.body;
        seen += body["items"].as_array().map_or(0, Vec::len);
        let cursor = body["next_cursor"].as_str().map(|c| c.replace('#', "%23").replace('\u{1}', "%01"));
        next = cursor.map(|cursor| format!("{path}/deliveries?limit=200&cursor={cursor}"));
    }
    assert_eq!(seen, size + 1);
    let explained: Value = dev.producer.get(&format!("{path}/explain?recipient={}", ids[1_500])).await.body;
    assert!(explained["decisions"].as_array().unwrap().iter().any(|d| d["outcome"] == "addressed"));
}
