//! Recipient tokens: each opens one recipient's inbox and preferences for an hour, and nothing else.

use carillon_pipeline::bootstrap::{RECIPIENT_TOKEN_KEY, rotate_secret};
use carillon_tests::{Client, Dev};
use serde_json::json;

use super::{items, shop, tell, titles};

async fn token(dev: &Dev, recipient: &str) -> String {
    let made = dev.admin.raw("POST", &format!("/v1/recipients/{recipient}/token"), &[], None).await;
    assert_eq!(made.status, 200, "{made:?}");
    made.body["token"].as_str().unwrap().to_owned()
}

async fn reader(dev: &Dev, recipient: &str) -> Client {
    dev.admin.with_key(&token(dev, recipient).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_its_own_inbox_and_preferences_and_nothing_else() {
    let dev = shop(Dev::start().await).await;
    tell(&dev, "order.created", 1, "normal").await;
    tell(&dev, "system.down", 2, "normal").await;
    let una = reader(&dev, "una").await;
    for path in ["/v1/inbox", "/v1/inbox?recipient=una", "/v1/inbox/recent", "/api/notifications/real/"] {
        assert_eq!(titles(&items(&una, path).await), ["order.created 1"], "{path}");
    }
    let id = items(&una, "/v1/inbox").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(una.raw("POST", &format!("/v1/inbox/{id}/read"), &[], None).await.status, 200);
    assert_eq!(una.get("/v1/inbox/unread-count").await.body["unread_count"], 0);
    let wishes = json!({"categories": {"marketing": false}});
    assert_eq!(una.put("/v1/recipients/una/preferences", &wishes).await.status, 200);
    assert_eq!(una.get("/v1/recipients/una/preferences").await.body, wishes);

    let of_noor = dev.admin.get("/v1/inbox?recipient=noor").await.body["items"][0]["id"].clone();
    let of_noor = of_noor.as_str().unwrap();
    for path in [
        "/v1/inbox?recipient=noor",
        "/v1/inbox/recent?recipient=noor",
        "/v1/inbox/unread-count?recipient=noor",
        "/v1/recipients/noor/preferences",
        &format!("/v1/inbox/{of_noor}"),
    ] {
        assert_eq!(una.get(path).await.status, 404, "{path}");
    }
    assert_eq!(una.put("/v1/recipients/noor/preferences", &json!({})).await.status, 404);
    assert_eq!(una.raw("POST", &format!("/v1/inbox/{of_noor}/archive"), &[], None).await.status, 404);
    for path in [
        "/v1/recipients/una",
        "/v1/recipients",
        "/v1/events",
        "/v1/deliveries",
        "/v1/keys",
        "/v1/system/settings",
    ] {
        assert_eq!(una.get(path).await.status, 403, "{path}");
    }
    assert_eq!(una.raw("POST", "/v1/recipients/una/token", &[], None).await.status, 403, "none of its own");
    assert_eq!(una.post("/v1/events", &json!({"type": "order.created"})).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_tenant_or_nobodys_opens_nothing() {
    let dev = shop(Dev::start().await).await;
    tell(&dev, "order.created", 1, "normal").await;
    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    let other = dev.admin.with_key(&other.admin_key);
    assert_eq!(other.raw("POST", "/v1/recipients/una/token", &[], None).await.status, 404);
    // The same id in the other tenant is somebody else.
    assert_eq!(other.put("/v1/recipients/una", &json!({"name": "Una"})).await.status, 201);
    let theirs = other.raw("POST", "/v1/recipients/una/token", &[], None).await.body["token"].clone();
    let theirs = theirs.as_str().unwrap();
    assert_eq!(items(&dev.admin.with_key(theirs), "/v1/inbox").await, Vec::<serde_json::Value>::new());
    let good = token(&dev, "una").await;
    assert!(!good.contains("una") && good.starts_with("crt_"), "{good}");
    for bad in
        ["crt_", "crt_x", &theirs.replace("other", "dev"), &format!("{good}a"), &good[..good.len() - 1]]
    {
        let refused = dev.admin.with_key(bad).get("/v1/inbox").await;
        assert_eq!(refused.status, 401, "{bad}: {refused:?}");
    }
    assert_eq!(dev.producer.raw("POST", "/v1/recipients/una/token", &[], None).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_over_after_an_hour_and_with_its_recipient() {
    let dev = shop(Dev::virtual_time().await).await;
    let made = dev.admin.raw("POST", "/v1/recipients/una/token", &[], None).await.body;
    assert_eq!(made["expires_at"], "2026-11-20T10:00:00Z");
    let una = dev.admin.with_key(made["token"].as_str().unwrap());
    dev.advance(3_599).await;
    assert_eq!(una.get("/v1/inbox").await.status, 200);
    dev.advance(1).await;
    let over = una.get("/v1/inbox").await;
    assert_eq!(over.status, 401);
    assert!(over.body["detail"].as_str().unwrap().contains("expired"), "{over:?}");
    let una = reader(&dev, "una").await;
    assert_eq!(una.get("/v1/inbox").await.status, 200);
    assert_eq!(dev.admin.delete("/v1/recipients/una").await.status, 204);
    for path in ["/v1/inbox", "/v1/inbox/recent", "/v1/inbox/unread-count"] {
        assert_eq!(una.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_through_one_rotation_of_the_key() {
    let dev = shop(Dev::virtual_time().await).await;
    let una = reader(&dev, "una").await;
    let pipeline = dev.cloud.pipeline();
    for (rotation, expected) in [(1, 200), (2, 401)] {
        rotate_secret(pipeline.secrets.as_ref(), pipeline.entropy.as_ref(), RECIPIENT_TOKEN_KEY)
            .await
            .unwrap();
        dev.advance(31).await;
        assert_eq!(una.get("/v1/inbox").await.status, expected, "rotation {rotation}");
    }
    assert_eq!(reader(&dev, "una").await.get("/v1/inbox").await.status, 200);
}
