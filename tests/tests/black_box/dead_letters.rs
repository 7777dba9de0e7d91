//! Messages that no worker can work: each becomes a record, its delivery fails visibly, the tenant is told once, and a
//! redrive heals it. H28, I15, I16.

use carillon_local::queues::Source;
use carillon_pipeline::ports::Queue;
use carillon_tests::command::run;
use carillon_tests::{Client, Dev};
use serde_json::{Value, json};

/// Longer than a burst has to be quiet before it is told of.
const SOON_S: u64 = 60;

/// The admins, and a route that tells them in their feed of what could not be sent.
async fn tell_admins(dev: &Dev, channels: &[&str]) {
    let admin = json!({"name": "Root", "email": "bounce+root@simulator.amazonses.com"});
    assert_eq!(dev.admin.put("/v1/recipients/root", &admin).await.status, 201);
    let says = "{{ data.count }} not sent{% for reason, n in data.by_reason | items %}, {{ n }} {{ reason }}{% endfor %}";
    let template = json!({"locales": {"en": {
        "in_app": {"title": "Not sent", "body": says}, "email": {"subject": "Not sent", "html": says}
    }}});
    assert_eq!(dev.admin.put("/v1/templates/not_sent?publish=true", &template).await.status, 201);
    let route = json!({
        "audience": {"ids": ["root"]}, "template": "not_sent", "channels": channels, "category": "system"
    });
    assert_eq!(dev.admin.put("/v1/routes/message.send_failed", &route).await.status, 201);
}

async fn items(client: &Client, path: &str) -> Vec<Value> {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().cloned().unwrap_or_default()
}

