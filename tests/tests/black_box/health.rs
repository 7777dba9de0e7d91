//! Health that notices by itself: what is wrong with a tenant becomes one problem, of which each admin hears once, and which
//! ends by itself. E3, E4, E7, E9-E12, E14-E19, E27, E29, H35, H50, I23.

use carillon_tests::command::{run, run_json};
use carillon_tests::{Client, Dev, order_template};
use serde_json::{Value, json};

/// More than the five minutes between two runs of sweep-health.
const A_RUN_S: u64 = 301;

/// A cloud whose tenant has two admins, one who is switched off, and a customer who is told of orders on one channel.
async fn watched(channel: &str) -> Dev {
    let dev = Dev::virtual_time().await;
    let admin = json!({"name": "Noor", "email": "noor@example.com", "roles": ["admin"]});
    let second =
        json!({"name": "Pavel", "email": "pavel@example.com", "phone": "+12025550111", "roles": ["admin"]});
    let former = json!({"name": "Mira", "email": "mira@example.com", "roles": ["admin"], "active": false});
    let customer = json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550101"});
    for (id, person) in [("noor", &admin), ("pavel", &second), ("mira", &former), ("ada", &customer)] {
        assert_eq!(dev.admin.put(&format!("/v1/recipients/{id}"), person).await.status, 201);
    }
    assert_eq!(dev.admin.put("/v1/templates/order?publish=true", &order_template()).await.status, 201);
    let route = json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": [channel]});
    assert_eq!(dev.admin.put("/v1/routes/order.created", &route).await.status, 201);
    dev
}

async fn faults(dev: &Dev, faults: &Value) {
    assert_eq!(dev.admin.post("/dev/faults", faults).await.status, 200);
}

async fn post(dev: &Dev, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let event = json!({"type": "order.created", "data": {"number": number.to_string()}});
        let accepted = dev.producer.post("/v1/events", &event).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        ids.push(accepted.body["event_id"].as_str().unwrap().to_owned());
    }
    dev.advance(0).await;
    ids
}

async fn problems(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/system/problems").await;
    assert_eq!(list.status, 200, "{list:?}");
    list.body["items"].as_array().unwrap().clone()
}

async fn problem(dev: &Dev, check: &str) -> Value {
    let all = problems(&dev.admin).await;
    let of_check: Vec<&Value> = all.iter().filter(|problem| problem["check"] == check).collect();
    assert_eq!(of_check.len(), 1, "{check}: {all:?}");
    of_check[0].clone()
}

/// A check as `GET /v1/system/health` shows it.
async fn check(dev: &Dev, name: &str) -> Value {
    let health = dev.admin.get("/v1/system/health").await;
    assert_eq!(health.status, 200, "{health:?}");
    let checks = health.body["checks"].as_array().unwrap().clone();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .cloned()
        .unwrap_or_else(|| panic!("no {name}: {checks:?}"))
}

/// What an admin has heard about problems of a check: event type and text, the newest first.
async fn heard(dev: &Dev, who: &str, check: &str) -> Vec<String> {
    let feed = dev.admin.get(&format!("/v1/inbox?recipient={who}&origin=system&limit=200")).await.body;
    let all = problems(&dev.admin).await;
    let titles: Vec<&str> =
        all.iter().filter(|p| p["check"] == check).filter_map(|p| p["history"][0]["text"].as_str()).collect();
    let items = feed["items"].as_array().unwrap().iter();
    let about = |item: &&Value| titles.iter().any(|title| item["title"].as_str().unwrap().ends_with(title));
    items.filter(about).map(|item| item["type"].as_str().unwrap().to_owned()).collect()
}

async fn mails_to(dev: &Dev, address: &str) -> usize {
    let all = dev.outbox().await;
    all.iter().filter(|mail| mail["channel"] == "email" && mail["to"].to_string().contains(address)).count()
}

