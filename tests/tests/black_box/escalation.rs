//! Escalation: who is told next while nobody acknowledges an event, and the four ways to acknowledge it: by the API, the
//! link in a mail, the button of a WhatsApp message, and in the feed. Nothing of it goes out afterwards.

use carillon_tests::{Answer, Dev};
use serde_json::{Value, json};

/// Texts with the link, and a WhatsApp template with a button.
fn template() -> Value {
    json!({"locales": {"en": {
        "whatsapp": {"template": {
            "name": "incident", "language": "en", "parameters": ["{{ data.what }}"], "acknowledge_button": 0
        }},
        "email": {
            "subject": "{{ data.what }} ({{ event.escalation_step }})",
            "html": "<p>{{ data.what }}. <a href=\"{{ acknowledge_url }}\">Seen</a></p>"
        },
        "in_app": {"title": "{{ data.what }}", "body": "Look at it.", "action_url": "{{ acknowledge_url }}"}
    }}})
}

/// Ada is told first, the leads after ten minutes, the boss after half an hour.
async fn on_call(channels: Value) -> Dev {
    let dev = Dev::virtual_time().await;
    for (id, locale, phone) in [
        ("ada", "en", "+12025550101"),
        ("lea", "fr", "+12025550102"),
        ("leo", "en", "+12025550103"),
        ("boss", "en", "+12025550104"),
    ] {
        let email = format!("{id}@example.com");
        let person = json!({"name": id, "email": email, "phone": phone, "locale": locale});
        assert_eq!(dev.admin.put(&format!("/v1/recipients/{id}"), &person).await.status, 201);
    }
    assert_eq!(dev.admin.put("/v1/groups/Leads", &json!({"members": ["lea", "leo"]})).await.status, 201);
    assert_eq!(dev.admin.put("/v1/templates/incident?publish=true", &template()).await.status, 201);
    let route = json!({
        "audience": {"ids": ["ada"]}, "template": "incident", "channels": channels,
        "escalation": [
            {"after_s": 600, "audience": {"groups": ["Leads"]}},
            {"after_s": 1_800, "audience": {"from_event": ["data.boss"]}},
        ],
    });
    let put = dev.admin.put("/v1/routes/incident.opened", &route).await;
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(put.body["escalation"], route["escalation"]);
    dev
}

async fn open(dev: &Dev, extra: Value) -> String {
    let mut event = json!({"type": "incident.opened", "data": {"what": "It burns", "boss": "boss"}});
    for (name, value) in extra.as_object().unwrap() {
        event[name] = value.clone();
    }
    let accepted = dev.producer.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    dev.advance(0).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// Who has been sent what, and when, in order.
async fn told(dev: &Dev) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut told: Vec<(String, String)> =
        dev.outbox().await.iter().map(|item| (text(&item["received_at"]), text(&item["to"]))).collect();
    told.sort();
    told
}

fn lines(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter().map(|(at, to)| (format!("2026-11-20T{at}Z"), format!("{to}@example.com"))).collect()
}

const ADA: (&str, &str) = ("09:00:00", "ada");
const LEADS: [(&str, &str); 2] = [("09:10:00", "lea"), ("09:10:00", "leo")];

async fn acknowledge(dev: &Dev, id: &str, body: &Value) -> Answer {
    dev.producer.post(&format!("/v1/events/{id}/acknowledge"), body).await
}

async fn explained(dev: &Dev, id: &str, step: &str) -> Vec<Value> {
    let explained = dev.producer.get(&format!("/v1/events/{id}/explain")).await.body;
    let decisions = explained["decisions"].as_array().unwrap();
    decisions.iter().filter(|decision| decision["step"] == step).cloned().collect()
}

async fn outcomes(dev: &Dev, id: &str) -> Vec<String> {
    let steps = explained(dev, id, "escalation").await;
    steps.iter().map(|step| step["outcome"].as_str().unwrap().to_owned()).collect()
}

/// The event that a step became.
async fn step_event(dev: &Dev, id: &str, step: u64) -> Value {
    let events = dev.producer.get("/v1/events").await.body["items"].as_array().unwrap().clone();
    let of = json!({"event_id": id, "step": step});
    events.into_iter().find(|event| event["escalates"] == of).unwrap()
}

