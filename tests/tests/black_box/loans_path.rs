//! The path that equipment loans walk, on the pack `loans`: a loan is confirmed, reminded of and closed, in French, by
//! email and WhatsApp; a borrower refuses a channel or a kind of reminder; the log has every field. R1-R13, R19-R25.

use carillon_tests::command::run_json;
use carillon_tests::stand_in::{StandIn, refused, taken};
use carillon_tests::{Dev, until};
use serde_json::{Value, json};

/// The seven messages in the order of R6 to R12: event type, title, colour.
const MESSAGES: [(&str, &str, &str); 7] = [
    ("loan.created", "Emprunt Confirmé", "blue"),
    ("loan.reminder.two_hours", "RAPPEL - 2 heures avant la restitution!", "orange"),
    ("loan.reminder.two_days", "RAPPEL - Restitution dans 2 jours", "blue"),
    ("loan.reminder.one_day", "RAPPEL URGENT - Restitution DEMAIN!", "orange"),
    ("loan.reminder.final", "CRITIQUE - RESTITUTION AUJOURD'HUI!", "red"),
    ("loan.overdue", "ALERTE - MATÉRIEL EN RETARD", "dark red"),
    ("loan.returned", "MATÉRIEL RESTITUÉ - MERCI!", "green"),
];

/// The four kinds of reminder that a borrower can refuse, R25.
const KINDS: [(&str, &str); 4] = [
    ("loan.reminder.two_days", "two_days"),
    ("loan.reminder.one_day", "one_day"),
    ("loan.reminder.final", "final"),
    ("loan.reminder.two_hours", "two_hours"),
];

async fn loans_with(whatsapp_url: Option<String>) -> Dev {
    let dev = Dev::with(whatsapp_url, None).await;
    let borrower = |id: &str, name: &str, last: u32| {
        let (phone, email) = (format!("+120255501{last}"), format!("{id}@example.com"));
        json!({"id": id, "name": name, "phone": phone, "email": email, "locale": "fr", "time_zone": "Europe/Paris"})
    };
    dev.with_pack("loans", &[borrower("anouk", "Anouk Faure", 60), borrower("hugo", "Hugo Lemaire", 61)])
        .await;
    dev
}

async fn loans() -> Dev {
    loans_with(None).await
}

/// A loan of three hours, as each of its messages is told of.
fn about_the_loan(event_type: &str, borrower: &str) -> Value {
    let items = json!([{"name": "Caméra", "reference": "CA-1"}, {"name": "Trépied", "reference": "TR-2"}]);
    json!({"type": event_type, "subject": "EMP-7", "data": {
        "borrower_id": borrower, "loan_number": "EMP-7", "due_at": "2026-11-20T16:00:00Z",
        "returned_at": "2026-11-20T15:40:00Z", "contact": "materiel@example.com", "items": items
    }})
}

async fn accepted(dev: &Dev, event: &Value) -> String {
    let answer = dev.producer.post("/v1/events", event).await;
    answer.body["event_id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The message of an event that a fake provider took on a channel.
async fn said(dev: &Dev, event: &str, channel: &str) -> Value {
    let delivery = dev.delivery_in(event, channel, "delivered").await;
    let outbox = dev.outbox().await;
    let of_it = |item: &&Value| text(item, "token").starts_with(&text(&delivery, "id"));
    outbox.iter().find(of_it).unwrap().clone()
}

/// What a colour is called by a person: by its strongest part, and reds by how much green and how much light is in them.
fn called(colour: &str) -> &'static str {
    let part = |at: usize| u16::from_str_radix(&colour[at..at + 2], 16).unwrap();
    let (red, green, blue) = (part(1), part(3), part(5));
    match red.max(green).max(blue) {
        most if most == blue => "blue",
        most if most == green => "green",
        _ if green * 100 / red > 25 => "orange",
        most if most < 160 => "dark red",
        _ => "red",
    }
}

/// R1, R2, R4, R6: a loan that is created is confirmed in French by email, as HTML and as text, and by WhatsApp, at the
/// borrower's hour; the log has a row for each, and it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_loan_that_is_created_is_confirmed_by_email_and_whatsapp() {
    let dev = loans().await;
    let event = dev.post_settled(&about_the_loan("loan.created", "anouk")).await;
    let mail = said(&dev, &event, "email").await;
    assert_eq!(
        (&mail["to"], text(&mail, "subject").as_str()),
        (&json!("anouk@example.com"), "Emprunt Confirmé (emprunt EMP-7)")
    );
    for reading in ["html", "text"] {
        for words in ["Bonjour Anouk Faure", "EMP-7", "Caméra", "CA-1", "Trépied", "20 novembre 2026 à 17:00"]
        {
            assert!(text(&mail, reading).contains(words), "{words} in {reading}: {mail}");
        }
        assert!(!text(&mail, reading).contains("2026-11-20T"), "a time as a machine writes it: {mail}");
    }
    assert!(text(&mail, "html").contains("<html lang=\"fr\">"));
    let whatsapp = said(&dev, &event, "whatsapp").await;
    assert_eq!(whatsapp["to"], "+12025550160");
    let parameters =
        ["Anouk Faure", "EMP-7", "Caméra, Trépied", "20 novembre 2026 à 17:00", "materiel@example.com"];
    assert_eq!(whatsapp["template"]["name"], "loan_created");
    assert_eq!(whatsapp["template"]["language"].as_str().unwrap_or("fr"), "fr");
    assert_eq!(whatsapp["template"]["parameters"], json!(parameters));
    for row in dev.deliveries(&event).await {
        assert!(row["sent_at"].is_string(), "{row}");
        assert_eq!((&row["locale"], &row["attempts"]), (&json!("fr"), &json!(1)));
    }
}

