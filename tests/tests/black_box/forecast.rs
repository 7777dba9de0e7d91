//! Forecast: what it says on day 0 is what is sent when nothing changes, and what a pack would change is said without
//! applying it. R14-R17.

use std::collections::BTreeSet;

use carillon_tests::command::{run, run_json};
use carillon_tests::{Dev, order_template};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

/// When, to whom, on which channel, in which template.
type Sent = (String, String, String, String);

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

async fn forecast(dev: &Dev, days: u32) -> Vec<Value> {
    let answer = dev.admin.get(&format!("/v1/system/forecast?days={days}")).await;
    assert_eq!((answer.status, &answer.body["truncated"]), (200, &json!(false)), "{answer:?}");
    answer.body["items"].as_array().unwrap().clone()
}

fn sends(items: &[Value]) -> Vec<Sent> {
    let sent = items.iter().filter(|item| item["decision"] == "send");
    let each = |item: &Value| {
        (
            text(item, "at")[..16].to_owned(),
            text(item, "recipient_id"),
            text(item, "channel"),
            text(item, "template"),
        )
    };
    let mut all: Vec<Sent> = sent.map(each).collect();
    all.sort();
    all
}

async fn log(dev: &Dev) -> Vec<Value> {
    let path = "/v1/deliveries?limit=200&from=2026-11-01T00:00:00Z";
    dev.admin.get(path).await.body["items"].as_array().unwrap().clone()
}

/// What was sent of these deliveries.
fn sent(deliveries: &[Value]) -> Vec<Sent> {
    let gone = deliveries.iter().filter(|delivery| delivery["sent_at"].is_string());
    let each = |d: &Value| {
        (
            text(d, "sent_at")[..16].to_owned(),
            text(d, "recipient_id"),
            text(d, "channel"),
            text(d, "template"),
        )
    };
    let mut all: Vec<Sent> = gone.map(each).collect();
    all.sort();
    all
}

/// Loans of every class, to people in two zones, one of whom is not to be disturbed at eight and one of whom refuses a
/// channel; and an event that waits.
async fn with_loans(dev: &Dev) {
    let borrower = |id: &str, last: u32, zone: &str| {
        let (phone, email) = (format!("+120255501{last}"), format!("{id}@example.com"));
        json!({"id": id, "name": id, "phone": phone, "email": email, "locale": "fr", "time_zone": zone})
    };
    let people = [
        borrower("anouk", 60, "Europe/Paris"),
        borrower("hugo", 61, "Europe/Paris"),
        borrower("june", 62, "America/New_York"),
    ];
    dev.with_pack("loans", &people).await;
    let refuses = json!({"channels": {"whatsapp": false}});
    assert_eq!(dev.admin.put("/v1/recipients/hugo/preferences", &refuses).await.status, 200);
    let sleeps = json!({"quiet_hours": {"from": "22:00", "to": "09:30"}});
    assert_eq!(dev.admin.put("/v1/recipients/june/preferences", &sleeps).await.status, 200);
    for (number, due_at, borrowers) in [
        ("EMP-1", "2026-11-20T16:10:00Z", json!(["anouk"])),
        ("EMP-2", "2026-11-23T16:00:00Z", json!(["hugo"])),
        ("EMP-3", "2026-12-01T16:00:00Z", json!(["anouk", "june"])),
    ] {
        let items = json!([{"name": "Caméra", "reference": "CA-1"}]);
        let loan = json!({
            "policy": "loan", "recipients": {"ids": borrowers}, "starts_at": "2026-11-20T09:00:00Z", "due_at": due_at,
            "data": {"loan_number": number, "contact": "materiel@example.com", "items": items}
        });
        let put = dev.admin.put(&format!("/v1/deadlines/{number}"), &loan).await;
        assert_eq!(put.status, 201, "{put:?}");
    }
    assert_eq!(dev.admin.put("/v1/templates/order?publish=true", &order_template()).await.status, 201);
    let event = json!({
        "type": "order.created", "template": "order", "channels": ["email"], "data": {"number": "1"},
        "recipients": {"ids": ["anouk"]}, "deliver_at": "2026-11-22T12:34:00Z"
    });
    assert_eq!(dev.producer.post("/v1/events", &event).await.status, 202);
    dev.advance(0).await;
}