/// R36: what nobody has acknowledged is told to the next ones, each step once and at its time, until there is nobody left;
/// the log and the proof have it like everything else.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_acknowledges_is_told_to_the_next_ones_at_their_time() {
    let dev = on_call(json!(["email"])).await;
    let id = open(&dev, json!({})).await;
    assert_eq!(told(&dev).await, lines(&[ADA]));
    assert_eq!(outcomes(&dev, &id).await, ["waits", "waits"]);
    dev.advance(599).await;
    assert_eq!(told(&dev).await, lines(&[ADA]));
    dev.advance(1).await;
    assert_eq!(told(&dev).await, lines(&[ADA, LEADS[0], LEADS[1]]));
    assert_eq!(outcomes(&dev, &id).await, ["told", "waits"]);
    dev.advance(7_200).await;
    let everybody = lines(&[ADA, LEADS[0], LEADS[1], ("09:30:00", "boss")]);
    assert_eq!(told(&dev).await, everybody);
    assert_eq!(outcomes(&dev, &id).await, ["told", "told"]);
    let second = step_event(&dev, &id, 2).await;
    let steps = explained(&dev, &id, "escalation").await;
    assert!(steps[1]["reason"].as_str().unwrap().contains(second["id"].as_str().unwrap()), "{steps:?}");
    let why = explained(&dev, second["id"].as_str().unwrap(), "escalation").await;
    assert!(why[0]["reason"].as_str().unwrap().contains(&id), "{why:?}");
    let subjects: Vec<Value> = dev.outbox().await.iter().map(|item| item["subject"].clone()).collect();
    assert_eq!(subjects[0], "It burns (0)");
    assert_eq!(subjects[3], "It burns (2)");
    let proved = dev
        .producer
        .post("/v1/system/prove", &json!({"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z"}))
        .await
        .body;
    assert_eq!((&proved["accepted"], &proved["balanced"]), (&json!(3), &json!(true)), "{proved}");
}

