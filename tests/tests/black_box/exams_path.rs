//! The path from a processed test to its educator's phone, on the pack `exams`: told once, by an approved template, with
//! every attempt kept, and never in the way of whoever posts. I1-I14, I16, I17, I19, I21, I22, I24-I26, I29, I30.

use carillon_tests::command::{run, run_json};
use carillon_tests::stand_in::{StandIn, refused, taken};
use carillon_tests::{Dev, until};
use serde_json::{Value, json};

/// Nadia and Peter can be told; Daniel's number has no plus; Sofia has none.
fn educators() -> Vec<Value> {
    vec![
        json!({"id": "nadia", "name": "Nadia Okafor", "phone": "+12025550130"}),
        json!({"id": "daniel", "name": "Daniel Mensah", "phone": "12025550131"}),
        json!({"id": "sofia", "name": "Sofia Almeida", "email": "sofia@example.com"}),
        json!({"id": "peter", "name": "Peter Njoroge", "phone": "+12025550133"}),
    ]
}

async fn exams_with(whatsapp_url: Option<String>) -> Dev {
    let dev = Dev::with(whatsapp_url, None).await;
    dev.with_pack("exams", &educators()).await;
    dev
}

async fn exams() -> Dev {
    exams_with(None).await
}

/// What the platform posts when a test of class 7B has been processed.
fn processed(event_type: &str, id: &str, test: u32, educator: &str) -> Value {
    json!({
        "type": event_type, "source": "exams", "id": id, "subject": "class-7B",
        "data": {"class_id": "7B", "test_num": test, "educator_id": educator}
    })
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The one delivery of an event, once it is settled.
async fn told(dev: &Dev, event: &Value) -> Value {
    let id = dev.post_settled(event).await;
    let [delivery] = &dev.deliveries(&id).await[..] else { panic!("one delivery of {event}") };
    delivery.clone()
}

/// The attempts in the timeline of a delivery.
async fn attempts(dev: &Dev, delivery: &Value) -> Vec<Value> {
    let read = dev.admin.get(&format!("/v1/deliveries/{}", text(delivery, "id"))).await.body;
    let timeline = read["timeline"].as_array().unwrap().iter();
    timeline.filter(|entry| entry["kind"] == "attempt").cloned().collect()
}

/// I1, I4, I5, I6, I30: one notification for each class, test, kind and educator, whatever id the platform gives and
/// however often it posts; another educator of the same test is told too.
#[tokio::test(flavor = "multi_thread")]
async fn a_processed_test_is_told_once_to_each_educator() {
    let dev = exams().await;
    let first = processed("test.completed", "c-1", 12, "nadia");
    assert_eq!(told(&dev, &first).await["reason"], Value::Null);
    let again = dev.producer.post("/v1/events", &first).await;
    assert_eq!((again.status, &again.body["replayed"]), (202, &json!(true)));
    for (event, reason) in [
        (processed("test.completed", "c-2", 12, "nadia"), json!("already_told")),
        (processed("test.completed", "c-3", 13, "nadia"), Value::Null),
        (processed("test.completed", "c-4", 12, "peter"), Value::Null),
        (processed("test.failed", "f-1", 12, "nadia"), Value::Null),
        (processed("test.failed", "f-2", 12, "nadia"), json!("already_told")),
    ] {
        assert_eq!(told(&dev, &event).await["reason"], reason, "{event}");
    }
    let phones: Vec<String> = dev.outbox().await.iter().map(|item| text(item, "to")).collect();
    let (nadia, peter) = ("+12025550130", "+12025550133");
    assert_eq!(phones, [nadia, nadia, peter, nadia]);
}

/// I2, I21: no phone number, no message, and the record says so; taking the number away is an opt-out, giving one an
/// opt-in that still hears what was missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_number_is_the_opt_in() {
    let dev = exams().await;
    let reason = async |id: &str, educator: &str| {
        told(&dev, &processed("test.completed", id, 12, educator)).await["reason"].clone()
    };
    let skipped = told(&dev, &processed("test.completed", "c-1", 12, "sofia")).await;
    assert_eq!((text(&skipped, "state"), text(&skipped, "reason")), ("skipped".into(), "no_address".into()));
    let with_phone = json!({"name": "Sofia Almeida", "phone": "+12025550132"});
    assert_eq!(dev.admin.put("/v1/recipients/sofia", &with_phone).await.status, 200);
    assert_eq!(reason("c-2", "sofia").await, Value::Null);
    assert_eq!(dev.admin.put("/v1/recipients/nadia", &json!({"name": "Nadia Okafor"})).await.status, 200);
    assert_eq!(reason("c-3", "nadia").await, "no_address");
    assert_eq!(dev.outbox().await.len(), 1);
}