/// R5, R12: when the equipment is back its borrower is thanked on both channels, and the log has the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_loan_that_is_returned_is_thanked_for() {
    let dev = loans().await;
    let event = dev.post_settled(&about_the_loan("loan.returned", "anouk")).await;
    let mail = said(&dev, &event, "email").await;
    assert!(text(&mail, "text").contains("Rendu le : 20 novembre 2026 à 16:40"), "{mail}");
    assert_eq!(said(&dev, &event, "whatsapp").await["template"]["parameters"][3], "20 novembre 2026 à 16:40");
    let listed = dev.producer.get("/v1/deliveries?subject=EMP-7&event_type=loan.returned").await.body;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
}

/// R6, R7, R8, R9, R10, R11, R12, R13: seven messages, each on both channels, in French, with its title and its colour.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_seven_messages_has_its_title_and_colour_on_both_channels() {
    let dev = loans().await;
    for (event_type, title, colour) in MESSAGES {
        let about = about_the_loan(event_type, "anouk");
        let event = dev.post_settled(&about).await;
        let mail = said(&dev, &event, "email").await;
        let html = text(&mail, "html").replace("&#x27;", "'");
        assert!(
            text(&mail, "subject").starts_with(title) && text(&mail, "text").starts_with(title),
            "{mail}"
        );
        assert!(html.contains(&format!(">{title}</h1>")), "{title} in {html}");
        let head = html.split("bgcolor=\"").nth(1).unwrap();
        assert_eq!(called(&head[..7]), colour, "{event_type}");
        let whatsapp = said(&dev, &event, "whatsapp").await;
        let template = dev.deliveries(&event).await.iter().map(|d| text(d, "template")).next().unwrap();
        assert_eq!(
            (text(&whatsapp["template"], "name"), template.starts_with("loan_")),
            (template.clone(), true)
        );
        let preview = json!({"data": about["data"], "recipient": "anouk"});
        let shown = dev.producer.post(&format!("/v1/templates/{template}/preview"), &preview).await.body;
        let inside = text(&shown["rendered"]["whatsapp"]["inside_window"], "body");
        assert_eq!((inside.lines().next(), &shown["locale"]), (Some(title), &json!("fr")), "{shown}");
    }
    assert_eq!(dev.admin.get("/v1/templates").await.body["items"].as_array().map(Vec::len), Some(7));
}

/// R3: by hand, at once: one command sends any of the messages to one borrower.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_is_sent_by_hand() {
    let dev = loans().await;
    let data = about_the_loan("loan.overdue", "anouk")["data"].to_string();
    let (code, sent) =
        run_json(&dev, &["send", "loan.overdue", "--data", &data, "--to", "hugo", "--only", "--wait"]).await;
    assert_eq!(code, Some(0), "{sent}");
    let told: Vec<String> =
        sent["deliveries"].as_array().unwrap().iter().map(|d| text(d, "recipient_id")).collect();
    assert_eq!(told, ["hugo", "hugo"]);
}

/// R24: a borrower refuses a channel, and having no number is a refusal too.
#[tokio::test(flavor = "multi_thread")]
async fn a_borrower_refuses_a_channel() {
    let dev = loans().await;
    let end = async |channel: &str| {
        let event = dev.post_settled(&about_the_loan("loan.created", "anouk")).await;
        let deliveries = dev.deliveries(&event).await;
        let found = deliveries.iter().find(|d| d["channel"] == channel).unwrap();
        (text(found, "state") == "skipped").then(|| text(found, "reason"))
    };
    for (channel, other) in [("email", "whatsapp"), ("whatsapp", "email")] {
        let wishes = json!({"channels": {channel: false}});
        assert_eq!(dev.admin.put("/v1/recipients/anouk/preferences", &wishes).await.status, 200);
        assert_eq!((end(channel).await.as_deref(), end(other).await), (Some("opted_out"), None));
    }
    assert_eq!(dev.admin.put("/v1/recipients/anouk/preferences", &json!({})).await.status, 200);
    let without = json!({"name": "Anouk Faure", "email": "anouk@example.com"});
    assert_eq!(dev.admin.put("/v1/recipients/anouk", &without).await.status, 200);
    assert_eq!((end("whatsapp").await.as_deref(), end("email").await), (Some("no_address"), None));
}

