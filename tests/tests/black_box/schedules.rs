//! What runs by the clock: the deployment's own schedules and a tenant's, when they run next, what they plan, and what is
//! said when they do not run. R14-R17, R29-R31.

use carillon_domain::Timestamp;
use carillon_tests::command::{run, run_json};
use carillon_tests::{Answer, Dev, until};
use serde_json::{Value, json};

const PATH: &str = "/v1/system/schedules";

async fn shown(dev: &Dev) -> Vec<Value> {
    let answer = dev.admin.get(PATH).await;
    assert_eq!((answer.status, &answer.body["running"]), (200, &json!(true)), "{answer:?}");
    answer.body["items"].as_array().unwrap().clone()
}

async fn named(dev: &Dev, name: &str) -> Value {
    let items = shown(dev).await;
    items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{name} in {items:?}")).clone()
}

async fn put(dev: &Dev, name: &str, body: &Value) -> Answer {
    dev.admin.put(&format!("{PATH}/{name}"), body).await
}

/// A person, words for them, and a policy that reminds two hours before.
async fn with_a_policy(dev: &Dev) {
    dev.with_an_order_route().await;
    let reminders = json!([{
        "kind": "soon", "offset": "-2h", "template": "order", "channels": ["email"], "category": "reminder"
    }, {
        "kind": "late", "offset": "+1h", "template": "order", "channels": ["email"], "category": "reminder",
        "expires_after_s": 7_200
    }]);
    let policy = json!({"classes": {"short": {"up_to_s": 86_400}, "long": {}}, "reminders": reminders});
    let put = dev.admin.put("/v1/reminder-policies/loan", &policy).await;
    assert_eq!(put.status, 201, "{put:?}");
}

async fn deadline(dev: &Dev, id: &str, due_at: &str) {
    let body = json!({
        "policy": "loan", "recipients": {"ids": ["ada"]}, "due_at": due_at, "data": {"number": id}
    });
    let put = dev.admin.put(&format!("/v1/deadlines/{id}"), &body).await;
    assert_eq!(put.status, 201, "{put:?}");
}

/// What was received by email: the subject and the instant.
async fn received(dev: &Dev) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    dev.outbox().await.iter().map(|item| (text(&item["subject"]), text(&item["received_at"]))).collect()
}

fn mail((number, at): (&str, &str)) -> (String, String) {
    (format!("Order {number}"), at.to_owned())
}