/// E10, E14, E16, E27, E29, H35, I23: a check that fails for a day is one problem and one notice to each active admin, in the
/// feed and by mail, however often it is looked at; it ends by itself, and that is told too.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_for_a_day_is_one_problem_and_one_notice_for_each_admin() {
    let dev = watched("whatsapp").await;
    let settings = json!({"thresholds": {"success_rate_s": 86_400}});
    assert_eq!(dev.admin.put("/v1/system/settings", &settings).await.status, 200);
    post(&dev, 2).await;
    faults(&dev, &json!({"whatsapp": {"refuse": {"code": 131_026, "rate": 1.0}}})).await;
    post(&dev, 2).await;
    for _ in 0..24 {
        dev.advance(A_RUN_S).await;
        let ran = dev.admin.post("/v1/system/sweeps/sweep-health/run", &json!({})).await;
        assert_eq!((ran.status, &ran.body["open"]), (200, &json!(1)), "{ran:?}");
    }
    dev.advance(20 * 3_600).await;
    let open = problem(&dev, "success_rate").await;
    let text = "WhatsApp: 50% success rate (below 80% threshold)";
    assert_eq!(
        (&open["state"], &open["severity"], &open["title"]),
        (&json!("open"), &json!("warning"), &json!(text))
    );
    let shown = check(&dev, "success_rate").await;
    assert_eq!((&shown["text"], &shown["problem_id"]), (&json!(text), &open["id"]));
    for (who, notices) in [
        ("noor", vec!["system.problem_opened"]),
        ("pavel", vec!["system.problem_opened"]),
        ("mira", vec![]),
        ("ada", vec![]),
    ] {
        assert_eq!(heard(&dev, who, "success_rate").await, notices, "{who}");
    }
    assert_eq!((mails_to(&dev, "noor@example.com").await, mails_to(&dev, "mira@example.com").await), (1, 0));
    // What failed lies more than a day back.
    dev.advance(4 * 3_600).await;
    let over = problem(&dev, "success_rate").await;
    assert_eq!((&over["state"], &over["id"]), (&json!("resolved"), &open["id"]), "{over}");
    assert_eq!(
        heard(&dev, "noor", "success_rate").await,
        ["system.problem_resolved", "system.problem_opened"]
    );
    assert_eq!(mails_to(&dev, "noor@example.com").await, 2);
}

/// E10, E15, E18, I23: a provider that stops for ten minutes is a critical problem of its own, told by the channel that still
/// works; its messages wait, and go once when it is back; then the problem is over, and nothing is lost or repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_stops_for_ten_minutes_is_a_problem_that_ends_and_no_message_is_lost() {
    let dev = watched("email").await;
    // What is tried for as long as this waits for such a stop to end.
    let retry = json!({"retry": {"email": {"tries": 10, "base_ms": 60_000, "factor": 2, "cap_ms": 300_000}}});
    assert_eq!(dev.admin.put("/v1/system/settings", &retry).await.status, 200);
    let before = post(&dev, 2).await;
    dev.advance(A_RUN_S).await;
    assert_eq!(problems(&dev.admin).await, Vec::<Value>::new());
    faults(&dev, &json!({"email": {"down": true}})).await;
    let during = post(&dev, 6).await;
    dev.advance(600).await;
    let open = problem(&dev, "provider").await;
    assert_eq!(
        (&open["state"], &open["severity"], &open["channel"]),
        (&json!("open"), &json!("critical"), &json!("email")),
        "{open}"
    );
    for admin in ["noor", "pavel"] {
        assert_eq!(heard(&dev, admin, "provider").await, ["system.problem_opened"]);
    }
    for id in &during {
        assert_eq!(dev.deliveries(id).await[0]["state"], "retrying");
    }
    faults(&dev, &json!({})).await;
    dev.advance(3_600).await;
    let over = problem(&dev, "provider").await;
    assert_eq!((&over["state"], &over["id"]), (&json!("resolved"), &open["id"]), "{over}");
    assert_eq!(heard(&dev, "noor", "provider").await, ["system.problem_resolved", "system.problem_opened"]);
    for id in before.iter().chain(&during) {
        assert_eq!(dev.deliveries(id).await[0]["state"], "delivered");
    }
    assert_eq!(mails_to(&dev, "ada@example.com").await, before.len() + during.len());
    // While mail did not go, nobody was to be told by mail: the opening is in no mailbox, its end may be.
    let openings = dev
        .admin
        .get("/v1/deliveries?event_type=system.problem_opened&channel=email&from=2026-11-20T09:00:00Z")
        .await
        .body;
    assert_eq!(openings["items"], json!([]), "{openings}");
}

/// E11, E16, E27, E29: credits have two rules with names of their own; what becomes worse is told once more, and the
/// platform sees how many tenants are low.
#[tokio::test(flavor = "multi_thread")]
async fn low_credits_are_two_problems_and_the_platform_sees_how_many_tenants_have_them() {
    let dev = watched("email").await;
    let credits = async |balance: i64| {
        let body = json!({"unit": "messages", "balance": balance, "allowance": 1_000});
        assert_eq!(dev.admin.put("/v1/system/credits", &body).await.status, 200);
        dev.advance(A_RUN_S).await;
    };
    credits(200).await;
    let share = problem(&dev, "credits_share").await;
    assert_eq!(
        (&share["severity"], &share["title"]),
        (&json!("warning"), &json!("Credits: 20% of the allowance left (the limit is 25%)"))
    );
    credits(90).await;
    let share = problem(&dev, "credits_share").await;
    assert_eq!((&share["severity"], &share["history"][1]["what"]), (&json!("critical"), &json!("worsened")));
    assert_eq!(
        heard(&dev, "noor", "credits_share").await,
        ["system.problem_worsened", "system.problem_opened"]
    );
    assert_eq!(problem(&dev, "credits_left").await["title"], "Credits: 90 left (fewer than 100)");
    assert_eq!(check(&dev, "tenants_low_on_credits").await["text"], "1 tenant has low credits");
    credits(1_000).await;
    for name in ["credits_share", "credits_left"] {
        assert_eq!(problem(&dev, name).await["state"], "resolved");
    }
}

