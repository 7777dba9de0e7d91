//! The in-app feed, as the people whose it is and the apps that show it meet it: the newest with their count, filters,
//! marks, and a count that stays exact. E1, E2, E6, E8, E22-E24.

mod browser;
mod tokens;

use carillon_tests::{Client, Dev};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// A cloud with an administrator and a customer; orders go to both, outages to administrators.
async fn shop(dev: Dev) -> Dev {
    for (id, roles) in [("noor", json!(["admin"])), ("una", json!([]))] {
        let person = json!({"name": id, "email": format!("{id}@example.com"), "roles": roles});
        assert_eq!(dev.admin.put(&format!("/v1/recipients/{id}"), &person).await.status, 201);
    }
    assert_eq!(dev.admin.put("/v1/groups/Admins", &json!({"members": ["noor"]})).await.status, 201);
    let text = json!({"locales": {"en": {"in_app": {
        "title": "{{ event.type }} {{ data.number }}", "body": "It came in.", "action_url": "https://shop.example.com/{{ data.number }}"
    }}}});
    assert_eq!(dev.admin.put("/v1/templates/note?publish=true", &text).await.status, 201);
    for (event_type, audience, category) in [
        ("order.created", json!({"ids": ["noor", "una"]}), "transactional"),
        ("system.down", json!({"groups": ["Admins"]}), "system"),
    ] {
        let route =
            json!({"audience": audience, "template": "note", "channels": ["in_app"], "category": category});
        assert_eq!(dev.admin.put(&format!("/v1/routes/{event_type}"), &route).await.status, 201);
    }
    dev
}

async fn tell(dev: &Dev, event_type: &str, number: u32, priority: &str) {
    let event = json!({"type": event_type, "data": {"number": number.to_string()}, "priority": priority});
    dev.post_settled(&event).await;
}

/// A path of the feed of somebody, as an app asks for it.
fn of(path: &str, recipient: &str) -> String {
    let question = if path.contains('?') { '&' } else { '?' };
    format!("{path}{question}recipient={recipient}")
}

async fn items(client: &Client, path: &str) -> Vec<Value> {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body["items"].as_array().cloned().unwrap()
}

fn titles(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["title"].as_str().unwrap()).collect()
}

async fn unread(dev: &Dev, recipient: &str) -> i64 {
    let counted = dev.admin.get(&of("/v1/inbox/unread-count", recipient)).await.body;
    counted["unread_count"].as_i64().unwrap()
}

/// An answer with its headers, to a request with the administrator's key.
async fn asked(dev: &Dev, method: &str, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let key = format!("Bearer {}", dev.cloud.ready().admin_key);
    without_key(dev, method, path, &[headers, &[("authorization", &key)]].concat()).await
}

/// The same without a key.
async fn without_key(dev: &Dev, method: &str, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let client = carillon_runtime::outbound::client().unwrap();
    let url = format!("{}{path}", dev.cloud.ready().url);
    let request = client.request(method.parse().unwrap(), url);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

async fn post(dev: &Dev, path: &str, recipient: &str) -> carillon_tests::Answer {
    dev.admin.raw("POST", &of(path, recipient), &[], None).await
}

/// E1, E24: the newest ten with the unread count of all; asked again with its tag, an unchanged feed is 304. The path of
/// the system before answers the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_ten_come_with_the_count_and_a_tag_and_an_unchanged_feed_is_304() {
    let dev = shop(Dev::start().await).await;
    for number in 1..=12 {
        tell(&dev, "order.created", number, "normal").await;
    }
    for path in ["/v1/inbox/recent", "/api/notifications/recent/"] {
        let path = of(path, "una");
        let first = asked(&dev, "GET", &path, &[]).await;
        assert_eq!(first.status(), 200);
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        let body: Value = first.json().await.unwrap();
        let shown = body["items"].as_array().unwrap();
        assert_eq!((shown.len(), &body["unread_count"]), (10, &json!(12)));
        assert_eq!(titles(shown)[..2], ["order.created 12", "order.created 11"]);
        let again = asked(&dev, "GET", &path, &[("if-none-match", &tag)]).await;
        assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
        assert_eq!(again.text().await.unwrap(), "");
        let weak = format!("\"x\", W/{tag}");
        assert_eq!(asked(&dev, "GET", &path, &[("if-none-match", &weak)]).await.status(), 304);
        // Another reader's version of another feed is not this one.
        let others = asked(&dev, "GET", &of("/v1/inbox/recent", "noor"), &[("if-none-match", &tag)]).await;
        assert_eq!(others.status(), 200);
    }
    let path = of("/v1/inbox/recent", "una");
    let tag = asked(&dev, "GET", &path, &[]).await.headers()["etag"].to_str().unwrap().to_owned();
    let id = items(&dev.admin, &path).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(post(&dev, &format!("/v1/inbox/{id}/read"), "una").await.status, 200);
    let changed = asked(&dev, "GET", &path, &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status(), 200, "a mark is a change");
    assert_eq!(changed.json::<Value>().await.unwrap()["unread_count"], 11);
}