/// I3: the platform's own work never waits for WhatsApp, and never fails because of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_provider_does_not_stop_the_platform() {
    let meta = StandIn::start(|_, number| taken(number)).await;
    let dev = exams_with(Some(meta.url.clone())).await;
    let silent = meta.hold().await;
    let mut ids = Vec::new();
    for test in 1..=3 {
        let event = processed("test.completed", &format!("c-{test}"), test, "nadia");
        let accepted = dev.producer.post("/v1/events", &event).await;
        assert_eq!((accepted.status, &accepted.body["status"]), (202, &json!("accepted")));
        ids.push(text(&accepted.body, "event_id"));
    }
    drop(silent);
    for id in ids {
        dev.delivery_in(&id, "whatsapp", "sent").await;
    }
}

/// I8, I12, I13: a number is kept with the educator in E.164 however it is written, which has at most 16 characters; what
/// cannot be one is refused; none is fine.
#[tokio::test(flavor = "multi_thread")]
async fn an_educators_number_is_kept_in_e164() {
    let dev = exams().await;
    let put = async |phone: &str| {
        dev.admin.put("/v1/recipients/ada", &json!({"name": "Ada", "phone": phone})).await
    };
    for written in ["+1 202 555 0140", "(202) 555-0140", "12025550140", "+1-202-555-0140"] {
        assert!(put(written).await.status < 300, "{written}");
        assert_eq!(dev.admin.get("/v1/recipients/ada").await.body["phone"], "+12025550140");
    }
    for impossible in ["12", "+1 202 555 0140 0140 0140", "call me", ""] {
        let refused = put(impossible).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec!["/phone".to_owned()]), "{impossible}");
    }
    assert_eq!(dev.admin.get("/v1/recipients/daniel").await.body["phone"], "+12025550131");
    let told = told(&dev, &processed("test.completed", "c-1", 12, "daniel")).await;
    assert_eq!(text(&told, "reason"), "");
    assert_eq!(dev.outbox().await[0]["to"], "+12025550131");
}

/// I10, I19, I25: the number, the version of the API and the token are configuration of the channel; what leaves is the
/// approved template in its language, never free text, and the answer is kept.
#[tokio::test(flavor = "multi_thread")]
async fn the_approved_template_goes_to_the_configured_number() {
    let meta = StandIn::start(|_, number| taken(number)).await;
    let dev = exams_with(Some(meta.url.clone())).await;
    let mut account = dev.admin.get("/v1/channels/whatsapp").await.body;
    let number = text(&account, "phone_number_id");
    account = json!({"phone_number_id": number, "api_version": "v22.0", "token": "EAA-example"});
    assert_eq!(dev.admin.put("/v1/channels/whatsapp", &account).await.status, 200);
    let told = told(&dev, &processed("test.completed", "c-1", 12, "nadia")).await;
    let asked = meta.asked();
    assert_eq!(asked[0].path, format!("/v22.0/{number}/messages"));
    assert_eq!((&asked[0].body["type"], asked[0].body.get("text")), (&json!("template"), None));
    let template = &asked[0].body["template"];
    assert_eq!(
        (&template["name"], &template["language"]["code"]),
        (&json!("test_completion_notification"), &json!("en_US"))
    );
    let sent = dev.delivery_in(&text(&told, "event_id"), "whatsapp", "sent").await;
    assert_eq!(sent["provider_message_id"], "wamid.1");
    assert_eq!(attempts(&dev, &sent).await[0]["outcome"], "succeeded");
}

/// I19, I25: the same as the built-in fake of Meta sees it.
#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_shows_the_template_and_its_language() {
    let dev = exams().await;
    told(&dev, &processed("test.completed", "c-1", 12, "nadia")).await;
    told(&dev, &processed("test.failed", "f-1", 13, "nadia")).await;
    let sent: Vec<Value> = dev.outbox().await.into_iter().map(|item| item["template"].clone()).collect();
    let template = |name: &str, test: &str| json!({"name": name, "language": "en_US", "parameters": ["Nadia Okafor", test, "7B"]});
    assert_eq!(
        sent,
        [template("test_completion_notification", "12"), template("test_failure_notification", "13")]
    );
}