/// R25: each of the four kinds of reminder can be refused for itself, by the borrower or for all who said nothing; the
/// other kinds, and what is no reminder, still come.
#[tokio::test(flavor = "multi_thread")]
async fn a_borrower_refuses_a_kind_of_reminder() {
    let dev = loans().await;
    let refused_by = async |borrower: &str| {
        let mut refused = Vec::new();
        for (event_type, _, _) in MESSAGES {
            let preview =
                dev.producer.post("/v1/events/preview", &about_the_loan(event_type, borrower)).await.body;
            let shown = preview["notifications"].as_array().unwrap().clone();
            let skipped =
                shown.iter().filter(|n| n["decision"] == "skipped" && n["reason"] == "opted_out").count();
            assert!(shown.len() == 2 && [0, 2].contains(&skipped), "{preview}");
            refused.extend((skipped == 2).then_some(event_type));
        }
        refused
    };
    for (event_type, kind) in KINDS {
        let wishes = json!({"reminders": {kind: false}});
        assert_eq!(dev.admin.put("/v1/recipients/anouk/preferences", &wishes).await.status, 200);
        assert_eq!(refused_by("anouk").await, [event_type]);
    }
    let event = dev.post_settled(&about_the_loan("loan.reminder.two_hours", "anouk")).await;
    assert!(dev.deliveries(&event).await.iter().all(|d| d["reason"] == "opted_out"));
    assert!(dev.outbox().await.is_empty());
    let defaults = json!({"preferences": {"reminders": {"final": false}}});
    assert_eq!(dev.admin.put("/v1/system/settings", &defaults).await.status, 200);
    assert_eq!(refused_by("hugo").await, ["loan.reminder.final"]);
}

/// R19, R20, R21, R23: a row of the log says which message, on which channel, to whom, about which loan, how it stands,
/// how often it was tried, when it was planned and sent, when it is tried next, and what went wrong. EN_ATTENTE is what
/// has not been sent or refused yet, ENVOYEE sent and better, ECHEC retrying, ECHEC_PERMANENT failed.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_every_field_of_a_notification() {
    let meta = StandIn::start(|asked, number| match asked.body["to"].as_str().unwrap_or_default() {
        to if to.ends_with("60") => refused(503, 131_016, "Service unavailable"),
        to if to.ends_with("61") => refused(400, 131_026, "Message undeliverable"),
        _ => taken(number),
    })
    .await;
    let dev = loans_with(Some(meta.url.clone())).await;
    let held = meta.hold().await;
    let event = accepted(&dev, &about_the_loan("loan.reminder.two_hours", "anouk")).await;
    let waiting = until("the message to be planned", async || {
        dev.deliveries(&event).await.into_iter().find(|d| d["channel"] == "whatsapp")
    })
    .await;
    assert!(["pending", "sending"].contains(&text(&waiting, "state").as_str()), "EN_ATTENTE: {waiting}");
    assert!(waiting["sent_at"].is_null() && waiting["created_at"].is_string());
    let sent = dev.delivery_in(&event, "email", "delivered").await;
    drop(held);
    for (name, value) in [
        ("event_type", "loan.reminder.two_hours"),
        ("template", "loan_reminder_2h"),
        ("subject", "EMP-7"),
        ("recipient_id", "anouk"),
        ("address_masked", "a***@example.com"),
    ] {
        assert_eq!(text(&sent, name), value, "ENVOYEE: {sent}");
    }
    assert!(sent["sent_at"].is_string() && sent["attempts"] == 1 && sent["tries"] == 0, "{sent}");
    let again = until("ECHEC, to be tried again", async || {
        let row = dev.deliveries(&event).await.into_iter().find(|d| d["channel"] == "whatsapp")?;
        (row["state"] == "retrying").then_some(row)
    })
    .await;
    assert!(again["retry_at"].is_string() && again["sent_at"].is_null(), "{again}");
    assert!([json!(1), json!(2)].contains(&again["tries"]), "{again}");
    let lost = accepted(&dev, &about_the_loan("loan.reminder.two_hours", "hugo")).await;
    let lost = dev.delivery_in(&lost, "whatsapp", "failed").await;
    assert_eq!(
        (&lost["reason"], lost["failed_at"].is_string()),
        (&json!("rejected:131026"), true),
        "ECHEC_PERMANENT"
    );
    let read = dev.admin.get(&format!("/v1/deliveries/{}", text(&lost, "id"))).await.body;
    let attempt = read["timeline"].as_array().unwrap().iter().find(|e| e["kind"] == "attempt").unwrap();
    assert!(text(attempt, "detail").contains("Message undeliverable"), "{attempt}");
}
