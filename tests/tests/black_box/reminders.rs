//! Deadlines and the messages around them, over HTTP in virtual time: who is reminded of what and when, what is taken back
//! when a deadline is closed or moved, and what a policy or deadline that cannot be is told. R4-R12, R14-R18, R26, R38.

use carillon_tests::Dev;
use serde_json::{Value, json};

/// Time stands at 2026-11-20T09:00:00Z, 10:00 in Paris, 04:00 in New York.
async fn loans() -> Dev {
    let dev = Dev::virtual_time().await;
    let borrower = |id: &str, name: &str, last: u32, zone: &str| {
        let (phone, email) = (format!("+120255501{last}"), format!("{id}@example.com"));
        json!({"id": id, "name": name, "phone": phone, "email": email, "locale": "fr", "time_zone": zone})
    };
    let people = [
        borrower("anouk", "Anouk Faure", 60, "Europe/Paris"),
        borrower("hugo", "Hugo Lemaire", 61, "Europe/Paris"),
        borrower("june", "June Park", 62, "America/New_York"),
    ];
    dev.with_pack("loans", &people).await;
    dev
}

fn loan(number: &str, starts_at: &str, due_at: &str, borrowers: &[&str]) -> Value {
    let items = json!([{"name": "Caméra", "reference": "CA-1"}]);
    json!({
        "policy": "loan", "recipients": {"ids": borrowers}, "starts_at": starts_at, "due_at": due_at,
        "data": {"loan_number": number, "contact": "materiel@example.com", "items": items}
    })
}

async fn put(dev: &Dev, number: &str, body: &Value) -> Value {
    let answer = dev.producer.put(&format!("/v1/deadlines/{number}"), body).await;
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    answer.body
}

/// What was sent about a loan by email, in order: when, and in which template.
async fn mails(dev: &Dev, number: &str) -> Vec<(String, String)> {
    let path = format!("/v1/deliveries?subject={number}&channel=email&limit=200&from=2026-01-01T00:00:00Z");
    let listed = dev.admin.get(&path).await.body;
    let text = |delivery: &Value, name: &str| delivery[name].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(String, String)> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|delivery| delivery["sent_at"].is_string())
        .map(|delivery| (text(delivery, "sent_at")[..16].to_owned(), text(delivery, "template")))
        .collect();
    found.sort();
    found
}

fn told(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(at, what)| ((*at).to_owned(), (*what).to_owned())).collect()
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// R4, R5, R6, R7, R11, R12, R14, R17, R38: a loan of some hours is confirmed at once, reminded of two hours before it is
/// due, warned of at once, a day and three days later, not at every run of the sweep; and thanked for, after which it is at rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_loan_walks_its_whole_ladder() {
    let dev = loans().await;
    let body = loan("EMP-1", "2026-11-20T09:00:00Z", "2026-11-20T16:10:00Z", &["anouk"]);
    let stored = put(&dev, "EMP-1", &body).await;
    assert_eq!((&stored["class"], &stored["state"]), (&json!("short"), &json!("open")));
    dev.advance(4 * DAY).await;
    let mut expected = vec![
        ("2026-11-20T09:00", "loan_created"),
        ("2026-11-20T14:10", "loan_reminder_2h"),
        ("2026-11-20T16:10", "loan_overdue"),
        ("2026-11-21T16:10", "loan_overdue"),
        ("2026-11-23T16:10", "loan_overdue"),
    ];
    assert_eq!(mails(&dev, "EMP-1").await, told(&expected));
    assert_eq!(dev.admin.get("/v1/deadlines/EMP-1").await.body["state"], "overdue");
    let closed = dev.producer.post("/v1/deadlines/EMP-1/close", &json!({})).await;
    assert_eq!((closed.status, &closed.body["state"]), (200, &json!("closed")), "{closed:?}");
    dev.advance(8 * DAY).await;
    expected.push(("2026-11-24T09:00", "loan_returned"));
    assert_eq!(mails(&dev, "EMP-1").await, told(&expected));
    let again = dev.producer.post("/v1/deadlines/EMP-1/close", &json!({})).await;
    assert_eq!(again.body, closed.body);
    dev.advance(HOUR).await;
    assert_eq!(mails(&dev, "EMP-1").await, told(&expected));
}