/// R14, R15, R16, R17: what a forecast says on day 0 is what is sent over twelve days: each reminder to each borrower on
/// each channel in its minute, after quiet hours, and what is skipped with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreseen_on_day_0_is_what_is_sent() {
    let dev = Dev::virtual_time().await;
    with_loans(&dev).await;
    let before: BTreeSet<String> =
        log(&dev).await.iter().filter(|d| d["sent_at"].is_string()).map(|d| text(d, "id")).collect();
    let foreseen = forecast(&dev, 12).await;
    assert_eq!(forecast(&dev, 12).await, foreseen, "looking ahead changes nothing");
    assert!(sends(&foreseen).len() >= 15, "{foreseen:#?}");
    dev.advance(12 * DAY).await;
    let since: Vec<Value> =
        log(&dev).await.into_iter().filter(|d| !before.contains(&text(d, "id"))).collect();
    assert_eq!(sends(&foreseen), sent(&since));
    let why = |items: &[Value], state: &str| {
        let skipped =
            items.iter().filter(|item| item[state] == "skipped" && item["template"] != "loan_created");
        let mut each: Vec<_> = skipped
            .map(|item| ["recipient_id", "channel", "template", "reason"].map(|name| text(item, name)))
            .collect();
        each.sort();
        each
    };
    assert_eq!(why(&foreseen, "decision"), why(&since, "state"));
    assert!(!why(&since, "state").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_is_compared_without_being_applied() {
    let dev = Dev::virtual_time().await;
    with_loans(&dev).await;
    let today = forecast(&dev, 4).await;
    let same = run_json(&dev, &["forecast", "--days", "4", "--pack", "loans"]).await;
    assert_eq!(
        (same.0, &same.1["added"], &same.1["removed"]),
        (Some(0), &json!([]), &json!([])),
        "{}",
        same.1
    );
    let reminders =
        json!([{"kind": "soon", "offset": "-1h", "template": "loan_reminder_2h", "channels": ["email"]}]);
    let pack = json!({"name": "loans", "reminder_policies": {"loan": {"reminders": reminders}}});
    let compared = dev.admin.post("/v1/system/forecast", &json!({"days": 4, "pack": pack})).await;
    assert_eq!(compared.status, 200, "{compared:?}");
    let added = sends(compared.body["added"].as_array().unwrap());
    let soon = |at: &str, who: &str| {
        (at.to_owned(), who.to_owned(), "email".to_owned(), "loan_reminder_2h".to_owned())
    };
    assert!(added.contains(&soon("2026-11-23T15:00", "hugo")), "{added:?}");
    let removed = sends(compared.body["removed"].as_array().unwrap());
    assert!(removed.contains(&soon("2026-11-23T14:00", "hugo")), "{removed:?}");
    assert_eq!(forecast(&dev, 4).await, today, "nothing was applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disabled_schedule_is_for_is_not_planned_and_the_forecast_says_so() {
    let dev = Dev::virtual_time().await;
    with_loans(&dev).await;
    let off = json!({"sweep": "sweep-reminders", "classes": ["medium"], "cadence": "12h", "enabled": false});
    assert_eq!(dev.admin.put("/v1/system/schedules/moyen-terme", &off).await.status, 200);
    let unplanned: Vec<Value> =
        forecast(&dev, 4).await.into_iter().filter(|item| item["decision"] == "unplanned").collect();
    assert_eq!(unplanned.len(), 1, "{unplanned:?}");
    assert_eq!((&unplanned[0]["recipient_id"], &unplanned[0]["subject"]), (&json!("hugo"), &json!("EMP-2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_that_cannot_be_is_refused_and_the_command_shows_one() {
    let dev = Dev::virtual_time().await;
    with_loans(&dev).await;
    let refused = dev.admin.get("/v1/system/forecast?days=93").await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/days".to_owned()]), "{refused:?}");
    assert_eq!(dev.admin.get("/v1/system/forecast?days=soon").await.status, 400);
    let wrong = json!({"pack": {"name": "loans", "routes": {"a.b": {"template": "none", "channels": ["email"], "audience": {}}}}});
    let refused = dev.admin.post("/v1/system/forecast", &wrong).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.pointers().iter().all(|pointer| pointer.starts_with("/pack/routes/a.b")), "{refused:?}");
    let shown = run(&dev, &["forecast", "--days", "1"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.text.contains("loan_reminder_2h v1") && shown.last_line().ends_with("in 1 day"),
        "{shown:?}"
    );
}