/// E3, E4, E19: an admin reports a problem, at the path of the system before too; all admins are told, it is listed, and it
/// is resolved by hand, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_reported_problem_is_told_to_all_admins_and_resolved_by_hand() {
    let dev = watched("email").await;
    let report = json!({"title": "Mails look broken", "detail": "In the dark theme.", "severity": "warning"});
    for (n, path) in
        ["/v1/system/problems", "/api/notifications/system/report-problem/"].into_iter().enumerate()
    {
        let reported = dev.admin.post(path, &report).await;
        assert_eq!((reported.status, &reported.body["state"]), (201, &json!("open")), "{reported:?}");
        dev.advance(0).await;
        for admin in ["noor", "pavel"] {
            let feed = dev.admin.get(&format!("/v1/inbox?recipient={admin}&origin=system")).await.body;
            assert_eq!(feed["items"].as_array().unwrap().len(), 2 * n + 1, "{feed}");
            assert_eq!(feed["items"][0]["title"], "Mails look broken");
            assert!(feed["items"][0]["body"].as_str().unwrap().contains("In the dark theme."), "{feed}");
        }
        let resolve = format!("/v1/system/problems/{}/resolve", reported.body["id"].as_str().unwrap());
        dev.advance(A_RUN_S).await;
        assert_eq!(problems(&dev.admin).await[0]["state"], "open", "no run ends what somebody reported");
        let resolved = dev.admin.post(&resolve, &json!({})).await;
        assert_eq!((resolved.status, &resolved.body["state"]), (200, &json!("resolved")), "{resolved:?}");
        assert_eq!(dev.admin.post(&resolve, &json!({})).await.status, 409);
        dev.advance(1).await;
    }
    assert_eq!(dev.admin.post("/v1/system/problems/none/resolve", &json!({})).await.status, 404);
    assert_eq!(dev.producer.post("/v1/system/problems", &report).await.status, 403);
    let wrong = dev.admin.post("/v1/system/problems", &json!({"title": " ", "severity": "ok"})).await;
    assert_eq!((wrong.status, wrong.pointers()), (422, vec!["/title".to_owned(), "/severity".to_owned()]));
}

/// E3, E7, E9, E12, H50: each check says how it is, at the path of the system before too, and the command shows it.
#[tokio::test(flavor = "multi_thread")]
async fn the_checks_are_shown_by_the_api_and_by_the_command() {
    let dev = watched("email").await;
    post(&dev, 3).await;
    let health = dev.admin.get("/v1/system/health").await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("ok")), "{health:?}");
    assert_eq!(dev.producer.get("/api/notifications/system/health-check/").await.body["status"], "ok");
    for (name, text) in [
        ("success_rate", "Email: 100% success rate"),
        ("failed", "0 failed messages in 24 hours"),
        ("stuck", "0 stuck messages, pending or sending for over 15 minutes"),
        ("queue", "Email: 0 messages on the queue"),
        ("dead_letters", "0 dead letters"),
        ("sweeps", "Sweeps: run as they should"),
    ] {
        assert_eq!(check(&dev, name).await["text"], text);
    }
    assert!(check(&dev, "database").await["text"].as_str().unwrap().starts_with("Database: answers in "));
    let told = run(&dev, &["health", "--verbose"]).await;
    assert_eq!(told.code, Some(0), "{}{}", told.text, told.complaint);
    assert!(told.text.contains("Email: 100% success rate"), "{}", told.text);
    faults(&dev, &json!({"email": {"refuse": {"code": "MessageRejected", "rate": 1.0}}})).await;
    post(&dev, 60).await;
    dev.advance(A_RUN_S).await;
    let (code, shown) = run_json(&dev, &["health"]).await;
    assert_eq!((code, &shown["health"]["status"]), (Some(1), &json!("critical")), "{shown}");
    assert_eq!(
        problem(&dev, "failed").await["title"],
        "60 failed messages in 24 hours (above the limit of 50): Email 60"
    );
}

/// E29: a tenant changes its thresholds one by one.
#[tokio::test(flavor = "multi_thread")]
async fn thresholds_are_settings_that_are_merged() {
    let dev = watched("email").await;
    let put = async |thresholds: Value| {
        dev.admin.put("/v1/system/settings", &json!({"thresholds": thresholds})).await
    };
    assert_eq!(put(json!({"failed": 5})).await.status, 200);
    let both = put(json!({"stuck_after_s": 600})).await.body["thresholds"].clone();
    assert_eq!(
        (&both["failed"], &both["stuck_after_s"], &both["success_rate_percent"]),
        (&json!(5), &json!(600), &json!(80))
    );
    assert_eq!(put(json!({"failed": -1, "typo": 1})).await.status, 422);
    assert_eq!(
        put(json!({"success_rate_percent": 101})).await.pointers(),
        ["/thresholds/success_rate_percent"]
    );
}