/// R8, R9, R10, R16, R26, R38: a long loan is reminded of two days before, the day before and on the day at eight, at each
/// borrower's own eight; not two hours before, as a middle one is.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_loan_is_reminded_of_at_eight_where_its_borrower_is() {
    let dev = loans().await;
    let long = loan("EMP-2", "2026-11-10T09:00:00Z", "2026-11-23T16:00:00Z", &["anouk", "june"]);
    assert_eq!(put(&dev, "EMP-2", &long).await["class"], "long");
    let middle = loan("EMP-3", "2026-11-20T09:00:00Z", "2026-11-22T16:00:00Z", &["hugo"]);
    assert_eq!(put(&dev, "EMP-3", &middle).await["class"], "medium");
    dev.advance(3 * DAY + 6 * HOUR).await;
    let expected = [
        ("2026-11-20T09:00", "loan_created"),
        ("2026-11-20T09:00", "loan_created"),
        ("2026-11-21T07:00", "loan_reminder_j2"),
        ("2026-11-21T13:00", "loan_reminder_j2"),
        ("2026-11-22T07:00", "loan_reminder_j1"),
        ("2026-11-22T13:00", "loan_reminder_j1"),
        ("2026-11-23T07:00", "loan_reminder_final"),
        ("2026-11-23T13:00", "loan_reminder_final"),
    ];
    assert_eq!(mails(&dev, "EMP-2").await, told(&expected));
    let before: Vec<_> = mails(&dev, "EMP-3").await.into_iter().take(3).collect();
    let expected = [
        ("2026-11-20T09:00", "loan_created"),
        ("2026-11-22T14:00", "loan_reminder_2h"),
        ("2026-11-22T16:00", "loan_overdue"),
    ];
    assert_eq!(before, told(&expected));
}

/// R5, R15: what is planned and has not left is taken back when the loan is returned, and is there to be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_takes_back_what_is_planned() {
    let dev = loans().await;
    // Inside the horizon of a sweep that ran before: planned at once.
    dev.advance(HOUR).await;
    let body = loan("EMP-4", "2026-11-20T09:30:00Z", "2026-11-20T12:20:00Z", &["anouk"]);
    put(&dev, "EMP-4", &body).await;
    dev.advance(0).await;
    let waits = reminder(&dev, "EMP-4", "two_hours").await;
    assert_eq!((&waits["at"], &waits["states"]), (&json!("2026-11-20T10:20:00Z"), &json!({"held": 2})));
    let to_come = reminder(&dev, "EMP-4", "overdue").await;
    assert_eq!((&to_come["at"], &to_come["event_id"]), (&json!("2026-11-20T12:20:00Z"), &Value::Null));
    assert_eq!(dev.producer.post("/v1/deadlines/EMP-4/close", &json!({})).await.status, 200);
    let gone = reminder(&dev, "EMP-4", "two_hours").await;
    assert_eq!(gone["states"], json!({"cancelled": 2}));
    let event = gone["event_id"].as_str().unwrap();
    assert!(dev.deliveries(event).await.iter().all(|d| d["reason"] == "deadline_closed"));
    dev.advance(DAY).await;
    let expected = [("2026-11-20T10:00", "loan_created"), ("2026-11-20T10:00", "loan_returned")];
    assert_eq!(mails(&dev, "EMP-4").await, told(&expected));
}

async fn reminder(dev: &Dev, number: &str, kind: &str) -> Value {
    let view = dev.admin.get(&format!("/v1/deadlines/{number}")).await.body;
    let found = view["reminders"].as_array().unwrap().iter().find(|reminder| reminder["kind"] == kind);
    found.unwrap_or_else(|| panic!("{kind} in {view}")).clone()
}