/// E2: everything about each notification, at the path of the system before.
#[tokio::test(flavor = "multi_thread")]
async fn the_former_path_lists_everything_about_each_notification() {
    let dev = shop(Dev::start().await).await;
    tell(&dev, "order.created", 1, "high").await;
    let list = items(&dev.admin, &of("/api/notifications/real/?limit=5", "una")).await;
    let item = &list[0];
    assert_eq!(
        json!([
            item["title"],
            item["body"],
            item["type"],
            item["priority"],
            item["origin"],
            item["action_url"],
            item["read_at"]
        ]),
        json!([
            "order.created 1",
            "It came in.",
            "order.created",
            "high",
            "user",
            "https://shop.example.com/1",
            null
        ])
    );
    assert_eq!(list, items(&dev.admin, &of("/v1/inbox", "una")).await);
    let alone = dev.admin.get(&of(&format!("/v1/inbox/{}", item["id"].as_str().unwrap()), "una")).await;
    assert_eq!(alone.body, *item);
    assert_eq!(dev.admin.get(&of("/v1/inbox/recent", "nobody")).await.status, 404);
    assert_eq!(dev.admin.get("/v1/inbox/recent").await.status, 400, "a key says whose");
}

/// E8: what the system says of itself goes to administrators, marked as such, beside what they hear as users; others see
/// their own only, and nobody another's.
#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_what_the_system_says_and_others_only_their_own() {
    let dev = shop(Dev::start().await).await;
    tell(&dev, "order.created", 1, "normal").await;
    tell(&dev, "system.down", 2, "critical").await;
    let of_noor = items(&dev.admin, &of("/v1/inbox", "noor")).await;
    let origins: Vec<_> = of_noor.iter().map(|item| (&item["type"], &item["origin"])).collect();
    assert_eq!(json!(origins), json!([["system.down", "system"], ["order.created", "user"]]));
    assert_eq!(titles(&items(&dev.admin, &of("/v1/inbox", "una")).await), ["order.created 1"]);
    let id = of_noor[0]["id"].as_str().unwrap();
    assert_eq!(dev.admin.get(&of(&format!("/v1/inbox/{id}"), "una")).await.status, 404);
    assert_eq!(post(&dev, &format!("/v1/inbox/{id}/read"), "una").await.status, 404);
    assert_eq!(unread(&dev, "noor").await, 2);
}

/// E22, E23: by type, priority, origin and whether it is unread, one by one and together, page by page.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_filtered_by_type_priority_origin_and_mark() {
    let dev = shop(Dev::start().await).await;
    for number in 1..=3 {
        tell(&dev, "order.created", number, if number == 2 { "high" } else { "normal" }).await;
    }
    tell(&dev, "system.down", 4, "high").await;
    let first = items(&dev.admin, &of("/v1/inbox?type=system.down", "noor")).await;
    let id = first[0]["id"].as_str().unwrap();
    assert_eq!(post(&dev, &format!("/v1/inbox/{id}/read"), "noor").await.status, 200);
    for (filter, expected) in [
        ("type=order.created", &["order.created 3", "order.created 2", "order.created 1"][..]),
        ("priority=high", &["system.down 4", "order.created 2"]),
        ("origin=system", &["system.down 4"]),
        ("origin=user&priority=high", &["order.created 2"]),
        ("unread=true&priority=high", &["order.created 2"]),
        ("unread=false", &["system.down 4"]),
        ("unread=false&origin=user", &[]),
    ] {
        let list = items(&dev.admin, &of(&format!("/v1/inbox?{filter}"), "noor")).await;
        assert_eq!(titles(&list), expected, "{filter}");
    }
    let page = dev.admin.get(&of("/v1/inbox?type=order.created&limit=2", "noor")).await.body;
    assert_eq!(titles(page["items"].as_array().unwrap()), ["order.created 3", "order.created 2"]);
    let cursor = page["next_cursor"].as_str().unwrap().replace('#', "%23");
    let rest =
        dev.admin.get(&of(&format!("/v1/inbox?type=order.created&cursor={cursor}"), "noor")).await.body;
    assert_eq!(titles(rest["items"].as_array().unwrap()), ["order.created 1"]);
    assert_eq!(rest["next_cursor"], Value::Null);
    for wrong in ["priority=urgent", "origin=moon", "unread=maybe", "type=a%20b", "cursor=D%23", "limit=0"] {
        assert_eq!(dev.admin.get(&of(&format!("/v1/inbox?{wrong}"), "noor")).await.status, 400, "{wrong}");
    }
}

