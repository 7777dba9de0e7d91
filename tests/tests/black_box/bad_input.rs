//! Bad input: each gets the problem that says what was wrong and where, changes nothing, and panics nothing.

use carillon_tests::{Client, Dev, order_template};
use serde_json::{Value, json};

async fn refuses(client: &Client, method: &str, path: &str, body: Value, status: u16, pointer: &str) {
    let headers = [("content-type", "application/json")];
    let answer = client.raw(method, path, &headers, Some(body.to_string().into_bytes())).await;
    assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    assert!(answer.body["type"].as_str().unwrap().starts_with("urn:carillon:problem:"), "{answer:?}");
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert!(detail.len() > 10, "a reason in words: {answer:?}");
    if !pointer.is_empty() {
        assert!(
            answer.pointers().iter().any(|p| p == pointer),
            "{path} {body}: wanted {pointer}, got {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_is_refused_with_a_pointer_and_changes_nothing() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    for (body, pointer) in [
        (json!({}), "/type"),
        (json!({"type": ""}), "/type"),
        (json!({"type": "order.created", "tpye": 1, "data": {"number": "1"}}), "/tpye"),
        (json!({"type": "unknown.event"}), "/type"),
        (json!({"type": "order.created", "data": "x"}), "/data"),
        (json!({"type": "order.created", "time": "now"}), "/time"),
        (json!({"type": "order.created", "recipients": {"ids": ["nobody"]}}), "/recipients/ids/0"),
        (json!({"type": "order.created", "recipients": {"groups": ["No Group"]}}), "/recipients/groups/0"),
        (json!({"type": "order.created", "recipients": {"replace": true}}), "/recipients"),
        (json!({"type": "order.created", "expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
        (
            json!({"type": "x", "template": "nope", "channels": ["email"], "recipients": {"ids": ["ada"]}}),
            "/template",
        ),
        (json!({"type": "x", "template": "order", "recipients": {"ids": ["ada"]}}), "/channels"),
    ] {
        refuses(&dev.producer, "POST", "/v1/events", body, 422, pointer).await;
    }
    assert_eq!(dev.producer.get("/v1/events").await.body["items"], json!([]));
    let critical = json!({"type": "order.created", "category": "critical", "data": {"number": "1"}});
    refuses(&dev.producer, "POST", "/v1/events", critical, 403, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_or_too_large_or_of_another_type_is_refused() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let json_type = ("content-type", "application/json");
    let post = async |headers: &[(&str, &str)], body: Vec<u8>| {
        dev.producer.raw("POST", "/v1/events", headers, Some(body)).await.status
    };
    assert_eq!(post(&[json_type], b"{\"type\": ".to_vec()).await, 400);
    assert_eq!(post(&[json_type], b"\xff\xfe".to_vec()).await, 400);
    assert_eq!(post(&[json_type], vec![b'['; 100_000]).await, 400);
    assert_eq!(post(&[("content-type", "text/plain")], b"{}".to_vec()).await, 415);
    assert_eq!(post(&[], b"{}".to_vec()).await, 415);
    let large =
        json!({"type": "order.created", "data": {"number": "1", "x": "y".repeat(262_144)}}).to_string();
    assert_eq!(post(&[json_type], large.into_bytes()).await, 413);
    assert_eq!(post(&[json_type], vec![b' '; 5 * 1_048_576]).await, 413);
    assert_eq!(
        post(&[json_type, ("idempotency-key", &"k".repeat(256))], b"{\"type\":\"order.created\"}".to_vec())
            .await,
        400
    );
    let deep = format!(
        "{{\"type\": \"order.created\", \"data\": {{\"number\": {}1{}}}}}",
        "[".repeat(60),
        "]".repeat(60)
    );
    assert_eq!(post(&[json_type], deep.into_bytes()).await, 202, "deeply nested data is data");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_key_nothing_is_said() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let event = json!({"type": "order.created", "data": {"number": "1"}});
    for key in ["", "ck_live_wrong", "x"] {
        let answer = dev.producer.with_key(key).post("/v1/events", &event).await;
        assert_eq!(
            (answer.status, answer.body["type"].as_str()),
            (401, Some("urn:carillon:problem:unauthenticated"))
        );
    }
    let basic =
        dev.producer.with_key("").raw("GET", "/v1/events", &[("authorization", "Basic eDp5")], None).await;
    assert_eq!(basic.status, 401);
    assert_eq!(dev.producer.put("/v1/groups/x", &json!({})).await.status, 403);
    assert_eq!(dev.producer.get("/v1/inbox?recipient=ada").await.status, 403);
    assert_eq!(dev.producer.with_key("").get("/health").await.status, 200);
    assert_eq!(dev.producer.get("/v1/nothing").await.status, 404);
    assert_eq!(dev.producer.delete("/v1/recipients").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_are_not_there() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "1"}})).await;
    let delivery = dev.deliveries(&id).await[0]["id"].as_str().unwrap().to_owned();
    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    let other = dev.admin.with_key(&other.admin_key);
    for path in [
        format!("/v1/events/{id}"),
        format!("/v1/events/{id}/deliveries"),
        format!("/v1/deliveries/{delivery}"),
        "/v1/recipients/ada".to_owned(),
        "/v1/groups/Sales%20Team".to_owned(),
        "/v1/groups/Sales%20Team/members".to_owned(),
        "/v1/routes/order.created".to_owned(),
        "/v1/templates/order".to_owned(),
        "/v1/templates/order/versions".to_owned(),
        "/v1/inbox?recipient=ada".to_owned(),
    ] {
        assert_eq!(other.get(&path).await.status, 404, "{path}");
        assert_eq!(dev.admin.get(&path).await.status, 200, "{path}");
    }
    for list in ["events", "deliveries", "recipients", "groups", "routes", "templates"] {
        assert_eq!(other.get(&format!("/v1/{list}")).await.body["items"], json!([]), "{list}");
    }
    assert_eq!(other.delete("/v1/recipients/ada").await.status, 404);
    assert_eq!(other.delete("/v1/groups/Sales%20Team/members/ada").await.status, 404);
    assert_eq!(other.post("/v1/events", &json!({"type": "order.created"})).await.status, 422);
    // The same phone number may belong to somebody of the other tenant.
    let eve = json!({"name": "Eve", "phone": "+12025550101"});
    assert_eq!(other.put("/v1/recipients/eve", &eve).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_directory_route_or_template_is_refused_with_a_pointer() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let admin = &dev.admin;
    for (path, body, pointer) in [
        ("/v1/recipients/x", json!({"name": "X", "phone": "+1202"}), "/phone"),
        ("/v1/recipients/x", json!({"name": "X", "phone": "not a number"}), "/phone"),
        ("/v1/recipients/x", json!({"name": "X", "email": "x@"}), "/email"),
        ("/v1/recipients/x", json!({"nmae": "X"}), "/name"),
        ("/v1/groups/x", json!({"members": ["ada", "nobody"]}), "/members/1"),
        ("/v1/routes/a.b", json!({"template": "nope", "channels": ["email"]}), "/template"),
        ("/v1/routes/a.b", json!({"template": "order", "channels": []}), "/channels"),
        ("/v1/routes/a.b", json!({"template": "order", "channels": ["sms"]}), "/channels"),
        ("/v1/routes/a.b", json!({"template": "order", "channels": ["email"], "when": "data.x >"}), "/when"),
        ("/v1/templates/t", json!({"locales": {}}), "/locales"),
        (
            "/v1/templates/t",
            json!({"locales": {"en": {"email": {"subject": "{{ x", "html": "h"}}}}),
            "/locales/en/email/subject",
        ),
        (
            "/v1/templates/t",
            json!({"locales": {"en": {"whatsapp": {"text": "t"}}}}),
            "/locales/en/whatsapp/template",
        ),
        (
            "/v1/templates/t",
            json!({"locales": {"en": {"email": {"subject": "s"}}}}),
            "/locales/en/email/html",
        ),
        ("/v1/channels/whatsapp", json!({"phone_number_id": "x"}), "/phone_number_id"),
        ("/v1/channels/email", json!({"from": "a@example.com\nBcc: b@example.com"}), "/from"),
    ] {
        refuses(admin, "PUT", path, body, 422, pointer).await;
    }
    assert_eq!(admin.get("/v1/recipients/x").await.status, 404);
    assert_eq!(admin.get("/v1/templates/t").await.status, 404);
    let twin = json!({"name": "Twin", "phone": "1 (202) 555-0101"});
    refuses(admin, "PUT", "/v1/recipients/twin", twin, 409, "/phone").await;
    let bad_preview = json!({"data": {}});
    refuses(&dev.producer, "POST", "/v1/templates/order/preview", bad_preview, 422, "/data").await;
    assert_eq!(admin.put("/v1/templates/a%20b", &order_template()).await.status, 422);
    assert_eq!(admin.get("/v1/events?limit=0").await.status, 400);
    assert_eq!(admin.get("/v1/events?limt=1").await.status, 400);
    assert_eq!(admin.get("/v1/events?cursor=x").await.status, 400);
    assert_eq!(admin.get("/v1/deliveries?state=lost").await.status, 400);
}
