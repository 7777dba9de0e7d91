//! The fakes over real HTTP: what they accept is in the outbox before the answer, and its receipts arrive.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use carillon_domain::Channel;
use carillon_pipeline::ports::Clock;
use carillon_runtime::clock::SystemClock;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::watch;

use super::*;
use crate::journal::Journal;
use crate::outbox;
use crate::testing::{Counting, Folder, client, serve, until};

const SECRET: &str = "app-secret";
const TOKEN: &str = "d1-1";

/// A webhook that remembers verified statuses, after it has refused so many posts.
#[derive(Default)]
struct Webhook {
    refusals: AtomicUsize,
    posts: AtomicUsize,
    statuses: Mutex<Vec<Value>>,
}

impl Webhook {
    fn refusing(times: usize) -> Arc<Self> {
        Arc::new(Self { refusals: AtomicUsize::new(times), ..Self::default() })
    }

    async fn serve(self: &Arc<Self>) -> String {
        serve(Router::new().route("/webhooks/whatsapp", post(take)).with_state(self.clone())).await
            + "/webhooks/whatsapp"
    }

    fn kinds(&self) -> Vec<String> {
        self.statuses
            .lock()
            .unwrap()
            .iter()
            .map(|status| status["status"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn take(State(webhook): State<Arc<Webhook>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    webhook.posts.fetch_add(1, Ordering::SeqCst);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let signature = headers["x-hub-signature-256"].to_str().unwrap().strip_prefix("sha256=").unwrap();
    if mac.verify_slice(&HEXLOWER.decode(signature.as_bytes()).unwrap()).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let left = webhook.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if left.is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["object"], &body["entry"][0]["id"]),
        (&json!("whatsapp_business_account"), &json!("waba-1"))
    );
    for change in body["entry"][0]["changes"].as_array().unwrap() {
        let metadata = json!({"display_phone_number": "12025550100", "phone_number_id": "1001"});
        assert_eq!((&change["field"], &change["value"]["metadata"]), (&json!("messages"), &metadata));
        webhook.statuses.lock().unwrap().extend(change["value"]["statuses"].as_array().unwrap().clone());
    }
    StatusCode::OK
}

fn graph(journal: &Arc<Journal>, webhook_url: String) -> Arc<FakeGraph> {
    let settings = GraphSettings {
        webhook_url,
        app_secret: SECRET.to_owned(),
        waba_id: "waba-1".to_owned(),
        display_phone_number: "12025550100".to_owned(),
        delays: Delays::default(),
    };
    FakeGraph::new(journal.clone(), Arc::new(SystemClock), Arc::new(Counting), client(), settings)
}

async fn post_message(base: &str, body: &Value) -> (u16, Value) {
    let request = client().post(format!("{base}/v25.0/1001/messages")).bearer_auth("token").json(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The reader of [`text_message`] has just written.
async fn open_window(fake: &FakeGraph) {
    fake.remember("1001", "12025550101".to_owned(), SystemClock.now()).await.unwrap();
}

fn text_message(text: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": "+12025550101", "type": "text", "text": {"body": text},
           "biz_opaque_callback_data": TOKEN})
}

#[tokio::test]
async fn an_accepted_text_is_in_the_outbox_and_its_signed_statuses_arrive_in_order() {
    let (journal, webhook) = (Journal::in_memory().unwrap(), Webhook::refusing(0));
    let fake = graph(&journal, webhook.serve().await);
    open_window(&fake).await;
    let base = serve(fake.router()).await;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(fake.post_receipts(stopped));

    let (status, answer) = post_message(&base, &text_message("grüezi 👋")).await;
    assert_eq!(status, 200);
    let contact = json!([{"input": "+12025550101", "wa_id": "12025550101"}]);
    assert_eq!((&answer["messaging_product"], &answer["contacts"]), (&json!("whatsapp"), &contact));
    let message_id = answer["messages"][0]["id"].as_str().unwrap();
    assert!(message_id.starts_with("wamid."));
    assert_eq!(answer["messages"], json!([{"id": message_id}]));
    let items = outbox::all(&journal).await.unwrap();
    let seen = (items[0].channel, items[0].to.as_str(), items[0].text.as_str(), items[0].token.as_deref());
    assert_eq!((items.len(), seen), (1, (Channel::Whatsapp, "+12025550101", "grüezi 👋", Some(TOKEN))));

    until("two statuses arrive", async || webhook.kinds().len() >= 2).await;
    assert_eq!(webhook.kinds(), ["sent", "delivered"]);
    let first = webhook.statuses.lock().unwrap()[0].clone();
    assert_eq!((&first["id"], &first["recipient_id"]), (&json!(message_id), &json!("12025550101")));
    assert_eq!(first["biz_opaque_callback_data"], TOKEN);
    let seconds: i64 = first["timestamp"].as_str().unwrap().parse().unwrap();
    assert!((seconds - items[0].received_at.as_second()).abs() <= 1);
}

#[tokio::test]
async fn an_accepted_template_is_kept_with_its_parameters() {
    let journal = Journal::in_memory().unwrap();
    let base = serve(graph(&journal, "http://127.0.0.1:9/".to_owned()).router()).await;
    let parameters = json!([{"type": "text", "text": "A-1001"}, {"type": "text", "text": "Ada"}]);
    let template = json!({"name": "new_order", "language": {"code": "en_US"},
                          "components": [{"type": "body", "parameters": parameters}]});
    let body = json!({"messaging_product": "whatsapp", "recipient": "US.1349", "type": "template", "template": template});
    let (status, answer) = post_message(&base, &body).await;
    assert_eq!((status, &answer["messages"][0]["message_status"]), (200, &json!("accepted")));
    let item = outbox::all(&journal).await.unwrap().remove(0);
    let expected = json!({"name": "new_order", "language": "en_US", "parameters": ["A-1001", "Ada"]});
    assert_eq!((item.to.as_str(), json!(item.template), item.token), ("US.1349", expected, None));
}

#[tokio::test]
async fn free_text_is_refused_unless_its_reader_has_written() {
    let journal = Journal::in_memory().unwrap();
    let fake = graph(&journal, "http://127.0.0.1:9/".to_owned());
    let base = serve(fake.router()).await;
    let (status, answer) = post_message(&base, &text_message("hi")).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(131_047)));
    open_window(&fake).await;
    assert_eq!(post_message(&base, &text_message("hi")).await.0, 200);
}