/// R7, R38: a moved due time owes its reminders anew, also one that was planned or said before; who is added or taken off
/// is, or is not, reminded from then on; the same call again changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_moves_owes_anew() {
    let dev = loans().await;
    let at = |due_at: &str, borrowers: &[&str]| loan("EMP-5", "2026-11-20T09:00:00Z", due_at, borrowers);
    put(&dev, "EMP-5", &at("2026-11-20T12:00:00Z", &["anouk"])).await;
    // The reminder of 10:00 is said; then the loan is extended by a day, back, and by an hour.
    dev.advance(HOUR + 60).await;
    for due_at in ["2026-11-21T12:00:00Z", "2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"] {
        put(&dev, "EMP-5", &at(due_at, &["anouk"])).await;
    }
    put(&dev, "EMP-5", &at("2026-11-20T13:00:00Z", &["anouk"])).await;
    dev.advance(2 * HOUR).await;
    // At 12:01 another borrower takes it over.
    put(&dev, "EMP-5", &at("2026-11-20T13:00:00Z", &["hugo"])).await;
    dev.advance(4 * HOUR).await;
    let expected = [
        ("2026-11-20T09:00", "loan_created"),
        ("2026-11-20T10:00", "loan_reminder_2h"),
        ("2026-11-20T11:00", "loan_reminder_2h"),
        ("2026-11-20T13:00", "loan_overdue"),
    ];
    assert_eq!(mails(&dev, "EMP-5").await, told(&expected));
    let late = dev.admin.get("/v1/deliveries?subject=EMP-5&recipient=hugo&state=delivered").await.body;
    assert_eq!(late["items"].as_array().map(Vec::len), Some(2), "{late}");
}

/// R25 on a policy: who refuses a kind of reminder, or a channel, is not reminded so.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_reminder_is_refused() {
    let dev = loans().await;
    let wishes = json!({"reminders": {"two_hours": false}});
    assert_eq!(dev.admin.put("/v1/recipients/anouk/preferences", &wishes).await.status, 200);
    put(&dev, "EMP-6", &loan("EMP-6", "2026-11-20T09:00:00Z", "2026-11-20T12:00:00Z", &["anouk"])).await;
    dev.advance(4 * HOUR).await;
    let expected = [("2026-11-20T09:00", "loan_created"), ("2026-11-20T12:00", "loan_overdue")];
    assert_eq!(mails(&dev, "EMP-6").await, told(&expected));
}

/// Lists are by state and by when something is due, page by page.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_are_listed_by_state_and_due_time() {
    let dev = loans().await;
    for n in 1..=7 {
        let due_at = format!("2026-11-2{n}T12:00:00Z");
        put(&dev, &format!("L-{n}"), &loan("L", "2026-11-20T09:00:00Z", &due_at, &["anouk"])).await;
    }
    assert_eq!(dev.producer.post("/v1/deadlines/L-2/close", &json!({})).await.status, 200);
    dev.advance(2 * DAY).await;
    let listed = async |query: &str| -> Vec<String> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = dev.admin.get(&format!("/v1/deadlines?limit=2{query}{cursor}")).await.body;
            ids.extend(
                page["items"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next_cursor"].as_str() else { return ids };
            cursor = format!("&cursor={}", next.replace('#', "%23"));
        }
    };
    assert_eq!(listed("").await, ["L-1", "L-2", "L-3", "L-4", "L-5", "L-6", "L-7"]);
    assert_eq!(listed("&state=overdue").await, ["L-1"]);
    assert_eq!(listed("&state=closed").await, ["L-2"]);
    assert_eq!(
        listed("&state=open&due_from=2026-11-24T12:00:00Z&due_to=2026-11-26T12:00:00Z").await,
        ["L-4", "L-5"]
    );
    let wrong = dev.admin.get("/v1/deadlines?state=late").await;
    assert_eq!((wrong.status, wrong.pointers()), (422, vec!["/state".to_owned()]));
}

