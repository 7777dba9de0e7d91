//! What SES says later: one event record (the `detail` of an EventBridge event) becomes [`Receipts`]. Every field may
//! be missing or odd. Record-receipt comes next.

use carillon_domain::{Address, ReceiptKind, Timestamp};
use serde_json::Value;

use super::{TENANT_TAG, TOKEN_TAG};
use crate::detail::masked;
use crate::receipt::{ParsedReceipt, Receipts, kind_name, message_id};

/// Reads one record. `received_at` stands in for a time that SES did not give.
#[must_use]
pub fn parse(record: &Value, received_at: Timestamp) -> Receipts {
    let mail = &record["mail"];
    // Plain identity feedback says `notificationType`, and has no tags.
    let name =
        record["eventType"].as_str().or_else(|| record["notificationType"].as_str()).unwrap_or_default();
    let mut receipts = Receipts { tenant: tag(mail, TENANT_TAG).map(str::to_owned), ..Receipts::default() };
    match said(name, record) {
        Some(said) => receipts.receipts.push(ParsedReceipt {
            token: tag(mail, TOKEN_TAG).and_then(|text| text.parse().ok()),
            provider_message_id: mail["messageId"].as_str().and_then(message_id),
            kind: said.kind,
            at: time(&said.about["timestamp"]).or_else(|| time(&mail["timestamp"])).unwrap_or(received_at),
            code: said.code,
            meaning: None,
            detail: said.detail,
            address: mail["destination"][0].as_str().map(|address| Address::Email(address.to_owned())),
            pricing: None,
        }),
        None => receipts.unknown.push(kind_name(name)),
    }
    receipts
}

struct Said<'a> {
    kind: ReceiptKind,
    /// The object of the record that is about this kind.
    about: &'a Value,
    code: Option<String>,
    detail: Option<String>,
}

/// The kinds of record that say what became of a message (SES event publishing, 2026). An open or a click is its reader's,
/// unless SES says that a machine did it; a subscription says nothing about one message.
fn said<'a>(name: &str, record: &'a Value) -> Option<Said<'a>> {
    let plain = |kind, about| Said { kind, about, code: None, detail: None };
    Some(match name {
        "Send" => plain(ReceiptKind::Sent, &record["send"]),
        "Delivery" => plain(ReceiptKind::Delivered, &record["delivery"]),
        "Bounce" => {
            let about = &record["bounce"];
            let code = [&about["bounceType"], &about["bounceSubType"]].map(word);
            Said {
                code: joined(&code),
                detail: status(&about["bouncedRecipients"]),
                ..plain(ReceiptKind::Bounced, about)
            }
        }
        "Complaint" => {
            let about = &record["complaint"];
            let code = [&about["complaintFeedbackType"], &about["complaintSubType"]].map(word);
            Said { code: joined(&code), ..plain(ReceiptKind::Complained, about) }
        }
        "DeliveryDelay" => {
            let about = &record["deliveryDelay"];
            let code = word(&about["delayType"]);
            Said { code, detail: status(&about["delayedRecipients"]), ..plain(ReceiptKind::Delayed, about) }
        }
        "Open" if !by_machine(&record["open"]) => plain(ReceiptKind::Read, &record["open"]),
        "Click" if !by_machine(&record["click"]) => plain(ReceiptKind::Read, &record["click"]),
        "Reject" => failed(name, &record["reject"], "reason"),
        "Rendering Failure" => failed(name, &record["failure"], "errorMessage"),
        _ => return None,
    })
}

/// SES marks what scanners and mail proxies open since August 2026. Any flag of that sense counts, because an unread
/// message called read is worse than the other way round.
fn by_machine(about: &Value) -> bool {
    let says = |(name, value): (&String, &Value)| {
        let name = name.to_ascii_lowercase();
        *value == Value::Bool(true) && ["automated", "bot", "machine"].iter().any(|word| name.contains(word))
    };
    about.as_object().is_some_and(|about| about.iter().any(says))
}

fn failed<'a>(name: &str, about: &'a Value, reason: &str) -> Said<'a> {
    let detail = about[reason].as_str().map(|text| masked(text, &[]));
    Said { kind: ReceiptKind::Failed, about, code: Some(name.to_owned()), detail }
}

/// A word of SES's own vocabulary, such as `Permanent` or `auth-failure`.
fn word(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let plain =
        (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| text.to_owned())
}

fn joined(words: &[Option<String>]) -> Option<String> {
    let known: Vec<&str> = words.iter().flatten().map(String::as_str).collect();
    (!known.is_empty()).then(|| known.join("/"))
}

/// The first recipient's status such as `5.1.1`. The diagnostic text beside it quotes the address.
fn status(recipients: &Value) -> Option<String> {
    let status = recipients[0]["status"].as_str()?;
    let plain = (1..=12).contains(&status.len()) && status.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    plain.then(|| format!("status {status}"))
}

/// The first value of one of our tags.
fn tag<'a>(mail: &'a Value, name: &str) -> Option<&'a str> {
    let values = &mail["tags"][name];
    values[0].as_str().or_else(|| values.as_str())
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
