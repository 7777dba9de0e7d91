//! What operators and the platform do by API: keys from making to deleting, tenants, and packs that are applied whole or
//! not at all.

use carillon_pipeline::ports::Clock;
use carillon_runtime::SystemClock;
use carillon_tests::{Answer, Client, Dev, order_template, until};
use serde_json::{Value, json};

/// Makes a key with the client's own. Answers its id, and a client that has it.
async fn issued(by: &Client, asked: &Value) -> (String, Client) {
    let made = by.post("/v1/keys", asked).await;
    assert_eq!(made.status, 201, "{asked}: {made:?}");
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    (text("id"), by.with_key(&text("key")))
}

fn refused(answer: &Answer, status: u16, pointers: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.pointers(), pointers, "{answer:?}");
}

async fn ids(client: &Client, path: &str) -> Vec<String> {
    let list = client.get(path).await.body;
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{path}: {list}"));
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_does_what_its_scopes_say_and_stops_when_it_is_deleted() {
    let dev = Dev::start().await;
    let asked = json!({"name": "Shop", "kind": "live", "scopes": ["read", "read"], "expires_at": "2999-01-01T00:00:00Z"});
    let made = dev.admin.post("/v1/keys", &asked).await;
    assert_eq!(made.status, 201, "{made:?}");
    let key = made.body["key"].as_str().unwrap();
    assert!(key.starts_with("ck_live_"), "{key}");
    assert_eq!(
        (&made.body["tenant"], &made.body["scopes"], &made.body["expires_at"]),
        (&json!("dev"), &json!(["read"]), &asked["expires_at"])
    );

    let listed = dev.admin.get("/v1/keys").await.body;
    assert!(!listed.to_string().contains(key) && !listed.to_string().contains("hash"), "{listed}");
    let mut expected = made.body.clone();
    expected.as_object_mut().unwrap().remove("key");
    assert!(listed["items"].as_array().unwrap().contains(&expected), "{listed}");

    let shop = dev.admin.with_key(key);
    assert_eq!(shop.get("/v1/groups").await.status, 200);
    assert_eq!(shop.put("/v1/groups/Desk", &json!({})).await.status, 403);

    let path = format!("/v1/keys/{}", made.body["id"].as_str().unwrap());
    assert_eq!(dev.admin.delete(&path).await.status, 204);
    until("the key is not taken any more", async || {
        (shop.get("/v1/groups").await.status == 401).then_some(())
    })
    .await;
    assert_eq!(dev.admin.delete(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_expired_is_not_taken() {
    let dev = Dev::start().await;
    let (_, soon_over) = issued(
        &dev.admin,
        &json!({"name": "Short", "kind": "live", "scopes": ["read"], "expires_at": in_seconds(2)}),
    )
    .await;
    assert_eq!(soon_over.get("/v1/groups").await.status, 200);
    until("the key has expired", async || (soon_over.get("/v1/groups").await.status == 401).then_some(()))
        .await;
    let over =
        json!({"name": "Old", "kind": "live", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"});
    refused(&dev.admin.post("/v1/keys", &over).await, 422, &["/expires_at"]);
}

/// An instant as the API writes it, so many seconds from now.
fn in_seconds(seconds: i64) -> String {
    let at = SystemClock.now().as_second() + seconds;
    carillon_domain::Timestamp::from_second(at).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_key_that_may_do_more_than_their_own() {
    let dev = Dev::start().await;
    let key = |scopes: &[&str], kind: &str| json!({"name": "k", "kind": kind, "scopes": scopes});
    refused(&dev.producer.post("/v1/keys", &key(&["read"], "live")).await, 403, &[]);

    let (_, manager) = issued(&dev.admin, &key(&["manage", "read"], "live")).await;
    let (_, reader) = issued(&manager, &key(&["read"], "live")).await;
    assert_eq!(reader.get("/v1/keys").await.status, 200);
    refused(&manager.post("/v1/keys", &key(&["read", "inbox"], "live")).await, 403, &["/scopes/1"]);
    refused(&manager.post("/v1/keys", &key(&["platform"], "live")).await, 403, &["/scopes/0"]);

    let (_, tester) = issued(&manager, &key(&["manage"], "test")).await;
    refused(&tester.post("/v1/keys", &key(&["manage"], "live")).await, 403, &["/kind"]);
    issued(&tester, &key(&["manage"], "test")).await;

    for (asked, pointer) in [
        (json!({"kind": "live", "scopes": ["read"]}), "/name"),
        (json!({"name": "\u{7}", "kind": "live", "scopes": ["read"]}), "/name"),
        (json!({"name": "k", "kind": "life", "scopes": ["read"]}), "/kind"),
        (json!({"name": "k", "kind": "live", "scopes": []}), "/scopes"),
        (json!({"name": "k", "kind": "live", "scopes": ["write"]}), "/scopes/0"),
        (json!({"name": "k", "kind": "live", "scopes": ["read"], "tenant": "nobody"}), "/tenant"),
        (json!({"name": "k", "kind": "live", "scopes": ["read"], "expires": "never"}), "/expires"),
    ] {
        refused(&dev.admin.post("/v1/keys", &asked).await, 422, &[pointer]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_reaches_the_keys_of_another_tenant() {
    let dev = Dev::start().await;
    dev.cloud.add_tenant("other", "Other").await.unwrap();
    let asked = json!({"name": "Theirs", "kind": "live", "scopes": ["read", "manage"], "tenant": "other"});
    let (theirs, other) = issued(&dev.admin, &asked).await;
    assert!(ids(&other, "/v1/keys").await.contains(&theirs));
    assert!(!ids(&dev.admin, "/v1/keys").await.contains(&theirs));
    assert!(ids(&dev.admin, "/v1/keys?tenant=other").await.contains(&theirs));

    let (ours, manager) =
        issued(&dev.admin, &json!({"name": "Ours", "kind": "live", "scopes": ["read", "manage"]})).await;
    assert_eq!(manager.get("/v1/keys?tenant=other").await.status, 403);
    assert_eq!(manager.post("/v1/keys", &asked).await.status, 403);
    assert_eq!(manager.delete(&format!("/v1/keys/{theirs}?tenant=other")).await.status, 403);
    assert_eq!(manager.delete(&format!("/v1/keys/{theirs}")).await.status, 404);
    assert_eq!(other.delete(&format!("/v1/keys/{ours}")).await.status, 404);
    assert_eq!(manager.get("/v1/keys?tenant=dev").await.status, 200, "one's own tenant may be named");

    assert_eq!(dev.admin.delete(&format!("/v1/keys/{theirs}?tenant=other")).await.status, 204);
    assert_eq!(other.get("/v1/keys").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_keys_goes_on_where_its_page_ended() {
    let dev = Dev::start().await;
    for n in 0..3 {
        issued(&dev.admin, &json!({"name": format!("k{n}"), "kind": "live", "scopes": ["read"]})).await;
    }
    let all = ids(&dev.admin, "/v1/keys").await;
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = dev.admin.get(&format!("/v1/keys?limit=2&cursor={cursor}")).await.body;
        paged.extend(page["items"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(paged, all);
    assert_eq!(all.len(), 5, "and the two of the dev cloud");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_key_tells_nobody_and_a_team_key_only_the_team() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let bo = json!({"name": "Bo", "email": "bo@example.com", "phone": "+12025550102", "team": true});
    assert_eq!(dev.admin.put("/v1/recipients/bo", &bo).await.status, 201);
    let event =
        json!({"type": "order.created", "data": {"number": "A-1"}, "recipients": {"ids": ["ada", "bo"]}});
    for (kind, ada, bo) in
        [("test", "skipped test_key", "skipped test_key"), ("team", "skipped not_team", "delivered ")]
    {
        let asked = json!({"name": kind, "kind": kind, "scopes": ["events:write", "read"]});
        let (_, poster) = issued(&dev.admin, &asked).await;
        let previewed = poster.post("/v1/events/preview", &event).await;
        let decisions = previewed.body["notifications"].as_array().unwrap();
        let skipped = decisions.iter().filter(|n| n["decision"] == "skipped").count();
        // A preview with a test key shows what a live one would send.
        assert_eq!(skipped, if kind == "test" { 0 } else { 3 }, "{previewed:?}");

        let accepted = poster.post("/v1/events", &event).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let id = accepted.body["event_id"].as_str().unwrap();
        dev.settled(id).await;
        let deliveries = dev.deliveries(id).await;
        assert_eq!(deliveries.len(), 6, "{deliveries:?}");
        for delivery in deliveries {
            let wanted = if delivery["recipient_id"] == "ada" { ada } else { bo };
            let channel = delivery["channel"].as_str().unwrap();
            let (state, reason) = wanted.split_once(' ').unwrap();
            let delivery = dev.delivery_to(id, &delivery["recipient_id"], channel, state).await;
            assert_eq!(delivery["reason"].as_str().unwrap_or_default(), reason, "{kind}: {delivery}");
        }
    }
    let told: Vec<String> = dev.outbox().await.iter().map(|m| m["to"].to_string()).collect();
    assert!(
        !told.is_empty() && told.iter().all(|to| !to.contains("ada") && !to.contains("0101")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_and_changed_by_the_platform_alone() {
    let dev = Dev::start().await;
    let acme = json!({"name": "Acme", "locale": "pt-BR", "time_zone": "America/Sao_Paulo", "region": "BR"});
    assert_eq!(dev.admin.get("/v1/tenants/acme").await.status, 404);
    assert_eq!(dev.admin.put("/v1/tenants/acme", &acme).await.status, 201);
    let mut stored = acme.clone();
    stored["id"] = json!("acme");
    assert_eq!(dev.admin.get("/v1/tenants/acme").await.body, stored);

    let asked = json!({"name": "k", "kind": "live", "scopes": ["read", "manage"], "tenant": "acme"});
    let (_, theirs) = issued(&dev.admin, &asked).await;
    let ada = theirs.put("/v1/recipients/ada", &json!({"name": "Ada", "phone": "11 96123-4567"})).await;
    assert_eq!(ada.body["phone"], "+5511961234567", "read in the region of the tenant: {ada:?}");
    assert_eq!(theirs.put("/v1/tenants/acme", &acme).await.status, 403);
    assert_eq!(theirs.get("/v1/tenants/acme").await.status, 403);

    let mut moved = acme.clone();
    moved["time_zone"] = json!("America/Recife");
    assert_eq!(dev.admin.put("/v1/tenants/acme", &moved).await.status, 200);
    assert_eq!(dev.admin.get("/v1/tenants/acme").await.body["time_zone"], "America/Recife");

    for (field, value) in [
        ("name", ""),
        ("locale", "Brazilian"),
        ("time_zone", "Sao Paulo"),
        ("region", "XX"),
        ("rigeon", "BR"),
    ] {
        let mut wrong = acme.clone();
        wrong[field] = json!(value);
        refused(&dev.admin.put("/v1/tenants/acme", &wrong).await, 422, &[&format!("/{field}")]);
    }
    assert_eq!(dev.admin.put("/v1/tenants/ACME", &acme).await.status, 422);
    assert_eq!(dev.admin.get("/v1/tenants/acme").await.body["time_zone"], "America/Recife");
}

/// A pack with one of each.
fn pack() -> Value {
    json!({
        "name": "shop", "title": "A shop",
        "groups": [{"name": "Sales Team", "description": "Who sells"}],
        "templates": {"order": order_template()},
        "routes": {"order.created": {
            "audience": {"groups": ["Sales Team"]}, "template": "order", "channels": ["email", "in_app"]
        }},
    })
}

fn one_of_each() -> Value {
    json!({
        "groups": ["Sales Team"], "templates": ["order"], "routes": ["order.created"], "settings": [],
        "reminder_policies": [], "schedules": []
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_applied_twice_changes_nothing_the_second_time() {
    let dev = Dev::start().await;
    let nothing = json!({
        "groups": [], "templates": [], "routes": [], "settings": [], "reminder_policies": [], "schedules": []
    });
    let dry = dev.admin.put("/v1/packs/shop?dry_run=true", &pack()).await;
    assert_eq!((dry.status, &dry.body["created"], &dry.body["dry_run"]), (200, &one_of_each(), &json!(true)));
    for list in ["groups", "templates", "routes"] {
        assert_eq!(dev.admin.get(&format!("/v1/{list}")).await.body["items"], json!([]), "{list}");
    }

    let first = dev.admin.put("/v1/packs/shop", &pack()).await;
    assert_eq!(
        first.body,
        json!({
            "name": "shop", "dry_run": false, "created": one_of_each(), "updated": nothing, "unchanged": nothing,
            "differences": []
        })
    );
    assert_eq!(dev.admin.put("/v1/recipients/ada", &json!({"name": "Ada"})).await.status, 201);
    let member = dev.admin.put("/v1/groups/Sales%20Team/members/ada", &json!({})).await;
    assert_eq!(member.status, 201);

    let second = dev.admin.put("/v1/packs/shop", &pack()).await;
    assert_eq!(
        (&second.body["unchanged"], &second.body["created"]),
        (&one_of_each(), &nothing),
        "{second:?}"
    );
    let versions = dev.admin.get("/v1/templates/order/versions").await.body["items"].clone();
    assert_eq!(versions.as_array().unwrap().len(), 1, "{versions}");

    let mut changed = pack();
    changed["groups"][0]["description"] = json!("Who sells today");
    changed["templates"]["order"]["locales"]["en"]["in_app"]["title"] = json!("News");
    changed["routes"]["order.created"]["priority"] = json!("high");
    let dry = dev.admin.put("/v1/packs/shop?dry_run=true", &changed).await;
    let third = dev.admin.put("/v1/packs/shop", &changed).await;
    for answer in [&dry, &third] {
        assert_eq!(answer.body["updated"], one_of_each(), "{answer:?}");
        assert_eq!(
            answer.body["differences"],
            json!([
                "/groups/0/description",
                "/templates/order/locales/en/in_app/title",
                "/routes/order.created/priority"
            ])
        );
    }
    let group = dev.admin.get("/v1/groups/Sales%20Team").await.body;
    assert_eq!((&group["description"], &group["member_count"]), (&json!("Who sells today"), &json!(1)));
    let template = dev.admin.get("/v1/templates/order").await.body;
    assert_eq!((&template["version"], &template["status"]), (&json!(2), &json!("published")));
    assert_eq!(dev.admin.get("/v1/routes/order.created").await.body["priority"], "high");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_replaces_a_draft_and_a_rolled_back_version_with_its_own_words() {
    let dev = Dev::start().await;
    assert_eq!(dev.admin.put("/v1/templates/order", &order_template()).await.status, 201);
    let over_a_draft = dev.admin.put("/v1/packs/shop", &pack()).await;
    assert_eq!(over_a_draft.body["updated"]["templates"], json!(["order"]));
    assert_eq!(over_a_draft.body["differences"], json!(["/templates/order"]));
    assert_eq!(dev.admin.get("/v1/templates/order").await.body["published"], 1);

    let mut other = order_template();
    other["locales"]["en"]["in_app"]["title"] = json!("Other words");
    assert_eq!(dev.admin.put("/v1/templates/order?publish=true", &other).await.body["version"], 2);
    let again = dev.admin.put("/v1/packs/shop", &pack()).await;
    assert_eq!(again.body["updated"]["templates"], json!(["order"]));
    assert_eq!(dev.admin.get("/v1/templates/order").await.body["published"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_with_a_fault_changes_nothing_and_every_fault_is_pointed_at() {
    let dev = Dev::start().await;
    let mut pack = pack();
    pack["groups"] = json!([{"name": "Sales Team"}, {"name": "Sales Team"}]);
    pack["templates"]["torn"] = json!({"locales": {"en": {"in_app": {"title": "{{ data.", "body": "b"}}}});
    pack["templates"]["old"] = json!({"locales": {"en": {"in_app": {"title": "t"}}}});
    pack["templates"]["a/b"] = order_template();
    pack["routes"] = json!({
        "good": {"template": "order", "channels": ["email"]},
        "no.template": {"template": "nowhere", "channels": ["email"]},
        "no.part": {"template": "torn", "channels": ["email"]},
        "of.a.bad.template": {"template": "old", "channels": ["email"]},
        "typo": {"template": "order", "chanels": ["email"]},
        "bad when": {"template": "order", "channels": ["email"], "when": "data. >"},
    });
    for query in ["", "?dry_run=true"] {
        let answer = dev.admin.put(&format!("/v1/packs/shop{query}"), &pack).await;
        refused(
            &answer,
            422,
            &[
                "/groups/1/name",
                "/templates/a~1b",
                "/templates/old/locales/en/in_app/body",
                "/routes/bad when",
                "/routes/typo/channels",
                "/routes/typo/chanels",
                "/templates/torn/locales/en/in_app/title",
                "/routes/no.part/channels",
                "/routes/no.template/template",
            ],
        );
    }
    for list in ["groups", "templates", "routes"] {
        assert_eq!(dev.admin.get(&format!("/v1/{list}")).await.body["items"], json!([]), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_of_a_pack_may_use_a_template_that_was_published_before() {
    let dev = Dev::start().await;
    assert_eq!(dev.admin.put("/v1/templates/order?publish=true", &order_template()).await.status, 201);
    let route = json!({"template": "order", "channels": ["email"]});
    let small = json!({"name": "small", "routes": {"order.paid": route}});
    let applied = dev.admin.put("/v1/packs/small", &small).await;
    assert_eq!(applied.body["created"]["routes"], json!(["order.paid"]), "{applied:?}");

    refused(&dev.admin.put("/v1/packs/other", &small).await, 422, &["/name"]);
    refused(&dev.admin.put("/v1/packs/Small", &small).await, 422, &[""]);
    refused(
        &dev.admin.put("/v1/packs/small", &json!({"name": "small", "samples": []})).await,
        422,
        &["/samples"],
    );
    assert_eq!(dev.producer.put("/v1/packs/small", &small).await.status, 403);
    assert_eq!(dev.admin.put("/v1/packs/small?dry=true", &small).await.status, 400);
}
