//! The path that staff notification in a CRM walks, on the pack `crm`: who is told of which event, what becomes of each
//! notification, and what an administrator sees of it. H1-H39, H47, H49, H55-H57.

use std::collections::BTreeSet;

use carillon_tests::command::{run, run_json};
use carillon_tests::stand_in::{StandIn, refused, taken};
use carillon_tests::{Dev, until};
use serde_json::{Value, json};

/// Somebody of every group; Grace and Tendai are in two. Farai has no phone, Miriam is a customer.
fn people() -> Vec<Value> {
    let person = |id: &str, name: &str, last: u32, groups: &[&str]| {
        let (phone, email) = (format!("+120255501{last:02}"), format!("{id}@example.com"));
        json!({"id": id, "name": name, "phone": phone, "email": email, "groups": groups})
    };
    let mut people = vec![
        person("tendai", "Tendai Moyo", 1, &["System Admins", "Technical Admin"]),
        person("grace", "Grace Ncube", 2, &["System Admins", "Sales Team"]),
        person("farai", "Farai Dube", 3, &["Technical Admin"]),
        person("kudzai", "Kudzai Banda", 4, &["Sales Team"]),
        person("simba", "Simba Phiri", 5, &["Pfungwa Staff"]),
        person("ruth", "Ruth Sibanda", 6, &["Pastoral Team"]),
        person("tafadzwa", "Tafadzwa Zhou", 7, &["Finance Team"]),
        person("miriam", "Miriam Gumbo", 8, &[]),
    ];
    people[2].as_object_mut().unwrap().remove("phone");
    people
}

async fn crm() -> Dev {
    let dev = Dev::start().await;
    dev.with_pack("crm", &people()).await;
    dev
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Recipient, channel, state and reason of each delivery, in order.
fn ends(deliveries: &[Value]) -> Vec<String> {
    let names = ["recipient_id", "channel", "state", "reason"];
    let end = |d: &Value| names.map(|name| text(d, name)).join(" ").trim_end().to_owned();
    let mut ends: Vec<String> = deliveries.iter().map(end).collect();
    ends.sort();
    ends
}

/// H1, H4, H5, H6, H55, H57c: the intake takes a template, ids and groups and a context, and nothing without a template
/// that is there or with a group that is not; each person has one record, with the message that became of it or the reason
/// why none did.
#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_queued_to_ids_and_groups_and_dispatched_one_by_one() {
    let dev = crm().await;
    let queue = |template: &str, group: &str| {
        json!({
            "type": "staff.notified", "template": template, "channels": ["whatsapp"], "subject": "contact-9009",
            "recipients": {"ids": ["miriam", "tendai"], "groups": [group]},
            "data": {"related_contact_name": "Rudo Gumbo", "last_bot_message": "One moment, please."}
        })
    };
    let template = "hanna_human_handover_flow";
    for (faulty, pointer) in [
        (queue("no_such_template", "Technical Admin"), "/template"),
        (queue(template, "No Such Team"), "/recipients/groups/0"),
    ] {
        let answer = dev.producer.post("/v1/events", &faulty).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec![pointer.to_owned()]));
    }
    let id = dev.post_settled(&queue(template, "Technical Admin")).await;
    for who in ["miriam", "tendai"] {
        dev.delivery_to(&id, &json!(who), "whatsapp", "delivered").await;
    }
    let records = dev.deliveries(&id).await;
    let expected =
        ["farai whatsapp skipped no_address", "miriam whatsapp delivered", "tendai whatsapp delivered"];
    assert_eq!(ends(&records), expected);
    let record = records.iter().find(|r| r["recipient_id"] == "tendai").unwrap();
    assert_eq!((text(record, "template"), text(record, "subject")), (template.into(), "contact-9009".into()));
    for field in ["id", "created_at", "sent_at", "provider_message_id"] {
        assert_ne!(text(record, field), "", "{field} of {record}");
    }
    let sent = dev.outbox().await;
    let parameters: Vec<&Value> = sent.iter().map(|item| &item["template"]["parameters"]).collect();
    assert_eq!(parameters, [&json!(["Rudo Gumbo", "One moment, please."]); 2]);
}

