//! RFC 8058: every email that is not critical carries a link by which one post ends mail of its kind.

use carillon_tests::{Answer, Dev};
use serde_json::{Value, json};

async fn mail(dev: &Dev, number: &str, category: &str) -> Value {
    let event = json!({"type": "order.created", "source": "shop", "id": number, "category": category,
                       "data": {"number": number}});
    // Only an administrator may raise an event to critical.
    let accepted = dev.admin.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let id = accepted.body["event_id"].as_str().unwrap();
    dev.settled(id).await;
    dev.deliveries(id).await.into_iter().find(|d| d["channel"] == "email").unwrap()
}

async fn newest_headers(dev: &Dev) -> Value {
    let outbox = dev.outbox().await;
    outbox.iter().rfind(|item| item["channel"] == "email").unwrap()["headers"].clone()
}

/// The path of the newest email's link.
async fn link(dev: &Dev) -> String {
    let headers = newest_headers(dev).await;
    assert_eq!(headers["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click", "{headers}");
    let link = headers["List-Unsubscribe"].as_str().unwrap();
    let link = link.strip_prefix('<').unwrap().strip_suffix('>').unwrap();
    link.strip_prefix(&dev.cloud.ready().url).unwrap().to_owned()
}

async fn one_click(dev: &Dev, path: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let body = b"List-Unsubscribe=One-Click".to_vec();
    dev.admin.with_key("").raw("POST", path, &headers, Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_to_the_link_ends_mail_of_its_category_and_looking_at_it_does_not() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    assert_ne!(mail(&dev, "1", "marketing").await["state"], "skipped");
    let path = link(&dev).await;
    assert!(!path.contains("ada"), "{path}");
    let anybody = dev.admin.with_key("");
    for _ in 0..2 {
        let page = anybody.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.body.as_str().unwrap().contains("<form method=\"post\">"), "{page:?}");
    }
    assert_ne!(mail(&dev, "2", "marketing").await["state"], "skipped");
    for _ in 0..2 {
        assert_eq!(one_click(&dev, &path).await.status, 200);
    }
    let skipped = mail(&dev, "3", "marketing").await;
    assert_eq!((&skipped["state"], &skipped["reason"]), (&json!("skipped"), &json!("opted_out")));
    assert_ne!(mail(&dev, "4", "reminder").await["state"], "skipped");
    let preferences = dev.admin.get("/v1/recipients/ada/preferences").await.body;
    assert_eq!(preferences["categories"]["marketing"]["email"], false, "{preferences}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_category_but_critical_has_a_link() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    for (i, category) in ["transactional", "reminder", "marketing", "system"].iter().enumerate() {
        mail(&dev, &i.to_string(), category).await;
        assert!(link(&dev).await.contains(category));
    }
    mail(&dev, "critical", "critical").await;
    assert_eq!(newest_headers(&dev).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_nobody_made_is_not_found() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    mail(&dev, "1", "marketing").await;
    let path = link(&dev).await;
    for bad in ["/u/x".to_owned(), path.replace("marketing", "reminder"), format!("{path}a")] {
        assert_eq!(dev.admin.with_key("").get(&bad).await.status, 404, "{bad}");
        assert_eq!(one_click(&dev, &bad).await.status, 404, "{bad}");
    }
    assert_eq!(one_click(&dev, &path).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whom_an_event_brought_is_remembered_by_address() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let event = |id: &str| {
        json!({"type": "order.created", "source": "shop", "id": id, "data": {"number": id},
               "recipients": {"addresses": [{"name": "Bob", "email": "bob@example.com"}]}})
    };
    let id = dev.post_settled(&event("1")).await;
    let to_bob = dev.outbox().await.into_iter().find(|item| item["to"] == "bob@example.com").unwrap();
    let link = to_bob["headers"]["List-Unsubscribe"].as_str().unwrap().trim_matches(['<', '>']).to_owned();
    let path = link.strip_prefix(&dev.cloud.ready().url).unwrap();
    assert_eq!(one_click(&dev, path).await.status, 200);
    assert_ne!(id, dev.post_settled(&event("2")).await);
    let to_bob = dev.outbox().await.into_iter().filter(|item| item["to"] == "bob@example.com").count();
    assert_eq!(to_bob, 1);
}
