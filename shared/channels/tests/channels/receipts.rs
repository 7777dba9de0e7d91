//! What providers say later, as they say it, and in every way in which it can be broken.

use carillon_channels::{ParsedReceipt, email, whatsapp};
use carillon_domain::prices::{MetaCategory, Pricing};
use carillon_domain::{Address, ReceiptKind, Timestamp};
use serde_json::{Value, json};

const TOKEN: &str = "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w-2";

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn whatsapp_webhook() -> Value {
    let status = |status: &str, timestamp: Value| {
        json!({
            "id": "wamid.HBgL", "status": status, "timestamp": timestamp, "recipient_id": "12025550123",
            "biz_opaque_callback_data": TOKEN,
            "pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility"},
        })
    };
    let mut failed = status("failed", json!("1795168800"));
    failed["errors"] = json!([{
        "code": 131_026, "title": "Message undeliverable", "message": "Message undeliverable",
        "error_data": {"details": "Message Undeliverable to 12025550123."}, "href": "https://example.com/",
    }]);
    json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550100", "phone_number_id": "106540352242922"},
        "statuses": [
            status("sent", json!("1795168801")), status("delivered", json!(1_795_168_802)), status("read", json!("soon")),
            status("played", json!("1795168804")), failed, status("warming_up", json!("1795168806")),
        ],
    })
}

#[test]
fn the_statuses_of_a_webhook_become_receipts() {
    let said = whatsapp::receipts::parse(&whatsapp_webhook(), now());
    let kinds: Vec<ReceiptKind> = said.receipts.iter().map(|r| r.kind).collect();
    let (sent, delivered, read) = (ReceiptKind::Sent, ReceiptKind::Delivered, ReceiptKind::Read);
    assert_eq!(kinds, [sent, delivered, read, read, ReceiptKind::Failed]);
    assert_eq!(said.unknown, ["warming_up"]);
    assert_eq!(
        said.receipts[0],
        ParsedReceipt {
            token: Some(TOKEN.parse().unwrap()),
            provider_message_id: Some("wamid.HBgL".to_owned()),
            kind: sent,
            at: at("2026-11-20T10:00:01Z"),
            code: None,
            meaning: None,
            detail: None,
            address: None,
            pricing: Some(Pricing {
                billable: true,
                category: Some(MetaCategory::Utility),
                calling_code: Some(1)
            })
        }
    );
    assert_eq!(said.receipts[1].at, at("2026-11-20T10:00:02Z"));
    assert_eq!(said.receipts[2].at, now());
    let failed = &said.receipts[4];
    assert_eq!(failed.code.as_deref(), Some("131026"));
    assert_eq!(failed.detail.as_deref(), Some("Message undeliverable: Message Undeliverable to [hidden]."));
}

#[test]
fn a_receipt_says_whether_its_message_is_billed() {
    let billed =
        json!({"billable": true, "pricing_model": "PMP", "type": "regular", "category": "marketing"});
    let without_billable =
        json!({"pricing_model": "PMP", "type": "free_customer_service", "category": "service"});
    for (pricing, billable, category) in
        [(billed, true, MetaCategory::Marketing), (without_billable, false, MetaCategory::Service)]
    {
        let mut webhook = whatsapp_webhook();
        webhook["statuses"][0]["recipient_id"] = json!("33612345678");
        webhook["statuses"][0]["pricing"] = pricing;
        let said = whatsapp::receipts::parse(&webhook, now());
        let expected = Pricing { billable, category: Some(category), calling_code: Some(33) };
        assert_eq!(said.receipts[0].pricing, Some(expected));
    }
}

#[test]
fn an_inbound_message_is_no_receipt() {
    let value = json!({"messages": [{"from": "12025550123", "id": "wamid.1", "type": "text"}]});
    assert_eq!(whatsapp::receipts::parse(&value, now()), carillon_channels::Receipts::default());
}

fn ses_record(kind: &str, object: &str, about: Value) -> Value {
    let mut record = json!({
        "eventType": kind,
        "mail": {
            "timestamp": "2026-11-20T10:00:00.000Z", "messageId": "0102019-x", "source": "noreply@example.com",
            "destination": ["ada@example.com"],
            "tags": {"carillon": [TOKEN], "carillon-tenant": ["acme"], "ses:configuration-set": ["carillon"]},
        },
    });
    record[object] = about;
    record
}

fn bounce() -> Value {
    ses_record(
        "Bounce",
        "bounce",
        json!({
            "bounceType": "Permanent", "bounceSubType": "General", "timestamp": "2026-11-20T10:00:05.000Z",
            "feedbackId": "f-1",
            "bouncedRecipients": [{"emailAddress": "ada@example.com", "action": "failed", "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 <ada@example.com>: user unknown"}],
        }),
    )
}