/// H2: pending and failed notifications are counted by the log's filter, sent ones too; an error says why.
#[tokio::test(flavor = "multi_thread")]
async fn pending_sent_and_failed_notifications_can_be_counted() {
    let meta = StandIn::start(|asked, number| match asked.body["to"].as_str() {
        Some("+12025550102") => refused(400, 131_026, "Message undeliverable"),
        _ => taken(number),
    })
    .await;
    let dev = Dev::with(Some(meta.url.clone()), None).await;
    let mut everybody = people();
    let more = (20..80).map(|n| {
        json!({"id": format!("admin-{n}"), "name": "Admin", "phone": format!("+120255501{n}"), "groups": ["System Admins"]})
    });
    everybody.extend(more);
    dev.with_pack("crm", &everybody).await;
    let counted = async |state: &str| {
        let list =
            dev.producer.get(&format!("/v1/deliveries?channel=whatsapp&limit=200&state={state}")).await;
        list.body["items"].as_array().map_or(0, Vec::len)
    };
    let held_back = meta.hold().await;
    let order = json!({"order_number": "1", "customer_name": "Ada", "total_amount": "USD 1.00"});
    let accepted = dev.producer.post("/v1/events", &json!({"type": "order.created", "data": order})).await;
    assert_eq!(accepted.status, 202);
    until("some wait for a worker", async || (counted("pending").await > 0).then_some(())).await;
    drop(held_back);
    until("nobody waits", async || (counted("sent").await == 62).then_some(())).await;
    assert_eq!((counted("pending").await, counted("failed").await), (0, 1));
    let failed = dev.producer.get("/v1/deliveries?state=failed").await.body["items"][0].clone();
    assert_eq!(ends(&[failed]), ["grace whatsapp failed rejected:131026"]);
}

/// What every one of the twelve templates is filled from.
fn anything() -> Value {
    json!({
        "order_number": "A-1001", "customer_name": "Ada Lungu", "total_amount": "USD 100.00", "payment_method": "card",
        "invoice_number": "INV-1", "request_number": "R-1", "installation_type": "inverter", "kit_type": "standard",
        "panel_count": 12, "reason": "new roof", "address": "1 Example Road", "preferred_date": "24 November",
        "related_contact_name": "Rudo Gumbo", "contact_name": "Rudo Gumbo", "error_code": 131_026, "error_message": "Message undeliverable",
        "last_bot_message": "One moment, please.", "job_card_number": "J-1", "product": "inverter",
        "description": "does not start", "application_number": "L-1", "applicant_name": "Ada Lungu",
        "loan_type": "solar", "amount": "USD 900.00", "closes_at": "2026-11-20T14:30:00Z",
    })
}

/// The item, the event, and its groups, as the CRM had them.
const ROUTES: [(&str, &str, &[&str]); 12] = [
    ("H21", "order.created", &["System Admins", "Sales Team"]),
    ("H22", "order.placed_online", &["Sales Team", "System Admins"]),
    ("H23", "invoice.processed", &["System Admins", "Sales Team"]),
    ("H24", "installation.requested", &["Pfungwa Staff", "System Admins"]),
    ("H25", "starlink.installation_requested", &["Pfungwa Staff", "System Admins"]),
    ("H26", "solar_cleaning.requested", &["Pfungwa Staff", "System Admins"]),
    ("H27", "site_assessment.requested", &["Technical Admin", "Sales Team"]),
    ("H28", "message.send_failed", &["Technical Admin"]),
    ("H29", "conversation.handover_requested", &["Technical Admin"]),
    ("H30", "job_card.created", &["System Admins"]),
    ("H31", "loan.applied", &["Finance Team"]),
    ("H32", "conversation.window_closing", &["Pastoral Team"]),
];