/// R29: every job is listed with its last and its next runs, and whether it runs; in UTC, whatever its zone.
#[tokio::test(flavor = "multi_thread")]
async fn every_schedule_is_listed_with_its_last_and_its_next_runs_r29() {
    let dev = Dev::virtual_time().await;
    let weekly = json!({"sweep": "sweep-reminders", "classes": ["short"], "cadence": "weekly mon 08:00", "time_zone": "Europe/Paris"});
    let made = put(&dev, "weekly", &weekly).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["next_runs"][0], "2026-11-23T07:00:00Z");
    assert_eq!(put(&dev, "weekly", &weekly).await.status, 200);
    dev.advance(3_600).await;
    let names: Vec<Value> = shown(&dev).await.iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["sweep-cleanup", "sweep-due", "sweep-health", "sweep-reminders", "weekly"]);
    let own = named(&dev, "sweep-reminders").await;
    assert_eq!(own["last_run_at"], "2026-11-20T10:00:00Z");
    assert_eq!(
        own["next_runs"],
        json!(["2026-11-20T10:15:00Z", "2026-11-20T10:30:00Z", "2026-11-20T10:45:00Z"])
    );
    assert_eq!((&own["deployment"], &own["fault"]), (&json!(true), &Value::Null));
    // It made good what the weekly one has never done.
    let weekly = named(&dev, "weekly").await;
    assert_eq!((&weekly["watermark_at"], &weekly["fault"]), (&json!("2026-11-23T07:45:00Z"), &Value::Null));
    assert_eq!(dev.admin.delete(&format!("{PATH}/weekly")).await.status, 204);
    assert_eq!(dev.admin.delete(&format!("{PATH}/weekly")).await.status, 404);
    assert_eq!(shown(&dev).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_cannot_run_is_refused_with_what_is_allowed() {
    let dev = Dev::virtual_time().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({"sweep": "sweep-reminders", "cadence": "30m"});
        body[field] = value;
        body
    };
    for (body, pointer, says) in [
        (with("cadence", json!("7m")), "/cadence", "minutes are 1, 2, 3"),
        (with("cadence", json!("61 * * * *")), "/cadence", "is no minute"),
        (with("cadence", json!("hourly")), "/cadence", "daily 02:00"),
        (with("time_zone", json!("Paris")), "/time_zone", "Europe/Paris"),
        (with("sweep", json!("sweep-everything")), "/sweep", "sweep-reminders"),
        (with("classes", json!([])), "/classes", "leave it out"),
        (with("cadense", json!("30m")), "/cadense", "unknown field"),
        (json!({"sweep": "sweep-reminders"}), "/cadence", "missing"),
        (json!({"sweep": "sweep-due", "cadence": "5m", "classes": ["short"]}), "/classes", "only"),
    ] {
        let refused = put(&dev, "mine", &body).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{refused:?}");
        assert!(refused.body["errors"][0]["detail"].as_str().unwrap().contains(says), "{refused:?}");
    }
    let good = json!({"sweep": "sweep-reminders", "cadence": "30m"});
    assert_eq!(put(&dev, "sweep-due", &good).await.status, 409);
    assert_eq!(put(&dev, "a%20b", &good).await.status, 422);
    let unknown = dev.admin.post("/v1/system/sweeps/sweep-everything/run", &json!({})).await;
    assert_eq!(unknown.status, 422);
    assert!(unknown.body.to_string().contains("sweep-due, sweep-reminders"), "{unknown:?}");
    assert_eq!(dev.producer.put(&format!("{PATH}/mine"), &good).await.status, 403);
    assert_eq!(dev.producer.post("/v1/system/sweeps/sweep-due/run", &json!({})).await.status, 403);
}

/// R14, R15, R17: however coarse the jobs are, and whatever is changed about them, each reminder goes out in its own minute,
/// once.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_goes_out_in_its_minute_whatever_its_schedule_r14_r15_r17() {
    let dev = Dev::virtual_time().await;
    with_a_policy(&dev).await;
    let half_daily = json!({"sweep": "sweep-reminders", "classes": ["short", "long"], "cadence": "12h"});
    assert_eq!(put(&dev, "half-daily", &half_daily).await.status, 201);
    // Between two runs, and beyond the next.
    deadline(&dev, "1", "2026-11-20T19:07:00Z").await;
    deadline(&dev, "2", "2026-11-22T11:03:00Z").await;
    dev.advance(9 * 3_600).await;
    let ran = dev.admin.post("/v1/system/sweeps/sweep-reminders/run", &json!({})).await;
    assert_eq!((ran.status, &ran.body["unfinished"]), (200, &json!(false)), "{ran:?}");
    // Finer, then coarser again: nothing is planned twice, and nothing is left out.
    let often = json!({"sweep": "sweep-reminders", "classes": ["long"], "cadence": "1m"});
    assert_eq!(put(&dev, "half-daily", &often).await.status, 200);
    dev.advance(24 * 3_600).await;
    assert_eq!(put(&dev, "half-daily", &half_daily).await.status, 200);
    dev.advance(2 * 24 * 3_600).await;
    let ran = dev.admin.post("/v1/system/sweeps/sweep-due/run", &json!({})).await;
    assert_eq!((ran.status, &ran.body["sweep"]), (200, &json!("sweep-due")), "{ran:?}");
    assert_eq!(
        received(&dev).await,
        [
            ("1", "2026-11-20T17:07:00Z"),
            ("1", "2026-11-20T20:07:00Z"),
            ("2", "2026-11-22T09:03:00Z"),
            ("2", "2026-11-22T12:03:00Z"),
        ]
        .map(mail)
    );
}