/// R36: an acknowledgement stops what is left, and saying it again changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_stops_what_is_left_and_repeating_it_answers_the_same() {
    let dev = on_call(json!(["email"])).await;
    let id = open(&dev, json!({})).await;
    dev.advance(700).await;
    assert_eq!(
        acknowledge(&dev, &id, &json!({"recipient_id": "nobody"})).await.pointers(),
        ["/recipient_id"]
    );
    assert_eq!(acknowledge(&dev, &id, &json!({"who": "ada"})).await.pointers(), ["/who"]);
    assert_eq!(acknowledge(&dev, &"a".repeat(26), &json!({})).await.status, 404);
    let reader =
        dev.admin.post("/v1/keys", &json!({"name": "reads", "kind": "live", "scopes": ["read"]})).await;
    let reader = dev.admin.with_key(reader.body["key"].as_str().unwrap());
    assert_eq!(reader.post(&format!("/v1/events/{id}/acknowledge"), &json!({})).await.status, 403);
    let seen = acknowledge(&dev, &id, &json!({"recipient_id": "lea"})).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(seen.body, json!({"acknowledged_at": "2026-11-20T09:11:40Z", "cancelled": 1}));
    dev.advance(86_400).await;
    assert_eq!(acknowledge(&dev, &id, &json!({"recipient_id": "ada"})).await.body, seen.body);
    let step = step_event(&dev, &id, 1).await;
    let with_step = acknowledge(&dev, step["id"].as_str().unwrap(), &json!({})).await;
    assert_eq!(with_step.body, seen.body, "a step acknowledges the first event");
    assert_eq!(told(&dev).await, lines(&[ADA, LEADS[0], LEADS[1]]));
    assert_eq!(outcomes(&dev, &id).await, ["told", "stopped"]);
    let by = &explained(&dev, &id, "acknowledgement").await[0];
    assert_eq!((&by["recipient_id"], &by["reason"]), (&json!("lea"), &json!("api")), "{by}");
    let view = dev.producer.get(&format!("/v1/events/{id}")).await.body;
    assert_eq!(view["acknowledged_at"], "2026-11-20T09:11:40Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_its_first_step_escalates_never() {
    let dev = on_call(json!(["email"])).await;
    let id = open(&dev, json!({})).await;
    let seen = acknowledge(&dev, &id, &Value::Null).await;
    assert_eq!(seen.status, 422, "a body is an object: {seen:?}");
    let seen = dev.producer.raw("POST", &format!("/v1/events/{id}/acknowledge"), &[], None).await;
    assert_eq!((seen.status, &seen.body["cancelled"]), (200, &json!(2)), "{seen:?}");
    dev.advance(86_400).await;
    assert_eq!(told(&dev).await, lines(&[ADA]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_told_step_holds_back_is_cancelled_with_its_reason() {
    let dev = on_call(json!(["email"])).await;
    let id = open(&dev, json!({})).await;
    let stopped =
        json!({"switches": [{"scope": "channel", "value": "email", "stopped": true, "mode": "hold"}]});
    assert_eq!(dev.admin.put("/v1/system/switches", &stopped).await.status, 200);
    dev.advance(660).await;
    let step = step_event(&dev, &id, 1).await["id"].as_str().unwrap().to_owned();
    for held in dev.deliveries(&step).await {
        assert_eq!((&held["state"], &held["reason"]), (&json!("held"), &json!("switched_off")), "{held}");
    }
    assert_eq!(acknowledge(&dev, &id, &json!({})).await.body["cancelled"], 3, "two deliveries and a step");
    for gone in dev.deliveries(&step).await {
        assert_eq!(
            (&gone["state"], &gone["reason"]),
            (&json!("cancelled"), &json!("acknowledged")),
            "{gone}"
        );
    }
    assert_eq!(dev.admin.put("/v1/system/switches", &json!({"switches": []})).await.status, 200);
    dev.advance(3_600).await;
    assert_eq!(told(&dev).await, lines(&[ADA]));
    assert_eq!(dev.settled(&step).await["settled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_an_event_ends_its_escalation() {
    let dev = on_call(json!(["email"])).await;
    let id = open(&dev, json!({})).await;
    dev.advance(700).await;
    let cancelled = dev.producer.post(&format!("/v1/events/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled.body, json!({"cancelled": 0, "too_late": 3}), "who was told was told");
    dev.advance(86_400).await;
    assert_eq!(told(&dev).await, lines(&[ADA, LEADS[0], LEADS[1]]));
    assert_eq!(outcomes(&dev, &id).await, ["told", "stopped"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_count_from_the_time_at_which_the_event_is_due() {
    let dev = on_call(json!(["email"])).await;
    open(&dev, json!({"deliver_at": "2026-11-20T12:00:00Z"})).await;
    dev.advance(86_400).await;
    let late = [("12:00:00", "ada"), ("12:10:00", "lea"), ("12:10:00", "leo"), ("12:30:00", "boss")];
    assert_eq!(told(&dev).await, lines(&late));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_in_a_mail_acknowledges_by_a_post_and_asks_in_its_readers_language() {
    let dev = on_call(json!(["email"])).await;
    let id = open(&dev, json!({})).await;
    dev.advance(600).await;
    let mail = dev.outbox().await.into_iter().find(|item| item["to"] == "lea@example.com").unwrap();
    let html = mail["html"].as_str().unwrap().replace("&#x2f;", "/");
    let link = html.split('"').find(|part| part.contains("/a/")).unwrap();
    let path = link.strip_prefix(&dev.cloud.ready().url).unwrap();
    // Its ids are drawn from letters and digits: only a mark of an address is sure to be none of theirs.
    assert!(!path.contains('@') && !path.contains("12025550102"), "{path}");
    let anybody = dev.admin.with_key("");
    for _ in 0..2 {
        let page = anybody.get(path).await;
        let text = page.body.as_str().unwrap();
        assert_eq!(page.status, 200);
        assert!(text.contains("<html lang=\"fr\">") && text.contains("Je l'ai vu"), "{text}");
    }
    assert_eq!(outcomes(&dev, &id).await, ["told", "waits"], "looking changes nothing");
    for bad in ["/a/x".to_owned(), format!("{path}a"), path.replace("/a/", "/u/")] {
        assert_eq!(anybody.get(&bad).await.status, 404, "{bad}");
        assert_eq!(anybody.raw("POST", &bad, &[], None).await.status, 404, "{bad}");
    }
    for _ in 0..2 {
        let done = anybody.raw("POST", path, &[], None).await;
        assert_eq!(done.status, 200);
        assert!(done.body.as_str().unwrap().contains("Merci"), "{done:?}");
    }
    dev.advance(86_400).await;
    assert_eq!(told(&dev).await, lines(&[ADA, LEADS[0], LEADS[1]]));
    let by = &explained(&dev, &id, "acknowledgement").await[0];
    assert_eq!((&by["recipient_id"], &by["reason"]), (&json!("lea"), &json!("link")), "{by}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_of_a_whatsapp_message_acknowledges() {
    let dev = on_call(json!(["whatsapp"])).await;
    let id = open(&dev, json!({})).await;
    let sent = dev.outbox().await.remove(0);
    let payload = sent["template"]["buttons"][0].clone();
    assert!(payload.as_str().unwrap().ends_with(sent["token"].as_str().unwrap()), "{sent}");
    // A button of somebody else's message, or none of ours, says nothing.
    for odd in ["YES", "acknowledge:aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w-1"] {
        let pressed = json!({"from": "+12025550101", "text": "Seen", "payload": odd});
        assert_eq!(dev.admin.post("/dev/inbound", &pressed).await.status, 202);
    }
    dev.advance(1).await;
    assert_eq!(outcomes(&dev, &id).await, ["waits", "waits"]);
    for _ in 0..2 {
        let pressed = json!({"from": "+12025550101", "text": "Seen", "payload": payload});
        assert_eq!(dev.admin.post("/dev/inbound", &pressed).await.status, 202);
    }
    dev.advance(86_400).await;
    assert_eq!(dev.outbox().await.len(), 1);
    assert_eq!(outcomes(&dev, &id).await, ["stopped", "stopped"]);
    let by = &explained(&dev, &id, "acknowledgement").await[0];
    assert_eq!((&by["recipient_id"], &by["reason"]), (&json!("ada"), &json!("whatsapp")), "{by}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_the_feed_is_acknowledged_by_its_reader_alone() {
    let dev = on_call(json!(["in_app"])).await;
    let id = open(&dev, json!({})).await;
    let item = dev.deliveries(&id).await[0]["id"].as_str().unwrap().to_owned();
    let token = dev.admin.post("/v1/recipients/leo/token", &json!({})).await.body["token"].clone();
    let leo = dev.admin.with_key(token.as_str().unwrap());
    let path = format!("/v1/inbox/{item}/acknowledge");
    assert_eq!(leo.post(&path, &json!({})).await.status, 404);
    assert_eq!(dev.admin.post(&format!("{path}?recipient=leo"), &json!({})).await.status, 404);
    let token = dev.admin.post("/v1/recipients/ada/token", &json!({})).await.body["token"].clone();
    let ada = dev.admin.with_key(token.as_str().unwrap());
    let seen = ada.post(&path, &json!({})).await;
    assert_eq!((seen.status, &seen.body["cancelled"]), (200, &json!(2)), "{seen:?}");
    assert_eq!(dev.admin.post(&format!("{path}?recipient=ada"), &json!({})).await.body, seen.body);
    dev.advance(86_400).await;
    assert_eq!(outcomes(&dev, &id).await, ["stopped", "stopped"]);
    let by = &explained(&dev, &id, "acknowledgement").await[0];
    assert_eq!((&by["recipient_id"], &by["reason"]), (&json!("ada"), &json!("inbox")), "{by}");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_cannot_be_are_refused_where_they_stand() {
    let dev = on_call(json!(["email"])).await;
    let route = json!({
        "audience": {"ids": ["ada"]}, "template": "incident", "channels": ["email"],
        "escalation": [{"after_s": 30, "audience": {"ids": ["boss"]}}, {"after_s": 60, "audience": {}}],
    });
    let refused = dev.admin.put("/v1/routes/incident.opened", &route).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.pointers(), ["/escalation/0/after_s", "/escalation/1/audience"]);
}
