//! Who is told before somebody's WhatsApp window closes: once for each window, so long before as the settings say, by the
//! event of the tenant's choice.

use carillon_tests::Dev;
use serde_json::{Value, json};

const HOUR: u64 = 3_600;
const TYPE: &str = "conversation.window_closing";

/// The contact, and somebody who looks after contacts.
fn people() -> Vec<Value> {
    vec![
        json!({"id": "thabo", "name": "Thabo Nyoni", "phone": "+12025550101"}),
        json!({"id": "ruth", "name": "Ruth Sibanda", "email": "ruth@example.com", "groups": ["Pastoral Team"]}),
        json!({"id": "grace", "name": "Grace", "email": "grace@example.com", "groups": ["Sales Team"]}),
    ]
}

async fn crm() -> Dev {
    let dev = Dev::virtual_time().await;
    dev.with_pack("crm", &people()).await;
    dev
}

async fn write(dev: &Dev, from: &str) {
    let written = dev.admin.post("/dev/inbound", &json!({"from": from, "text": "Are you there?"})).await;
    assert_eq!(written.status, 202, "{written:?}");
    dev.advance(0).await;
}

/// When the team was mailed, and to whom.
async fn mails(dev: &Dev) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mails = dev.outbox().await.into_iter().filter(|item| item["channel"] == "email");
    mails.map(|item| (text(&item["received_at"]), text(&item["to"]))).collect()
}

fn to_ruth(at: &str) -> (String, String) {
    (at.to_owned(), "ruth@example.com".to_owned())
}

async fn reminders(dev: &Dev) -> Vec<Value> {
    let log = dev.producer.get(&format!("/v1/events?type={TYPE}&limit=200")).await.body;
    log["items"].as_array().unwrap().clone()
}

/// H32: the Pastoral Team, and nobody else, hears of a contact's window two hours before it closes: not a second sooner,
/// and once for the window, however long is waited.
#[tokio::test(flavor = "multi_thread")]
async fn the_team_hears_two_hours_before_a_window_closes_and_once() {
    let dev = crm().await;
    write(&dev, "+12025550101").await;
    dev.advance(22 * HOUR - 1).await;
    assert_eq!(mails(&dev).await, []);
    dev.advance(1).await;
    assert_eq!(mails(&dev).await, [to_ruth("2026-11-21T07:00:00Z")]);
    let mail = dev.outbox().await.into_iter().find(|item| item["channel"] == "email").unwrap();
    assert!(mail["text"].as_str().unwrap().contains("Thabo Nyoni"), "{mail}");
    dev.advance(72 * HOUR).await;
    assert_eq!(mails(&dev).await.len(), 1);
    let told = reminders(&dev).await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["subject"], &told[0]["source"]), (&json!("thabo"), &json!("carillon")));
}

/// H32: whoever writes again has a later window, which is told of when its own time comes, also after the first was.
#[tokio::test(flavor = "multi_thread")]
async fn another_message_moves_it_and_each_window_is_told_of() {
    let dev = crm().await;
    write(&dev, "+12025550101").await;
    dev.advance(21 * HOUR).await;
    write(&dev, "+12025550101").await;
    dev.advance(22 * HOUR - 1).await;
    assert_eq!(mails(&dev).await, [], "the first window was not left to close");
    dev.advance(1).await;
    assert_eq!(mails(&dev).await, [to_ruth("2026-11-22T04:00:00Z")]);
    dev.advance(HOUR).await;
    write(&dev, "+12025550101").await;
    dev.advance(48 * HOUR).await;
    let both = [to_ruth("2026-11-22T04:00:00Z"), to_ruth("2026-11-23T03:00:00Z")];
    assert_eq!(mails(&dev).await, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_nobody_and_a_setting_that_is_off_tell_nobody() {
    let dev = crm().await;
    write(&dev, "+12025550119").await;
    dev.advance(30 * HOUR).await;
    assert_eq!(reminders(&dev).await.len(), 0);
    write(&dev, "+12025550101").await;
    let off = dev.admin.put("/v1/system/settings", &json!({"window_reminder": null})).await;
    assert_eq!((off.status, &off.body["window_reminder"]), (200, &Value::Null), "{off:?}");
    dev.advance(30 * HOUR).await;
    assert_eq!(reminders(&dev).await.len(), 0);
    write(&dev, "+12025550101").await;
    let on = json!({"window_reminder": {"before_s": 3_600, "event_type": TYPE}});
    assert_eq!(dev.admin.put("/v1/system/settings", &on).await.status, 200);
    dev.advance(30 * HOUR).await;
    assert_eq!(reminders(&dev).await.len(), 0, "written before it was on");
    write(&dev, "+12025550101").await;
    dev.advance(23 * HOUR).await;
    assert_eq!(reminders(&dev).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_time_that_is_set_meanwhile_counts() {
    let dev = crm().await;
    write(&dev, "+12025550101").await;
    let shorter = json!({"window_reminder": {"before_s": 600, "event_type": TYPE}});
    assert_eq!(dev.admin.put("/v1/system/settings", &shorter).await.status, 200);
    dev.advance(23 * HOUR).await;
    assert_eq!(mails(&dev).await, []);
    dev.advance(3_000).await;
    assert_eq!(mails(&dev).await, [to_ruth("2026-11-21T08:50:00Z")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_that_cannot_be_is_refused_where_it_stands() {
    let dev = Dev::virtual_time().await;
    for before_s in [0, 59, 86_341] {
        let wrong = json!({"window_reminder": {"before_s": before_s, "event_type": TYPE}});
        let refused = dev.admin.put("/v1/system/settings", &wrong).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec!["/window_reminder/before_s".to_owned()]));
    }
    let typo = json!({"window_reminder": {"before": 60, "event_type": TYPE}});
    assert_eq!(dev.admin.put("/v1/system/settings", &typo).await.status, 422);
}