/// H7, H10, H20, H21, H22, H23, H24, H25, H26, H27, H28, H29, H30, H31, H32: the producer names the event and nobody
/// else; it is told to the members of exactly its groups, by WhatsApp, email and in the feed, to each of them once.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_twelve_events_is_told_to_exactly_its_groups() {
    let dev = crm().await;
    for (item, event_type, groups) in ROUTES {
        let id = dev.post_settled(&json!({"type": event_type, "data": anything()})).await;
        let mut told = BTreeSet::new();
        let members = people();
        let in_groups =
            |p: &&Value| groups.iter().any(|g| p["groups"].as_array().unwrap().contains(&json!(g)));
        for person in members.iter().filter(in_groups) {
            for channel in ["whatsapp", "email", "in_app"] {
                told.insert((text(person, "id"), channel.to_owned()));
            }
        }
        let deliveries = dev.deliveries(&id).await;
        assert_eq!(deliveries.len(), told.len(), "{item}: each once");
        let planned: BTreeSet<(String, String)> =
            deliveries.iter().map(|d| (text(d, "recipient_id"), text(d, "channel"))).collect();
        assert_eq!(planned, told, "{item}: {event_type}");
        for delivery in &deliveries {
            let reason = if delivery["recipient_id"] == "farai" && delivery["channel"] == "whatsapp" {
                "no_address"
            } else {
                ""
            };
            assert_eq!(text(delivery, "reason"), reason, "{item}: {delivery}");
        }
    }
}

/// H14, H15, H16, H17, H18, H19, H20: the six groups are there by their names, each says what it is for, and somebody who
/// is in two of them is told once by an event to both.
#[tokio::test(flavor = "multi_thread")]
async fn six_groups_say_what_they_are_for_and_who_is_in_two_is_told_once() {
    let dev = crm().await;
    for (name, purpose) in [
        ("Technical Admin", "System errors, message failures, human handover"),
        ("System Admins", "All important events, orders, installations"),
        ("Sales Team", "Customer orders, inquiries, processed invoices"),
        ("Pastoral Team", "24-hour window closing reminders"),
        ("Pfungwa Staff", "Installation requests, cleaning services"),
        ("Finance Team", "Loan applications, financial transactions"),
    ] {
        let group = dev.producer.get(&format!("/v1/groups/{}", name.replace(' ', "%20"))).await.body;
        assert_eq!(text(&group, "description"), purpose);
    }
    let id = dev.post_settled(&json!({"type": "order.created", "data": anything()})).await;
    let to_grace = dev.deliveries(&id).await.into_iter().filter(|d| d["recipient_id"] == "grace");
    assert_eq!(to_grace.count(), 3, "one on each channel");
    let mails = dev.outbox().await.into_iter().filter(|m| m["to"] == "grace@example.com");
    assert_eq!(mails.count(), 1);
}

/// H13, H33, H34, H35: three mails go out without WhatsApp: two to the customer that the event names, one to the active
/// administrators.
#[tokio::test(flavor = "multi_thread")]
async fn direct_mails_go_to_the_customer_and_to_active_administrators() {
    let dev = crm().await;
    let retired = json!({"name": "Retired", "email": "retired@example.com", "active": false});
    dev.admin.put("/v1/recipients/retired", &retired).await;
    dev.admin.post("/v1/groups/System%20Admins/members", &json!({"add": ["retired"]})).await;
    let receipt = json!({"customer_id": "miriam", "document_type": "invoice", "document_number": "INV-1", "received_on": "2026-11-20"});
    let twice =
        json!({"customer_id": "miriam", "invoice_number": "INV-2", "first_received_on": "2026-11-20"});
    let error = json!({"component": "import", "error_message": "page 2 is missing", "reference": "ERR-3"});
    for (event_type, data, reached, says) in [
        ("receipt.confirmed", receipt, vec!["miriam"], "INV-1"),
        ("invoice.duplicate", twice, vec!["miriam"], "INV-2"),
        ("system.error", error, vec!["grace", "tendai"], "ERR-3"),
    ] {
        let before = dev.outbox().await.len();
        let id = dev.post_settled(&json!({"type": event_type, "data": data})).await;
        let sent = dev.outbox().await.split_off(before);
        let mut to: Vec<String> = sent.iter().map(|mail| text(mail, "to")).collect();
        to.sort();
        let addresses: Vec<String> = reached.iter().map(|who| format!("{who}@example.com")).collect();
        assert_eq!(to, addresses, "{event_type}");
        assert!(sent.iter().all(|mail| mail["channel"] == "email" && text(mail, "text").contains(says)));
        let ends = ends(&dev.deliveries(&id).await);
        let retired = ends.iter().any(|end| end == "retired email skipped inactive");
        assert_eq!(retired, event_type == "system.error", "{ends:?}");
    }
}