/// I7, I9, I17, I30: each attempt is kept with when it began and ended, its outcome, status, code and words, beside what
/// the log of the platform had: class, educator, kind, masked number, what was sent, how often, and when.
#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_kept_with_its_answer() {
    let meta = StandIn::start(|asked, number| match (number, asked.body["to"].as_str()) {
        (1, _) => refused(503, 131_016, "Service unavailable"),
        (_, Some("+12025550133")) => refused(400, 131_026, "Message undeliverable"),
        _ => taken(number),
    })
    .await;
    let dev = exams_with(Some(meta.url.clone())).await;
    let told = told(&dev, &processed("test.completed", "c-1", 12, "nadia")).await;
    let sent = dev.delivery_in(&text(&told, "event_id"), "whatsapp", "sent").await;
    let kept = attempts(&dev, &sent).await;
    let outcomes: Vec<String> = kept.iter().map(|attempt| text(attempt, "outcome")).collect();
    assert_eq!((outcomes.len(), outcomes[1].as_str()), (2, "succeeded"), "{kept:?}");
    for name in ["started_at", "ended_at"] {
        assert!(kept.iter().all(|attempt| attempt[name].is_string()), "{name} of {kept:?}");
    }
    assert_eq!((text(&kept[0], "code"), &kept[0]["http_status"]), ("131016".into(), &json!(503)));
    for (name, value) in [
        ("event_type", json!("test.completed")),
        ("subject", json!("class-7B")),
        ("recipient_id", json!("nadia")),
        ("state", json!("sent")),
        ("attempts", json!(2)),
    ] {
        assert_eq!(sent[name], value, "{name}");
    }
    assert!(sent["created_at"].is_string() && sent["sent_at"].is_string(), "{sent}");
    assert!(text(&sent, "address_masked").ends_with("30") && !sent.to_string().contains("2025550130"));
    let read = dev.admin.get(&format!("/v1/deliveries/{}", text(&sent, "id"))).await.body;
    assert_eq!(read["rendered"]["parameters"], json!(["Nadia Okafor", "12", "7B"]));
    assert_eq!(read["timeline"][0]["kind"], "planned");
    // The provider's own words, of the latest attempt.
    let failed = dev.post_settled(&processed("test.completed", "c-2", 12, "peter")).await;
    let failed = dev.delivery_in(&failed, "whatsapp", "failed").await;
    let kept = attempts(&dev, &failed).await;
    assert_eq!((text(&failed, "reason"), kept.len()), ("rejected:131026".into(), 1));
    assert!(text(&kept[0], "detail").contains("Message undeliverable"), "{kept:?}");
}

/// I11: a token is taken and never shown again.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_written_and_never_read() {
    let dev = exams().await;
    let number = dev.admin.get("/v1/channels/whatsapp").await.body["phone_number_id"].clone();
    let account = json!({"phone_number_id": number, "token": "EAA-example-secret"});
    let answer = dev.admin.put("/v1/channels/whatsapp", &account).await;
    let read = dev.admin.get("/v1/channels/whatsapp").await;
    assert_eq!((answer.status, &read.body["token_set"]), (200, &json!(true)));
    for body in [answer.body, read.body] {
        assert!(!body.to_string().contains("EAA-example-secret"), "{body}");
    }
}

/// I14: one class, test and educator by hand, with a result; asked for again, it says that they know.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_told_by_hand_with_a_result() {
    let dev = exams().await;
    let data = r#"{"class_id": "7B", "test_num": 12, "educator_id": "nadia"}"#;
    let send = ["send", "test.completed", "--data", data, "--wait"];
    let (code, result) = run_json(&dev, &send).await;
    assert_eq!((code, &result["event"]["settled"]), (Some(0), &json!(true)));
    let [delivery] = &result["deliveries"].as_array().unwrap()[..] else { panic!("{result}") };
    assert!(["sent", "delivered"].contains(&delivery["state"].as_str().unwrap()), "{result}");
    let again = run(&dev, &send).await;
    assert!(again.text.contains("skipped") && again.text.contains("already_told"), "{again:?}");
    assert_eq!(dev.outbox().await.len(), 1);
}

