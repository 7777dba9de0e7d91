//! The path that a messaging platform's notices about itself walk, on the pack `messaging`: a check that fails and a problem
//! that is reported reach the administrators with their severity; nobody and nothing is without a tenant. E14-E19, E25, E26.

use carillon_tests::command::{run, run_json, run_with};
use carillon_tests::{Client, Dev};
use serde_json::{Value, json};

const ADMINS: [&str; 2] = ["noor", "pavel"];

async fn platform() -> Dev {
    let dev = Dev::start().await;
    dev.with_pack("messaging", &people()).await;
    dev
}

/// Two administrators, and a user who is none.
fn people() -> Vec<Value> {
    let person = |id: &str, groups: &[&str]| json!({"id": id, "name": id, "email": format!("{id}@example.com"), "groups": groups});
    vec![person("noor", &["Platform Admins"]), person("pavel", &["Platform Admins"]), person("una", &[])]
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

async fn feed(client: &Client, recipient: &str) -> Vec<Value> {
    let list = client.get(&format!("/v1/inbox?recipient={recipient}")).await;
    list.body["items"].as_array().cloned().unwrap_or_default()
}

/// What a check would post: each kind of trouble with its threshold as the pack says it, its usual severity and, where it
/// is worse than usual, the priority that it brings.
fn checks() -> Vec<(Value, &'static str, &'static str)> {
    let event = |event_type: &str, data: Value| json!({"type": event_type, "source": "health", "data": data});
    let critical = |mut event: Value| {
        event["priority"] = json!("critical");
        event
    };
    let since = "20 November 2026, 09:00 UTC";
    vec![
        (
            event(
                "system.service_degraded",
                json!({"severity": "warning", "service": "SMS Service", "success_rate": 50, "threshold": 80, "since": since}),
            ),
            "SMS Service: 50 % success rate (below the 80 % threshold)",
            "normal",
        ),
        (
            critical(event(
                "system.service_degraded",
                json!({"severity": "critical", "service": "WhatsApp", "failed_count": 51, "threshold": 50, "since": since}),
            )),
            "WhatsApp: 51 failed messages in 24 hours (above the limit of 50)",
            "critical",
        ),
        (
            event(
                "system.credits_low",
                json!({"severity": "warning", "tenant_count": 32, "limit": "fewer than 100 credits", "since": since}),
            ),
            "32 tenants have low credits",
            "normal",
        ),
        (
            event(
                "system.database_problem",
                json!({"severity": "critical", "problem": "no connection for 2 minutes", "since": since}),
            ),
            "Database: no connection for 2 minutes",
            "critical",
        ),
        (
            event(
                "system.delivery_problem",
                json!({"severity": "warning", "service": "WhatsApp", "stuck_count": 11, "threshold": 10, "stuck_after_minutes": 15, "since": since}),
            ),
            "WhatsApp: 11 stuck messages (above the limit of 10)",
            "normal",
        ),
        (
            event(
                "system.users_inactive",
                json!({"severity": "info", "inactive_rate": 71, "inactive_count": 142, "user_count": 200, "days": 30, "threshold": 70}),
            ),
            "71 % of users inactive for 30+ days (above the 70 % threshold)",
            "low",
        ),
        (
            event(
                "system.maintenance",
                json!({"severity": "info", "window": "22 November 2026, 02:00 UTC", "detail": "A new version."}),
            ),
            "Maintenance: 22 November 2026, 02:00 UTC",
            "low",
        ),
    ]
}

/// E14, E15, E16, E17, E18: when a check fails, its producer posts what it found; each administrator has a notice of it in the feed and
/// by mail, with the threshold in its words, the severity and the priority that goes with it; nobody else has.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_becomes_a_notice_to_every_administrator() {
    let dev = platform().await;
    for (event, title, priority) in checks() {
        let id = dev.post_settled(&event).await;
        for admin in ADMINS {
            dev.delivery_to(&id, &json!(admin), "in_app", "delivered").await;
            dev.delivery_to(&id, &json!(admin), "email", "delivered").await;
            let notice = feed(&dev.admin, admin).await.remove(0);
            assert_eq!(
                (text(&notice, "title").as_str(), text(&notice, "priority").as_str()),
                (title, priority)
            );
            assert_eq!(notice["type"], event["type"]);
            assert!(text(&notice, "body").contains(&text(&event["data"], "severity")), "{notice}");
        }
        assert_eq!(dev.deliveries(&id).await.len(), 2 * ADMINS.len());
    }
    assert_eq!(feed(&dev.admin, "una").await, Vec::<Value>::new());
    let outbox = dev.outbox().await;
    let subjects: Vec<String> =
        outbox.iter().filter(|m| m["to"] == "noor@example.com").map(|m| text(m, "subject")).collect();
    for (_, title, _) in checks() {
        assert!(subjects.iter().any(|subject| subject == title), "{title} in {subjects:?}");
    }
}