#[test]
fn a_bounce_names_its_type_its_status_and_where_it_went() {
    let said = email::receipts::parse(&bounce(), now());
    assert_eq!(said.tenant.as_deref(), Some("acme"));
    assert_eq!(
        said.receipts,
        [ParsedReceipt {
            token: Some(TOKEN.parse().unwrap()),
            provider_message_id: Some("0102019-x".to_owned()),
            kind: ReceiptKind::Bounced,
            at: at("2026-11-20T10:00:05Z"),
            code: Some("Permanent/General".to_owned()),
            meaning: None,
            detail: Some("status 5.1.1".to_owned()),
            address: Some(Address::Email("ada@example.com".to_owned())),
            pricing: None
        }]
    );
}

#[test]
fn every_kind_of_record_is_known_for_what_it_is() {
    for (kind, object, about, receipt, code) in [
        ("Send", "send", json!({}), ReceiptKind::Sent, None),
        ("Delivery", "delivery", json!({"smtpResponse": "250 ok"}), ReceiptKind::Delivered, None),
        (
            "Bounce",
            "bounce",
            json!({"bounceType": "Transient", "bounceSubType": "MailboxFull"}),
            ReceiptKind::Bounced,
            Some("Transient/MailboxFull"),
        ),
        (
            "Complaint",
            "complaint",
            json!({"complaintFeedbackType": "abuse"}),
            ReceiptKind::Complained,
            Some("abuse"),
        ),
        ("Reject", "reject", json!({"reason": "Bad content"}), ReceiptKind::Failed, Some("Reject")),
        (
            "Rendering Failure",
            "failure",
            json!({"errorMessage": "Attribute 'x' is missing for ada@example.com"}),
            ReceiptKind::Failed,
            Some("Rendering Failure"),
        ),
        (
            "DeliveryDelay",
            "deliveryDelay",
            json!({"delayType": "MailboxFull"}),
            ReceiptKind::Delayed,
            Some("MailboxFull"),
        ),
    ] {
        let said = email::receipts::parse(&ses_record(kind, object, about), now());
        let [one] = said.receipts.as_slice() else { panic!("{kind} {said:?}") };
        assert_eq!((one.kind, one.code.as_deref()), (receipt, code), "{kind}");
        assert_eq!(one.at, at("2026-11-20T10:00:00Z"));
        assert!(!one.detail.as_deref().unwrap_or_default().contains('@'), "{one:?}");
    }
    for (kind, object) in [("Open", "open"), ("Click", "click")] {
        let of_reader =
            email::receipts::parse(&ses_record(kind, object, json!({"ipAddress": "192.0.2.1"})), now());
        assert_eq!(of_reader.receipts[0].kind, ReceiptKind::Read, "{kind}");
        let of_machine =
            email::receipts::parse(&ses_record(kind, object, json!({"isAutomated": true})), now());
        assert!(of_machine.receipts.is_empty(), "{kind} by a scanner is no reader's");
    }
    for kind in ["Subscription", "Something New"] {
        let said = email::receipts::parse(&ses_record(kind, "x", json!({})), now());
        assert_eq!((said.receipts.len(), said.unknown.as_slice()), (0, [kind.to_owned()].as_slice()));
    }
}

#[test]
fn plain_identity_feedback_is_read_without_its_tags() {
    let mut record = bounce();
    record["notificationType"] = record["eventType"].take();
    record["mail"].as_object_mut().unwrap().remove("tags");
    let said = email::receipts::parse(&record, now());
    assert_eq!((said.tenant, said.receipts[0].token.clone()), (None, None));
    assert_eq!(said.receipts[0].kind, ReceiptKind::Bounced);
}

/// Every value that differs from this one in one place: a part removed, or replaced by something odd.
fn broken(value: &Value) -> Vec<Value> {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!("é\u{0}"),
        json!([]),
        json!({}),
        json!([[{}]]),
    ];
    let mut all: Vec<Value> = odd.to_vec();
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let mut without = fields.clone();
                without.remove(name);
                all.push(Value::Object(without));
                for replaced in broken(field) {
                    let mut with = fields.clone();
                    with.insert(name.clone(), replaced);
                    all.push(Value::Object(with));
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                for replaced in broken(item) {
                    let mut with = items.clone();
                    with[at] = replaced;
                    all.push(Value::Array(with));
                }
            }
        }
        _ => {}
    }
    all
}

#[test]
fn broken_webhooks_and_records_are_read_as_far_as_possible_and_never_panic() {
    let webhooks = broken(&whatsapp_webhook());
    assert!(webhooks.len() > 300);
    for value in webhooks {
        let said = whatsapp::receipts::parse(&value, now());
        assert!(said.receipts.len() + said.unknown.len() <= 6, "{value}");
    }
    let delay =
        ses_record("DeliveryDelay", "deliveryDelay", json!({"delayedRecipients": [{"status": "4.4.1"}]}));
    for record in [bounce(), delay] {
        for value in broken(&record) {
            let said = email::receipts::parse(&value, now());
            assert_eq!(said.receipts.len() + said.unknown.len(), 1, "{value}");
        }
    }
}