/// R26: classes are configuration, and a policy or deadline that cannot be is told what is wrong where.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_pointed_at() {
    let dev = loans().await;
    let reminder = |more: Value| {
        let mut reminder =
            json!({"kind": "late", "offset": "+1h", "template": "loan_overdue", "channels": ["email"]});
        reminder.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        reminder
    };
    let many: Vec<Value> = (1..=51).map(|n| reminder(json!({"offset": format!("+{n}h")}))).collect();
    for (policy, pointers) in [
        (json!({}), vec![""]),
        (json!({"reminders": [reminder(json!({"offset": "in two hours"}))]}), vec!["/reminders/0/offset"]),
        (json!({"reminders": [reminder(json!({"offset": "day 1 at 25:00"}))]}), vec!["/reminders/0/offset"]),
        (json!({"reminders": [reminder(json!({"repeat": "hourly"}))]}), vec!["/reminders/0/repeat"]),
        (json!({"reminders": [reminder(json!({"template": "nothing"}))]}), vec!["/reminders/0/template"]),
        (json!({"reminders": [reminder(json!({"channels": ["in_app"]}))]}), vec!["/reminders/0/channels"]),
        (json!({"reminders": [reminder(json!({"class": ["huge"]}))]}), vec!["/reminders/0/class/0"]),
        (
            json!({"reminders": [reminder(json!({"expires_after_s": 0}))]}),
            vec!["/reminders/0/expires_after_s"],
        ),
        (
            json!({"reminders": [reminder(json!({})), reminder(json!({"class": ["long"]}))]}),
            vec!["/reminders/1"],
        ),
        (json!({"reminders": many}), vec!["/reminders"]),
        (
            json!({"reminders": [reminder(json!({}))], "classes": {"overdue": {}, "a": {"up_to_s": 5}, "b": {"up_to_s": 5}}}),
            vec!["/classes/b/up_to_s", "/classes/overdue"],
        ),
        (json!({"on_close": {"template": "nothing", "channels": ["email"]}}), vec!["/on_close/template"]),
    ] {
        let refused = dev.admin.put("/v1/reminder-policies/wrong", &policy).await;
        assert_eq!(
            (refused.status, refused.pointers()),
            (422, pointers.iter().map(|p| (*p).to_owned()).collect()),
            "{policy} {refused:?}"
        );
    }
    let right = loan("X", "2026-11-20T09:00:00Z", "2026-11-21T09:00:00Z", &["anouk"]);
    for (name, value, pointer) in [
        ("policy", json!("none"), "/policy"),
        ("recipients", json!({"ids": ["nobody"]}), "/recipients/ids/0"),
        ("recipients", json!({"groups": ["None"]}), "/recipients/groups/0"),
        ("recipients", json!({}), "/recipients"),
        ("due_at", json!("2026-11-20T08:59:59Z"), "/due_at"),
        ("due_at", json!("tomorrow"), "/due_at"),
        ("due", json!("2026-11-20T08:59:59Z"), "/due"),
    ] {
        let mut wrong = right.clone();
        wrong[name] = value;
        let refused = dev.producer.put("/v1/deadlines/X", &wrong).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{refused:?}");
    }
    assert_eq!(dev.producer.post("/v1/deadlines/X/close", &json!({})).await.status, 404);
    assert_eq!(dev.admin.get("/v1/deadlines/X").await.status, 404);
    put(&dev, "X", &right).await;
    assert_eq!(dev.producer.post("/v1/deadlines/X/close", &json!({})).await.status, 200);
    assert_eq!(dev.producer.put("/v1/deadlines/X", &right).await.status, 409);
    assert_eq!(dev.admin.get("/v1/reminder-policies/loan").await.body["name"], "loan");
    assert_eq!(dev.admin.delete("/v1/reminder-policies/loan").await.status, 204);
    assert_eq!(dev.admin.get("/v1/reminder-policies").await.body["items"], json!([]));
    assert_eq!(dev.producer.put("/v1/deadlines/Y", &right).await.pointers(), ["/policy"]);
}

/// A test key neither closes nor changes what a live key put, and nothing is said of its attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_key_may_not_touch_a_live_deadline() {
    let dev = loans().await;
    let body = loan("EMP-9", "2026-11-20T09:00:00Z", "2026-11-20T16:10:00Z", &["anouk"]);
    put(&dev, "EMP-9", &body).await;
    let key = json!({"name": "tries", "kind": "test", "scopes": ["events:write"]});
    let issued = dev.admin.post("/v1/keys", &key).await;
    let tries = dev.admin.with_key(issued.body["key"].as_str().unwrap());
    assert_eq!(tries.post("/v1/deadlines/EMP-9/close", &json!({})).await.status, 403);
    let moved = loan("EMP-9", "2026-11-20T09:00:00Z", "2026-11-20T18:10:00Z", &["anouk"]);
    assert_eq!(tries.put("/v1/deadlines/EMP-9", &moved).await.status, 403);
    dev.advance(6 * HOUR).await;
    let expected = [("2026-11-20T09:00", "loan_created"), ("2026-11-20T14:10", "loan_reminder_2h")];
    assert_eq!(mails(&dev, "EMP-9").await, told(&expected));
}