/// I16: the log of everything, by status, date, class and educator, alone and together.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_filtered_by_status_date_class_and_educator() {
    let dev = exams().await;
    let mut other_class = processed("test.completed", "c-3", 1, "peter");
    other_class["subject"] = json!("class-9A");
    for event in [
        processed("test.completed", "c-1", 12, "nadia"),
        processed("test.failed", "f-1", 12, "sofia"),
        other_class,
    ] {
        told(&dev, &event).await;
    }
    let found = async |filter: &[&str]| {
        let (code, log) = run_json(&dev, &[&["deliveries"], filter].concat()).await;
        assert_eq!(code, Some(0), "{filter:?}");
        let mut who: Vec<String> =
            log["items"].as_array().unwrap().iter().map(|d| text(d, "recipient_id")).collect();
        who.sort();
        who
    };
    assert_eq!(found(&[]).await, ["nadia", "peter", "sofia"]);
    assert_eq!(found(&["--state", "skipped"]).await, ["sofia"]);
    assert_eq!(found(&["--subject", "class-7B"]).await, ["nadia", "sofia"]);
    assert_eq!(found(&["--recipient", "peter"]).await, ["peter"]);
    assert_eq!(found(&["--subject", "class-7B", "--recipient", "nadia"]).await, ["nadia"]);
    let newest = dev.producer.get("/v1/deliveries?recipient=peter").await.body["items"][0].clone();
    let at = text(&newest, "created_at");
    assert_eq!(found(&["--from", &at]).await, ["peter"], "from is inclusive");
    assert_eq!(found(&["--to", &at]).await, ["nadia", "sofia"], "to is exclusive");
    assert_eq!(found(&["--to", &at, "--state", "skipped", "--subject", "class-7B"]).await, ["sofia"]);
}

/// I22: whatever a producer says about a student, a message has the class, the test and the educator's own name only.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_about_a_student_leaves() {
    let dev = exams().await;
    for (id, event_type) in [("c-1", "test.completed"), ("f-1", "test.failed")] {
        let mut event = processed(event_type, id, 12, "nadia");
        event["data"]["student_name"] = json!("Student Example");
        event["data"]["mark"] = json!("mark-17");
        told(&dev, &event).await;
    }
    let sent = dev.outbox().await;
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|item| {
        let item = item.to_string();
        !item.contains("Student Example") && !item.contains("mark-17")
    }));
}

/// I24, I26: an expired token shows as HTTP 401 while the work is kept, and `validate` says what it means.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_named_and_the_work_is_kept() {
    let expired = "Error validating access token: Session has expired";
    let meta = StandIn::start(move |_, _| refused(401, 190, expired)).await;
    let dev = exams_with(Some(meta.url.clone())).await;
    let event = processed("test.completed", "c-1", 12, "nadia");
    let accepted = dev.producer.post("/v1/events", &event).await;
    let held = dev.delivery_in(&text(&accepted.body, "event_id"), "whatsapp", "held").await;
    assert_eq!(text(&held, "reason"), "channel_halted");
    assert_eq!(attempts(&dev, &held).await[0]["code"], "190");
    let diagnosed = run(&dev, &["validate", "--test-whatsapp", "+12025550139"]).await;
    assert_eq!(diagnosed.code, Some(1));
    assert!(diagnosed.text.contains("HTTP 401 Unauthorized"), "{}", diagnosed.text);
}

/// I29: free text goes through Meta's API as it is, inside the window of 24 hours only; outside it the result says
/// `window_closed`, and the text leaves when its reader writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_ones_own_leaves_only_inside_the_window() {
    let dev = exams().await;
    let words = "A test message, {{ as it is }}.";
    let send = ["send", "test.message", "--to", "nadia", "--raw-text", words];
    let outside = run(&dev, &send).await;
    assert_eq!(outside.code, Some(1), "{outside:?}");
    assert!(outside.text.contains("window_closed"), "{outside:?}");
    assert_eq!(dev.outbox().await, [] as [Value; 0]);
    let inbound = json!({"from": "+12025550130", "text": "Hello"});
    assert!(dev.admin.post("/dev/inbound", &inbound).await.status < 300);
    until("what waited to leave", async || (dev.outbox().await.len() == 1).then_some(())).await;
    let inside = run(&dev, &send).await;
    assert_eq!(inside.code, Some(0), "{inside:?}");
    for item in dev.outbox().await {
        assert_eq!((text(&item, "text"), item.get("template")), (words.to_owned(), None));
        assert_eq!(item["to"], "+12025550130");
    }
    assert_eq!(run(&dev, &["send", "test.message", "--raw-text", words]).await.code, Some(2), "to nobody");
}