/// H37, H38: the two templates of which the variables are known take exactly these, and say which one is missing.
#[tokio::test(flavor = "multi_thread")]
async fn two_templates_are_filled_from_exactly_their_variables() {
    let dev = crm().await;
    for (template, variables) in [
        ("hanna_new_order_created", &["order_number", "customer_name", "total_amount"][..]),
        ("hanna_human_handover_flow", &["related_contact_name", "last_bot_message"]),
    ] {
        let path = format!("/v1/templates/{template}/preview");
        let data = |without: &str| {
            let given = variables.iter().filter(|name| **name != without);
            Value::Object(given.map(|name| ((*name).to_owned(), json!(format!("<{name}>")))).collect())
        };
        let filled = dev.producer.post(&path, &json!({"data": data(""), "recipient": "tendai"})).await;
        assert_eq!(filled.status, 200, "{filled:?}");
        let parameters: Vec<String> = variables.iter().map(|name| format!("<{name}>")).collect();
        let outside = &filled.body["rendered"]["whatsapp"]["outside_window"];
        assert_eq!(
            (text(outside, "name"), &outside["parameters"]),
            (template.to_owned(), &json!(parameters))
        );
        for name in variables {
            let refused = dev.producer.post(&path, &json!({"data": data(name), "recipient": "tendai"})).await;
            assert_eq!(refused.status, 422, "without {name}");
            assert!(refused.body.to_string().contains(name), "{refused:?}");
        }
    }
}

/// H36, H39, H57a: the set has a template for each of the fifteen topics, published.
#[tokio::test(flavor = "multi_thread")]
async fn fifteen_topics_have_a_published_template() {
    let dev = crm().await;
    let list = dev.producer.get("/v1/templates?limit=200").await.body;
    let published: BTreeSet<String> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["published"].is_u64())
        .map(|t| text(t, "name"))
        .collect();
    for topic in [
        "new_order_created",
        "online_order_placed",
        "invoice_processed",
        "installation_requested",
        "starlink_installation_requested",
        "solar_cleaning_requested",
        "site_assessment_requested",
        "job_card_created",
        "human_handover_flow",
        "message_send_failed",
        "loan_application_received",
        "24h_window_closing",
        "receipt_confirmation",
        "duplicate_invoice",
        "system_error",
    ] {
        assert!(published.contains(&format!("hanna_{topic}")), "{topic} in {published:?}");
    }
    assert!(published.len() >= 15);
}

/// H11, H57b: a contact's number as digits without a plus is the recipient's own number, and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_digits_belongs_to_one_recipient() {
    let dev = crm().await;
    let put = async |id: &str, phone: &str| {
        dev.admin.put(&format!("/v1/recipients/{id}"), &json!({"name": "Bo", "phone": phone})).await
    };
    assert_eq!(put("bo", "12025550120").await.status, 201);
    assert_eq!(dev.admin.get("/v1/recipients/bo").await.body["phone"], "+12025550120");
    let taken = put("cy", "+1 (202) 555-0120").await;
    assert_eq!(taken.status, 409);
    assert!(taken.body.to_string().contains("bo"), "names who has it: {taken:?}");
    assert_eq!(put("cy", "12025550121").await.status, 201);
}