/// E6, E23: read moves the delivery too; unread and archive do not; each may be repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_read_made_unread_and_put_away_and_repeating_changes_nothing() {
    let dev = shop(Dev::start().await).await;
    for number in 1..=2 {
        tell(&dev, "order.created", number, "normal").await;
    }
    let id = items(&dev.admin, &of("/v1/inbox", "una")).await[1]["id"].as_str().unwrap().to_owned();
    let delivery = async || dev.admin.get(&format!("/v1/deliveries/{id}")).await.body;
    let delivered_at = delivery().await["delivered_at"].clone();
    assert_eq!((&delivery().await["state"], delivered_at.is_string()), (&json!("delivered"), true));
    let mut read_at = None;
    for _ in 0..2 {
        let read = post(&dev, &format!("/v1/inbox/{id}/read"), "una").await;
        assert_eq!(read.status, 200, "{read:?}");
        assert_eq!(*read_at.get_or_insert(read.body["read_at"].clone()), read.body["read_at"]);
        assert_eq!(unread(&dev, "una").await, 1);
    }
    let moved = delivery().await;
    assert_eq!((&moved["state"], Some(&moved["read_at"])), (&json!("read"), read_at.as_ref()));
    assert_eq!(moved["delivered_at"], delivered_at);
    for _ in 0..2 {
        let again = post(&dev, &format!("/v1/inbox/{id}/unread"), "una").await;
        assert_eq!((again.status, &again.body["read_at"]), (200, &Value::Null));
        assert_eq!(unread(&dev, "una").await, 2);
    }
    assert_eq!(delivery().await["state"], "read", "what was read once stays a fact");
    for _ in 0..2 {
        let away = post(&dev, &format!("/v1/inbox/{id}/archive"), "una").await;
        assert_eq!((away.status, away.body["archived_at"].is_string()), (200, true), "{away:?}");
        assert_eq!(unread(&dev, "una").await, 1);
    }
    assert_eq!(titles(&items(&dev.admin, &of("/v1/inbox", "una")).await), ["order.created 2"]);
    assert_eq!(dev.admin.get(&of(&format!("/v1/inbox/{id}"), "una")).await.status, 200, "not gone");
    assert_eq!(post(&dev, &format!("/v1/inbox/{id}/read"), "una").await.status, 409);
    let other = id.replace("-i", "-e");
    for missing in ["x", other.as_str()] {
        assert_eq!(post(&dev, &format!("/v1/inbox/{missing}/read"), "una").await.status, 404, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_read_by_one_call_and_what_comes_later_or_is_made_unread_is_not() {
    let dev = shop(Dev::start().await).await;
    for number in 1..=3 {
        tell(&dev, "order.created", number, "normal").await;
    }
    for _ in 0..2 {
        let all = post(&dev, "/v1/inbox/read-all", "una").await;
        assert_eq!((all.status, all.body), (200, json!({"unread_count": 0})));
    }
    let read = items(&dev.admin, &of("/v1/inbox", "una")).await;
    assert!(read.iter().all(|item| item["read_at"].is_string()), "{read:?}");
    for item in &read {
        let path = format!("/v1/deliveries/{}", item["id"].as_str().unwrap());
        assert_eq!(dev.admin.get(&path).await.body["state"], "read");
    }
    assert_eq!(unread(&dev, "noor").await, 3, "another's feed is another's");
    tell(&dev, "order.created", 4, "normal").await;
    let id = read[2]["id"].as_str().unwrap();
    assert_eq!(post(&dev, &format!("/v1/inbox/{id}/unread"), "una").await.status, 200);
    assert_eq!(unread(&dev, "una").await, 2);
    let list = items(&dev.admin, &of("/v1/inbox?unread=true", "una")).await;
    assert_eq!(titles(&list), ["order.created 4", "order.created 1"]);
    assert_eq!(post(&dev, "/v1/inbox/read-all", "una").await.status, 200);
    assert_eq!(items(&dev.admin, &of("/v1/inbox?unread=true", "una")).await, Vec::<Value>::new());
}

/// Marks of every kind, read-alls and new items at the same time: the count is that of the items afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_unread_count_is_exact_however_many_call_at_once() {
    let dev = shop(Dev::start().await).await;
    let event = |number: usize| json!({"type": "order.created", "data": {"number": number.to_string()}});
    for number in 0..12 {
        dev.post_settled(&event(number)).await;
    }
    let ids: Vec<String> = items(&dev.admin, &of("/v1/inbox", "una"))
        .await
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect();
    let dev = &dev;
    let calls = (0..72_usize).map(|i| {
        let id = &ids[i * 7 % ids.len()];
        let path = match i % 12 {
            0..=4 => format!("/v1/inbox/{id}/read"),
            5..=8 => format!("/v1/inbox/{id}/unread"),
            9 if i % 3 == 0 => format!("/v1/inbox/{id}/archive"),
            10 => "/v1/inbox/read-all".to_owned(),
            _ => String::new(),
        };
        async move {
            if path.is_empty() {
                let posted = dev.producer.post("/v1/events", &event(100 + i)).await;
                dev.settled(posted.body["event_id"].as_str().unwrap()).await;
                return 202;
            }
            post(dev, &path, "una").await.status
        }
    });
    let answered = join_all(calls).await;
    assert!(answered.iter().all(|status| [200, 202, 409].contains(status)), "{answered:?}");
    let list = items(&dev.admin, &of("/v1/inbox?limit=200", "una")).await;
    let open = list.iter().filter(|item| item["read_at"].is_null()).count();
    assert_eq!(unread(dev, "una").await, i64::try_from(open).unwrap(), "of {}", list.len());
    assert!(list.len() > 12, "new items came meanwhile");
}