/// What the admin was told, the latest first.
async fn told(dev: &Dev) -> Vec<String> {
    let feed = items(&dev.admin, "/v1/inbox?recipient=root").await;
    feed.iter().map(|item| item["body"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn redrive(dev: &Dev, filter: Value, dry_run: bool) -> (u64, u64) {
    let body = json!({"filter": filter, "dry_run": dry_run});
    let answer = dev.admin.post("/v1/dead-letters/redrive", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let number = |name: &str| answer.body[name].as_u64().unwrap_or(u64::MAX);
    (number("matched"), number("redriven"))
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_on_every_queue_becomes_a_record_that_the_platform_sees() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    for queue in Queue::ALL {
        dev.cloud.queues().send_raw(queue, format!("not JSON, on {}", queue.as_str())).await.unwrap();
    }
    dev.post_settled(&json!({"type": "order.created", "data": {"number": "A-1"}})).await;
    dev.advance(600).await;
    let letters = items(&dev.admin, "/v1/dead-letters").await;
    for queue in Queue::ALL {
        let letter = letters.iter().find(|letter| letter["queue"] == queue.as_str()).unwrap();
        assert_eq!((&letter["reason"], letter["tenant"].is_null()), (&json!("unreadable"), true), "{letter}");
        assert!(letter["receive_count"].as_u64().unwrap() >= 20, "{letter}");
        let left = dev.cloud.queues().receive(Source::dead_letters_of(queue), 10).await.unwrap();
        assert!(left.is_empty(), "what is recorded is deleted");
    }
    assert_eq!(letters.len(), Queue::ALL.len());
    assert_eq!(items(&dev.producer, "/v1/dead-letters").await, Vec::<Value>::new(), "no tenant's business");
    let of_one = items(&dev.admin, "/v1/dead-letters?queue=email").await;
    assert_eq!((of_one.len(), &of_one[0]["queue"]), (1, &json!("email")));
    let first = dev.admin.get("/v1/dead-letters?limit=3").await.body;
    let rest = format!(
        "/v1/dead-letters?limit=3&cursor={}",
        first["next_cursor"].as_str().unwrap().replace('#', "%23")
    );
    let second = dev.admin.get(&rest).await.body;
    let pages =
        [first["items"].as_array().unwrap().clone(), second["items"].as_array().unwrap().clone()].concat();
    assert_eq!((pages, &second["next_cursor"]), (letters, &Value::Null));
    // Redriven, it dies again and is another record.
    assert_eq!(redrive(&dev, json!({"queue": "events"}), false).await, (1, 1));
    dev.advance(600).await;
    let again = items(&dev.admin, "/v1/dead-letters?queue=events").await;
    assert_eq!(again.iter().filter(|letter| letter["redriven_at"].is_null()).count(), 1);
    assert_eq!(again.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_message_died_fails_visibly_is_told_of_once_and_is_healed_by_a_redrive() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    tell_admins(&dev, &["in_app"]).await;
    let down = json!({"whatsapp": {"refuse": {"code": 131_016}}});
    assert_eq!(dev.admin.post("/dev/faults", &down).await.status, 200);
    let accepted =
        dev.producer.post("/v1/events", &json!({"type": "order.created", "data": {"number": "A-1"}})).await;
    let id = accepted.body["event_id"].as_str().unwrap();
    dev.advance(0).await;
    let waiting = dev.delivery_in(id, "whatsapp", "retrying").await;
    let delivery = waiting["id"].as_str().unwrap();
    let poison = json!({"tenant": "dev", "delivery": {"id": delivery, "event_id": id}}).to_string();
    for _ in 0..2 {
        dev.cloud.queues().send_dead(Queue::Whatsapp, poison.clone()).await.unwrap();
    }
    dev.advance(0).await;

    let failed = dev.delivery_in(id, "whatsapp", "failed").await;
    assert_eq!(failed["reason"], "attempts_exhausted");
    let letters = items(&dev.producer, "/v1/dead-letters").await;
    assert_eq!((letters.len(), &letters[0]["delivery_id"]), (2, &json!(delivery)));
    dev.advance(SOON_S).await;
    assert_eq!(told(&dev).await, ["1 not sent, 1 attempts_exhausted"]);

    assert_eq!(dev.admin.post("/dev/faults", &json!({})).await.status, 200);
    assert_eq!(redrive(&dev, json!({}), true).await, (2, 0), "only counted");
    assert_eq!(redrive(&dev, json!({"queue": "email"}), false).await, (0, 0));
    assert_eq!(redrive(&dev, json!({"ids": [letters[1]["id"], "nothing"]}), false).await, (1, 1));
    dev.advance(SOON_S).await;
    let sent = dev.admin.get(&format!("/v1/deliveries/{delivery}")).await.body;
    assert!(["sent", "delivered", "read"].contains(&sent["state"].as_str().unwrap()), "{sent}");
    let back = sent["timeline"].as_array().unwrap().iter().find(|entry| entry.get("by").is_some()).unwrap();
    assert_eq!(
        (&back["state"], &back["note"]),
        (&json!("pending"), &json!("taken back from failed(attempts_exhausted)"))
    );

    // The other letter is about the same delivery, which has been sent: nothing goes out a second time.
    let before = dev.outbox().await.len();
    assert_eq!(redrive(&dev, json!({}), false).await, (1, 1));
    dev.advance(7_200).await;
    assert_eq!(redrive(&dev, json!({}), false).await, (0, 0));
    assert_eq!((dev.outbox().await.len(), told(&dev).await.len()), (before, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_200_failures_is_told_of_once() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    tell_admins(&dev, &["in_app"]).await;
    let post = async |number: u32, people: std::ops::Range<u32>| {
        let person = |i| json!({"name": "Bo", "email": format!("bounce+{i}@simulator.amazonses.com")});
        let addresses: Vec<Value> = people.map(person).collect();
        let event = json!({
            "type": "order.created", "data": {"number": number.to_string()}, "template": "order", "channels": ["email"],
            "recipients": {"addresses": addresses, "replace": true}
        });
        assert_eq!(dev.admin.post("/v1/events", &event).await.status, 202);
    };
    post(1, 0..100).await;
    post(2, 100..200).await;
    dev.advance(SOON_S).await;
    assert_eq!(told(&dev).await, ["200 not sent, 200 bounced"]);
    assert_eq!(items(&dev.admin, "/v1/events?type=message.send_failed").await.len(), 1);
    // A quarter of an hour is left between two notices, and what failed meanwhile is in the next one.
    post(3, 200..203).await;
    dev.advance(600).await;
    assert_eq!(told(&dev).await.len(), 1);
    dev.advance(600).await;
    assert_eq!(told(&dev).await[0], "3 not sent, 3 bounced");
    dev.advance(86_400).await;
    assert_eq!(told(&dev).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_fails_itself_is_not_told_of() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    tell_admins(&dev, &["email", "in_app"]).await;
    let gone = json!({"name": "Gone", "email": "bounce+1@simulator.amazonses.com"});
    assert_eq!(dev.admin.put("/v1/recipients/gone", &gone).await.status, 201);
    let to_gone = json!({"ids": ["gone"], "replace": true});
    let event = json!({
        "type": "order.created", "data": {"number": "1"}, "template": "order", "channels": ["email"], "recipients": to_gone
    });
    dev.post_settled(&event).await;
    dev.advance(SOON_S).await;
    let notices = items(&dev.admin, "/v1/events?type=message.send_failed").await;
    let deliveries = dev.deliveries(notices[0]["id"].as_str().unwrap()).await;
    assert!(deliveries.iter().any(|d| d["channel"] == "email" && d["reason"] == "bounced"), "{deliveries:?}");
    // Nor is a notice that never got as far as a delivery.
    let poison = json!({"tenant": "dev", "event_id": notices[0]["id"]}).to_string();
    dev.cloud.queues().send_dead(Queue::Events, poison).await.unwrap();
    dev.advance(86_400).await;
    assert_eq!(items(&dev.admin, "/v1/events?type=message.send_failed").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_before_it_was_a_delivery_is_told_of_too_and_goes_back_on_its_queue() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    tell_admins(&dev, &["in_app"]).await;
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "A-1"}})).await;
    // An event that is not there: no fan-out can work it.
    let work = json!({"tenant": "dev", "event_id": "a".repeat(26)}).to_string();
    dev.cloud.queues().send_raw(Queue::Events, work).await.unwrap();
    dev.advance(900).await;
    assert_eq!(told(&dev).await, ["1 not sent, 1 dead_letter:events"]);
    let [letter] = &items(&dev.producer, "/v1/dead-letters").await[..] else { panic!("one dead letter") };
    assert_eq!((&letter["reason"], &letter["tenant"]), (&json!("received_too_often"), &json!("dev")));

    // A receipt that died is read when it is redriven.
    let whatsapp = dev.deliveries(&id).await.into_iter().find(|d| d["channel"] == "whatsapp").unwrap();
    let number = dev.cloud.ready().phone_number_id.clone();
    let status = json!({"whatsapp": {"value": {
        "metadata": {"phone_number_id": number},
        "statuses": [{
            "id": whatsapp["provider_message_id"], "status": "read", "timestamp": "1795217019",
            "biz_opaque_callback_data": format!("{}-1", whatsapp["id"].as_str().unwrap())
        }]
    }}});
    dev.cloud.queues().send_dead(Queue::Receipts, status.to_string()).await.unwrap();
    dev.advance(0).await;
    assert_eq!(redrive(&dev, json!({"queue": "receipts"}), false).await, (1, 1));
    dev.advance(0).await;
    dev.delivery_in(&id, "whatsapp", "read").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_their_tenants_and_a_filter_is_checked() {
    let dev = Dev::virtual_time().await;
    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    let other = dev.admin.with_key(&other.api_key);
    let poison = json!({"tenant": "dev", "event_id": "a".repeat(26)}).to_string();
    dev.cloud.queues().send_dead(Queue::Events, poison).await.unwrap();
    dev.advance(0).await;
    assert_eq!(items(&dev.producer, "/v1/dead-letters").await.len(), 1);
    assert_eq!(items(&other, "/v1/dead-letters").await.len(), 0);
    let all = json!({"filter": {}});
    assert_eq!(dev.producer.post("/v1/dead-letters/redrive", &all).await.status, 403);
    for (filter, pointer) in [
        (json!({"queue": "letters"}), "/filter/queue"),
        (json!({"state": "failed"}), "/filter/state"),
        (json!({"from": "yesterday"}), "/filter/from"),
        (json!({"ids": vec!["x"; 201]}), "/filter/ids"),
    ] {
        let refused = dev.admin.post("/v1/dead-letters/redrive", &json!({"filter": filter})).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]));
    }
    assert_eq!(dev.admin.get("/v1/dead-letters?cursor=x").await.status, 400);
    assert_eq!(dev.admin.get("/v1/dead-letters?queue=letters").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crm_pack_tells_its_technical_admins_of_a_burst_h28() {
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    assert_eq!(run(&dev, &["apply", "crm"]).await.code, Some(0));
    let admin = json!({"name": "Tendai", "email": "tendai@example.com", "phone": "+12025550102"});
    assert_eq!(dev.admin.put("/v1/recipients/root", &admin).await.status, 201);
    let path = "/v1/groups/Technical%20Admin/members";
    assert_eq!(dev.admin.post(path, &json!({"add": ["root"]})).await.status, 200);
    let people: Vec<Value> = (0..2)
        .map(|i| json!({"name": "Bo", "email": format!("bounce+{i}@simulator.amazonses.com")}))
        .collect();
    let event = json!({
        "type": "order.created", "data": {"number": "1"}, "template": "order", "channels": ["email"],
        "recipients": {"addresses": people, "replace": true}
    });
    dev.post_settled(&event).await;
    dev.advance(SOON_S).await;
    assert_eq!(told(&dev).await, ["Since November 20, 2026 at 9:00\u{a0}AM: bounced x2."]);
    let outbox = dev.outbox().await;
    let email = outbox.iter().find(|item| item["to"] == "tendai@example.com").unwrap();
    assert_eq!(email["subject"], "2 messages could not be sent");
    for words in ["Reasons: bounced x2\n", "Channels: email x2\n", "About: order.created\n"] {
        assert!(email["text"].as_str().unwrap().contains(words), "{words} in {}", email["text"]);
    }
    for words in ["Messages not sent", "bounced x2", "order.created"] {
        assert!(email["html"].as_str().unwrap().contains(words), "{words} in {}", email["html"]);
    }
    let whatsapp = outbox.iter().find(|item| item["channel"] == "whatsapp").unwrap();
    let parameters = whatsapp["template"]["parameters"].as_array().unwrap();
    assert_eq!(parameters[..2], [json!("2 messages"), json!("bounced x2")], "{whatsapp}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lists_dead_letters_and_puts_them_back() {
    let dev = Dev::virtual_time().await;
    dev.cloud.queues().send_dead(Queue::Receipts, r#"{"unreadable": "x"}"#).await.unwrap();
    dev.advance(0).await;
    let listed = run(&dev, &["dead-letters"]).await;
    assert_eq!((listed.code, listed.text.lines().count()), (Some(0), 2), "{}", listed.text);
    let counted = run(&dev, &["dead-letters", "--redrive", "--dry-run", "--queue", "receipts"]).await;
    assert_eq!(counted.text, "1 dead letter would be put back to work\n");
    let back = run(&dev, &["dead-letters", "--redrive"]).await;
    assert_eq!((back.code, back.text.as_str()), (Some(0), "1 dead letter put back to work\n"));
}