/// H8, H9: what the provider does not take at first is tried again by itself, on both channels.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_busy_is_asked_again() {
    let meta = StandIn::start(|_, number| match number {
        1 => refused(503, 131_016, "Service unavailable"),
        _ => taken(number),
    })
    .await;
    let ses = StandIn::start(|_, number| match number {
        1 => (408, json!({"__type": "RequestTimeout", "message": "try again"})),
        _ => (200, json!({"MessageId": "0100-1"})),
    })
    .await;
    let dev = Dev::with(Some(meta.url.clone()), Some(ses.url.clone())).await;
    dev.with_pack("crm", &people()).await;
    let id = dev.post_settled(&json!({"type": "loan.applied", "data": anything()})).await;
    for channel in ["whatsapp", "email"] {
        let sent = dev.delivery_in(&id, channel, "sent").await;
        assert_eq!((&sent["attempts"], &sent["tries"]), (&json!(2), &json!(1)), "{sent}");
    }
    assert_eq!((meta.asked().len(), ses.asked().len()), (2, 2));
}

/// H47: a test order to a group says what was queued, and each dispatched notification with the message it became.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_order_is_sent_to_a_group_and_shows_its_messages() {
    let dev = crm().await;
    let data =
        r#"{"order_number": "TEST-001", "customer_name": "Test Customer", "total_amount": "USD 100.00"}"#;
    let mut arguments =
        vec!["send", "test.order", "--template", "hanna_new_order_created", "--channel", "whatsapp"];
    arguments.extend(["--group", "System Admins", "--data", data, "--wait"]);
    let sent = run(&dev, &arguments).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let id = sent.complaint.trim().strip_prefix("accepted: ").unwrap();
    for delivery in dev.deliveries(id).await {
        let [who, message] = ["recipient_id", "provider_message_id"].map(|name| text(&delivery, name));
        let line = sent.text.lines().find(|line| line.starts_with(&who)).unwrap();
        assert!(message.starts_with("wamid.") && line.contains(&message), "{message} in {line}");
    }
    assert_eq!(sent.text.lines().count(), 3, "a heading and two administrators: {}", sent.text);
    assert!(dev.outbox().await.iter().all(|m| m["template"]["parameters"][0] == "TEST-001"));
}

/// H49: the last ten notifications, the newest first, with when, who, how it stands, and what went wrong.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_ten_notifications_are_shown_with_their_errors() {
    let dev = crm().await;
    for name in ["first", "second", "third"] {
        let data = json!({"related_contact_name": name, "last_bot_message": "Hello."});
        let event = json!({"type": "conversation.handover_requested", "subject": name, "data": data});
        dev.post_settled(&event).await;
    }
    let recent = run(&dev, &["recent"]).await;
    let lines: Vec<&str> = recent.text.lines().collect();
    assert_eq!((recent.code, lines.len()), (Some(0), 11), "{}", recent.text);
    for heading in ["CREATED_AT", "RECIPIENT", "STATE", "REASON"] {
        assert!(lines[0].contains(heading), "{}", lines[0]);
    }
    assert!(
        lines[1..].iter().any(|l| l.contains("farai") && l.contains("skipped") && l.contains("no_address"))
    );
    let (_, all) = run_json(&dev, &["recent"]).await;
    let subjects: Vec<&str> =
        all["items"].as_array().unwrap().iter().map(|d| d["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, [["third"; 6].as_slice(), &["second"; 4]].concat());
}

/// H56: another region and configuration set of the provider is put and tried without a deployment.
#[tokio::test(flavor = "multi_thread")]
async fn another_email_configuration_is_put_and_tried() {
    let dev = crm().await;
    let now = dev.admin.get("/v1/channels/email").await.body;
    let other = json!({"from": now["from"], "region": "eu-west-1", "configuration_set": "second"});
    assert_eq!(dev.admin.put("/v1/channels/email", &other).await.status, 200);
    let there = dev.admin.get("/v1/channels/email").await.body;
    assert_eq!((&there["region"], &there["configuration_set"]), (&json!("eu-west-1"), &json!("second")));
    let tried = run(&dev, &["validate", "--pack", "crm", "--test-email", "ada@example.com"]).await;
    assert!(tried.text.contains("test by email to ada@example.com: "), "{tried:?}");
    assert!(dev.outbox().await.iter().any(|mail| mail["to"] == "ada@example.com"));
}