/// E19: a problem that an administrator reports by hand is told to all administrators, also to the one who did.
#[tokio::test(flavor = "multi_thread")]
async fn a_problem_that_is_reported_is_told_to_all_administrators() {
    let dev = platform().await;
    let data = json!({"severity": "critical", "title": "Imports hang", "detail": "They stop at 40 %.", "reported_by": "noor"});
    let command = ["send", "system.problem_reported", "--data", &data.to_string(), "--wait"];
    let (code, sent) = run_json(&dev, &command).await;
    assert_eq!((code, sent["deliveries"].as_array().map(Vec::len)), (Some(0), Some(4)), "{sent}");
    for admin in ADMINS {
        let notice = feed(&dev.admin, admin).await.remove(0);
        assert_eq!(
            (text(&notice, "title").as_str(), &notice["priority"]),
            ("Problem reported: Imports hang", &json!("high"))
        );
        assert!(
            text(&notice, "body").contains("They stop at 40 %.") && text(&notice, "body").contains("noor")
        );
    }
    assert_eq!(feed(&dev.admin, "una").await, Vec::<Value>::new());
}

/// E25: people, groups, events, notices and keys belong to the tenant whose key made them; without a tenant there is none.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_no_notice_is_without_a_tenant() {
    let dev = platform().await;
    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    let theirs = dev.admin.with_key(&other.admin_key);
    assert_eq!(run_with(&dev, &other.admin_key, &["apply", "messaging"], "").await.code, Some(0));
    let una = json!({"name": "Another Una", "email": "una@other.example.com"});
    assert_eq!(
        theirs.put("/v1/recipients/una", &una).await.status,
        201,
        "the same id is another person there"
    );
    assert_eq!(theirs.put("/v1/groups/Platform%20Admins/members/una", &json!(null)).await.status, 201);
    let (event, title, _) = checks().remove(0);
    let ours = dev.post_settled(&event).await;
    for list in ["/v1/events", "/v1/deliveries", "/v1/inbox?recipient=una"] {
        assert_eq!(theirs.get(list).await.body["items"], json!([]), "{list}");
    }
    let accepted = theirs.post("/v1/events", &event).await;
    let event_id = text(&accepted.body, "event_id");
    assert_ne!(event_id, ours, "the same source and id of another tenant is another event");
    carillon_tests::until("their own notice", async || {
        let feed = feed(&theirs, "una").await;
        feed.iter().any(|notice| text(notice, "title") == title).then_some(())
    })
    .await;
    assert_eq!(feed(&dev.admin, "una").await, Vec::<Value>::new());
    assert_eq!(dev.admin.get(&format!("/v1/events/{event_id}")).await.status, 404);
    for client in [dev.admin.with_key(""), dev.admin.with_key("ck_live_of_no_tenant")] {
        assert_eq!(client.put("/v1/recipients/una", &una).await.status, 401);
        assert_eq!(client.post("/v1/events", &event).await.status, 401);
    }
    let key = json!({"name": "k", "kind": "live", "scopes": ["read"], "tenant": "nobody"});
    let nowhere = dev.admin.post("/v1/keys", &key).await;
    assert_eq!((nowhere.status, nowhere.pointers()), (422, vec!["/tenant".to_owned()]));
}

/// E26: numbers are stored in one form however they were written; `recipients normalise` reports on all of them, and with
/// a dry run changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_normalised_in_bulk_with_a_report() {
    let dev = platform().await;
    let written = ["(202) 555-0131", "12025550132", "+1 202-555-0133"];
    let person =
        |(i, phone): (usize, &&str)| json!({"id": format!("p-{i}"), "name": "P", "phone": phone}).to_string();
    let lines = written.iter().enumerate().map(person).collect::<Vec<_>>().join("\n");
    let key = dev.cloud.ready().admin_key.clone();
    let imported = run_with(&dev, &key, &["recipients", "import", "-"], &lines).await;
    let all = imported.code == Some(0);
    let stored: Vec<String> = dev.admin.get("/v1/recipients").await.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| text(r, "id").starts_with("p-"))
        .map(|r| text(r, "phone"))
        .collect();
    assert!(all, "{imported:?}");
    assert_eq!(stored, ["+12025550131", "+12025550132", "+12025550133"]);
    let dry = run(&dev, &["recipients", "normalise", "--dry-run"]).await;
    assert_eq!(
        (dry.code, dry.text.as_str()),
        (Some(0), "0 recipients would be changed, 6 unchanged, 0 impossible\n")
    );
    let (code, report) = run_json(&dev, &["recipients", "normalise"]).await;
    assert_eq!((code, &report["changed"], &report["impossible"]), (Some(0), &json!(0), &json!([])));
}