/// What a disabled schedule is for stands still, and nothing else; what it missed and is still worth sending goes out when
/// it runs again.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_schedule_plans_nothing_and_enabled_again_makes_good() {
    let dev = Dev::virtual_time().await;
    with_a_policy(&dev).await;
    let mut overdue =
        json!({"sweep": "sweep-reminders", "classes": ["overdue"], "cadence": "15m", "enabled": false});
    assert_eq!(put(&dev, "overdue", &overdue).await.status, 201);
    deadline(&dev, "1", "2026-11-20T19:00:00Z").await;
    dev.advance(12 * 3_600).await;
    assert_eq!(received(&dev).await, [("1", "2026-11-20T17:00:00Z")].map(mail));
    let disabled = named(&dev, "overdue").await;
    assert_eq!((&disabled["fault"], &disabled["next_runs"]), (&json!("disabled"), &json!([])));
    overdue["enabled"] = json!(true);
    assert_eq!(put(&dev, "overdue", &overdue).await.status, 200);
    dev.advance(3_600).await;
    let late = received(&dev).await;
    assert_eq!(late.len(), 2, "{late:?}");
    assert!(late[1].1.as_str() <= "2026-11-20T21:15:00Z", "{late:?}");
}

/// R29, R30: the command lists every job with its next runs as a table and as JSON, and runs one by hand.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_the_schedules_and_runs_one_r29_r30() {
    let dev = Dev::start().await;
    let applied = run(&dev, &["apply", "loans"]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    // The deployment's own run at once, when the cloud has started.
    until("all to run", async || (dev.admin.get(PATH).await.body["running"] == true).then_some(())).await;
    let table = run(&dev, &["schedules"]).await;
    assert_eq!((table.code, table.last_line()), (Some(0), "running"), "{table:?}");
    let lines: Vec<Vec<&str>> = table.text.lines().map(|line| line.split_whitespace().collect()).collect();
    for (name, classes, cadence) in
        [("court-terme", "short", "30m"), ("moyen-terme", "medium", "12h"), ("overdue", "overdue", "15m")]
    {
        let line = lines.iter().find(|line| line[0] == name).unwrap_or_else(|| panic!("{name}: {table:?}"));
        assert_eq!(&line[1..5], ["sweep-reminders", classes, cadence, "ok"]);
    }
    let (code, json) = run_json(&dev, &["schedules", "--run", "sweep-reminders"]).await;
    assert_eq!((code, &json["running"]), (Some(0), &json!(true)), "{json}");
    let items = json["items"].as_array().unwrap();
    for job in ["court-terme", "moyen-terme", "long-terme", "overdue", "cleanup"] {
        assert!(items.iter().any(|item| item["name"] == job), "{job}: {json}");
    }
    let now: Timestamp = dev.admin.get("/dev/clock").await.body["now"].as_str().unwrap().parse().unwrap();
    for item in items {
        let next: Timestamp = item["next_runs"][0].as_str().unwrap().parse().unwrap();
        assert!(next.as_second() >= now.as_second() - 60, "{item}");
        if item["deployment"] == false && item["sweep"] == "sweep-reminders" {
            assert!(item["last_run_at"].is_string(), "{item}");
        }
    }
    assert_eq!(run(&dev, &["schedules", "--run", "nothing"]).await.code, Some(2));
}

/// R31: a job that is disabled is named among the causes of nothing being sent, with what puts it right.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_a_schedule_that_does_not_run_r31() {
    let dev = Dev::start().await;
    until("all to run", async || (dev.admin.get(PATH).await.body["running"] == true).then_some(())).await;
    let off = json!({"sweep": "sweep-reminders", "cadence": "30m", "enabled": false});
    assert_eq!(put(&dev, "mine", &off).await.status, 201);
    let ready = run(&dev, &["ready"]).await;
    assert_eq!(ready.code, Some(1), "{ready:?}");
    let line = ready.text.lines().find(|line| line.contains("schedules")).unwrap();
    assert!(line.starts_with("not ok") && line.contains("schedule disabled: mine"), "{line}");
    assert!(line.contains("PUT /v1/system/schedules/mine"), "{line}");
    assert_eq!(dev.admin.delete(&format!("{PATH}/mine")).await.status, 204);
    let ready = run(&dev, &["ready"]).await;
    let line = ready.text.lines().find(|line| line.contains("schedules")).unwrap();
    assert!(line.starts_with("ok"), "{line}");
}
