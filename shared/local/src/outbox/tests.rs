//! The outbox as its readers see it, over HTTP.

use std::time::Duration;

use carillon_pipeline::ports::{Message, Queue, Queues};
use carillon_runtime::clock::SystemClock;
use serde_json::json;

use super::*;
use crate::queues::{LocalQueues, QueueSettings};
use crate::testing::{client, serve};

fn text(number: usize) -> OutboxItem {
    OutboxItem {
        id: 0,
        channel: Channel::Whatsapp,
        to: "+12025550101".to_owned(),
        subject: None,
        text: format!("text {number:03}"),
        html: None,
        template: None,
        token: Some(format!("token-{number}")),
        headers: BTreeMap::new(),
        received_at: "2026-11-20T09:00:00Z".parse().unwrap(),
    }
}

async fn journal(items: Vec<OutboxItem>) -> Arc<Journal> {
    let journal = Journal::in_memory().unwrap();
    let work = move |connection: &mut Connection| {
        let transaction = connection.transaction()?;
        items.iter().try_for_each(|item| record(&transaction, item))?;
        transaction.commit()
    };
    journal.run(work).await.unwrap();
    journal
}

async fn get(url: String) -> (reqwest::header::HeaderMap, String) {
    let response = client().get(url).send().await.unwrap().error_for_status().unwrap();
    (response.headers().clone(), response.text().await.unwrap())
}

#[tokio::test]
async fn the_json_lists_everything_oldest_first_in_the_words_of_the_contract() {
    let template = SentTemplate {
        name: "order".to_owned(),
        language: "en".to_owned(),
        parameters: json!(["A-1001", "Ada"]),
        buttons: Vec::new(),
    };
    let email = OutboxItem {
        channel: Channel::Email,
        to: "ada@example.com".to_owned(),
        subject: Some("Hi".to_owned()),
        html: Some("<p>Hi</p>".to_owned()),
        ..text(2)
    };
    let whatsapp = OutboxItem { text: template.readable(), template: Some(template), ..text(1) };
    let base = serve(pages::outbox(journal(vec![whatsapp, email]).await)).await;
    let body: Value = serde_json::from_str(&get(format!("{base}/dev/outbox.json")).await.1).unwrap();
    let expected = json!({"items": [
        {"channel": "whatsapp", "to": "+12025550101", "text": "A-1001\nAda",
         "template": {"name": "order", "language": "en", "parameters": ["A-1001", "Ada"]},
         "token": "token-1", "received_at": "2026-11-20T09:00:00Z"},
        {"channel": "email", "to": "ada@example.com", "subject": "Hi", "text": "text 002", "html": "<p>Hi</p>",
         "token": "token-2", "received_at": "2026-11-20T09:00:00Z"},
    ]});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn the_page_shows_the_newest_first_and_leads_to_the_older() {
    let base = serve(pages::outbox(journal((1..=30).map(text).collect()).await)).await;
    let (_, newest) = get(format!("{base}/dev/outbox")).await;
    let at = |needle: &str| newest.find(needle).unwrap_or_else(|| panic!("{needle} is missing"));
    assert!(at("text 030") < at("text 006"));
    assert!(!newest.contains("text 005"));
    assert!(newest.contains("/dev/outbox?before=6\""));
    let (_, older) = get(format!("{base}/dev/outbox?before=6")).await;
    assert!(older.contains("text 005") && older.contains("text 001") && !older.contains("text 006"));
    assert!(!older.contains("?before="));
    let refused = client().get(format!("{base}/dev/outbox?before=x")).send().await.unwrap();
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn nothing_in_a_message_can_leave_its_place_on_the_page() {
    let attack = r#""></iframe><script>alert(1)</script>'"#;
    let parameters = json!({attack: attack});
    let template = SentTemplate {
        name: attack.to_owned(),
        language: attack.to_owned(),
        parameters,
        buttons: Vec::new(),
    };
    let whatsapp = OutboxItem {
        to: attack.to_owned(),
        token: Some(attack.to_owned()),
        template: Some(template),
        ..text(1)
    };
    let part = Some(attack.to_owned());
    let email = OutboxItem { channel: Channel::Email, subject: part.clone(), html: part, ..text(2) };
    let plain = OutboxItem { text: attack.to_owned(), ..text(3) };
    let base = serve(pages::outbox(journal(vec![whatsapp, email, plain]).await)).await;
    let (headers, page) = get(format!("{base}/dev/outbox")).await;
    assert!(!page.contains("<script"), "{page}");
    assert_eq!(page.matches("</iframe>").count(), 1);
    assert!(page.contains(r#"<iframe sandbox="" "#));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
}

#[tokio::test]
async fn the_queues_are_counted_by_name() {
    let journal = Journal::in_memory().unwrap();
    let settings = QueueSettings { visibility: Duration::from_secs(30), max_receive_count: 1 };
    let queues = LocalQueues::open(journal, Arc::new(SystemClock), settings).await.unwrap();
    let message = Message { body: "{}".to_owned(), group: "acme:normal".to_owned(), delay_s: 0 };
    queues.send(Queue::Email, vec![message; 3]).await.unwrap();
    queues.receive(Queue::Email, 2).await.unwrap();
    let base = serve(pages::queues(queues)).await;
    let body: Value = serde_json::from_str(&get(format!("{base}/dev/queues")).await.1).unwrap();
    let empty = json!({"visible": 0, "in_flight": 0, "oldest_age_s": null, "dead_letters": 0});
    let email = json!({"visible": 1, "in_flight": 2, "oldest_age_s": 0, "dead_letters": 0});
    for queue in ["events", "whatsapp", "receipts"] {
        assert_eq!(body[queue], empty, "{queue}");
    }
    assert_eq!(body["email"], email);
}