#[tokio::test]
async fn what_is_refused_is_not_in_the_outbox() {
    let journal = Journal::in_memory().unwrap();
    let base = serve(graph(&journal, "http://127.0.0.1:9/".to_owned()).router()).await;
    let (status, answer) = post_message(&base, &json!({"messaging_product": "whatsapp"})).await;
    assert_eq!(
        (status, &answer["error"]["code"], &answer["error"]["type"]),
        (400, &json!(100), &json!("OAuthException"))
    );
    assert!(
        answer["error"]["fbtrace_id"].is_string() && answer["error"]["error_data"]["details"].is_string()
    );
    let request = client().post(format!("{base}/v25.0/1001/messages")).json(&text_message("hi"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], 190);
    assert_eq!(outbox::all(&journal).await.unwrap(), []);
}

#[tokio::test]
async fn statuses_are_posted_again_until_the_webhook_answers_200() {
    let (journal, webhook) = (Journal::in_memory().unwrap(), Webhook::refusing(2));
    let fake = graph(&journal, webhook.serve().await);
    open_window(&fake).await;
    let base = serve(fake.router()).await;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(fake.post_receipts(stopped));
    post_message(&base, &text_message("hi")).await;
    until("two statuses arrive", async || webhook.kinds().len() >= 2).await;
    let mut kinds = webhook.kinds();
    kinds.sort();
    assert_eq!(kinds, ["delivered", "sent"]);
    assert!(webhook.posts.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn receipts_that_were_pending_at_a_kill_are_posted_after_a_restart() {
    let (folder, webhook) = (Folder::make(), Webhook::refusing(0));
    let url = webhook.serve().await;
    let before = Journal::open(&folder.path("journal.sqlite")).unwrap();
    let fake = graph(&before, url.clone());
    open_window(&fake).await;
    let base = serve(fake.router()).await;
    for text in ["a", "b", "c"] {
        assert_eq!(post_message(&base, &text_message(text)).await.0, 200);
    }

    let journal = Journal::open(&folder.as_killed("journal.sqlite")).unwrap();
    assert_eq!(outbox::all(&journal).await.unwrap().len(), 3);
    assert_eq!(webhook.kinds(), Vec::<String>::new());
    let (stop, stopped) = watch::channel(false);
    let posting = tokio::spawn(graph(&journal, url).post_receipts(stopped));
    until("six statuses arrive", async || webhook.kinds().len() >= 6).await;
    stop.send(true).unwrap();
    posting.await.unwrap();
    assert_eq!(webhook.kinds().len(), 6);
}

/// A fake SES whose events are collected, after its sink has refused so many.
async fn ses(
    journal: &Arc<Journal>,
    refusals: usize,
) -> (String, Arc<Mutex<Vec<Value>>>, watch::Sender<bool>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let (taken, left) = (events.clone(), Arc::new(AtomicUsize::new(refusals)));
    let sink: EventSink = Arc::new(move |event| {
        let refuse =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if !refuse {
            taken.lock().unwrap().push(event);
        }
        Box::pin(async move { if refuse { Err("on purpose".to_owned()) } else { Ok(()) } })
    });
    let fake =
        FakeSes::new(journal.clone(), Arc::new(SystemClock), Arc::new(Counting), sink, Delays::default());
    let base = serve(fake.router()).await;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(fake.post_receipts(stopped));
    (base, events, stop)
}

async fn send_email(base: &str, to: &str) -> reqwest::Response {
    let body = json!({
        "FromEmailAddress": "Shop <shop@example.com>",
        "Destination": {"ToAddresses": [to]},
        "Content": {"Simple": {"Subject": {"Data": "Hi", "Charset": "UTF-8"},
                               "Body": {"Html": {"Data": "<p>Hello</p>"}, "Text": {"Data": "Hello"}}}},
        "EmailTags": [{"Name": "carillon", "Value": TOKEN}, {"Name": "carillon-tenant", "Value": "acme"}],
        "ConfigurationSetName": "carillon",
    });
    client().post(format!("{base}/v2/email/outbound-emails")).json(&body).send().await.unwrap()
}

fn types(events: &Mutex<Vec<Value>>) -> Vec<String> {
    let events = events.lock().unwrap();
    events.iter().map(|event| event["detail"]["eventType"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_accepted_email_is_in_the_outbox_and_its_events_reach_the_sink_even_if_it_refuses_at_first() {
    let journal = Journal::in_memory().unwrap();
    let (base, events, _stop) = ses(&journal, 1).await;
    let answer: Value = send_email(&base, "ada@example.com").await.json().await.unwrap();
    let item = outbox::all(&journal).await.unwrap().remove(0);
    assert_eq!(
        (item.channel, item.to.as_str(), item.token.as_deref()),
        (Channel::Email, "ada@example.com", Some(TOKEN))
    );
    let parts = (item.subject.as_deref(), item.text.as_str(), item.html.as_deref());
    assert_eq!(parts, (Some("Hi"), "Hello", Some("<p>Hello</p>")));

    until("two events arrive", async || types(&events).len() >= 2).await;
    let mut kinds = types(&events);
    kinds.sort();
    assert_eq!(kinds, ["Delivery", "Send"]);
    let event =
        events.lock().unwrap().iter().find(|e| e["detail-type"] == "Email Delivered").unwrap().clone();
    assert_eq!(event["source"], "aws.ses");
    let mail = &event["detail"]["mail"];
    assert_eq!(
        (&mail["messageId"], &mail["destination"]),
        (&answer["MessageId"], &json!(["ada@example.com"]))
    );
    assert_eq!(
        (&mail["tags"]["carillon"], &mail["tags"]["carillon-tenant"]),
        (&json!([TOKEN]), &json!(["acme"]))
    );
    assert_eq!(event["detail"]["delivery"]["recipients"], json!(["ada@example.com"]));
    let accepted: carillon_domain::Timestamp = mail["timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(accepted, item.received_at);
}

#[tokio::test]
async fn the_mailbox_simulator_bounces_and_complains() {
    for (address, expected) in [
        ("bounce@simulator.amazonses.com", vec!["Send", "Bounce"]),
        ("Bounce+42@simulator.amazonses.com", vec!["Send", "Bounce"]),
        ("complaint@simulator.amazonses.com", vec!["Send", "Delivery", "Complaint"]),
        ("success@simulator.amazonses.com", vec!["Send", "Delivery"]),
        ("bounce@example.com", vec!["Send", "Delivery"]),
    ] {
        let journal = Journal::in_memory().unwrap();
        let (base, events, _stop) = ses(&journal, 0).await;
        assert_eq!(send_email(&base, address).await.status(), 200);
        until("all events arrive", async || types(&events).len() >= expected.len()).await;
        assert_eq!(types(&events), expected, "{address}");
        if let Some(event) = events.lock().unwrap().iter().find(|e| e["detail"]["eventType"] == "Bounce") {
            let bounce = &event["detail"]["bounce"];
            assert_eq!(
                (&bounce["bounceType"], &bounce["bouncedRecipients"][0]["emailAddress"]),
                (&json!("Permanent"), &json!(address))
            );
        }
    }
}

#[tokio::test]
async fn a_malformed_email_is_refused_in_the_shape_that_the_sdk_reads() {
    let journal = Journal::in_memory().unwrap();
    let (base, _events, _stop) = ses(&journal, 0).await;
    let response = send_email(&base, "nobody").await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-amzn-errortype"]),
        (400, &"BadRequestException".parse().unwrap())
    );
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"message": "Missing final '@domain'"}));
    assert_eq!(outbox::all(&journal).await.unwrap(), []);
}
