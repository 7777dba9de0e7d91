//! Events of an accepted email in the shape that EventBridge delivers, with the outcomes of the mailbox simulator. The
//! receipts function reads them. Facts: Amazon SES API v2 and developer guide (November 2026).

use std::time::Duration;

use carillon_domain::Timestamp;
use serde_json::{Map, Value, json};

use super::request::Email;
use crate::fakes::Delays;

/// The domain whose mailboxes act on purpose.
const SIMULATOR: &str = "simulator.amazonses.com";

/// What becomes of an email at one address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    Complaint,
    /// With its `bounceSubType`.
    Bounce(&'static str),
}

/// Every event of an email with its delay after the acceptance: Send, then Delivery or Bounce, then Complaint.
pub(super) fn of(
    email: &Email,
    message_id: &str,
    accepted_at: Timestamp,
    delays: &Delays,
    event_id: impl Fn() -> String,
) -> Vec<(Duration, Value)> {
    let mail = mail(email, message_id, accepted_at);
    let with = |wanted: fn(Fate) -> bool| -> Vec<&str> {
        email.to.iter().map(String::as_str).filter(|address| wanted(fate(address))).collect()
    };
    let mut events = vec![(delays.sent, "Send", "Email Sent", "send", json!({}))];
    let delivered = with(|fate| !matches!(fate, Fate::Bounce(_)));
    if !delivered.is_empty() {
        events.push((delays.delivered, "Delivery", "Email Delivered", "delivery", delivery(&delivered)));
    }
    for sub_type in ["General", "OnAccountSuppressionList"] {
        let bounced: Vec<_> =
            email.to.iter().map(String::as_str).filter(|a| fate(a) == Fate::Bounce(sub_type)).collect();
        if !bounced.is_empty() {
            events.push((delays.delivered, "Bounce", "Email Bounced", "bounce", bounce(sub_type, &bounced)));
        }
    }
    let complained = with(|fate| fate == Fate::Complaint);
    if !complained.is_empty() {
        let detail = complaint(&complained);
        events.push((delays.delivered * 2, "Complaint", "Email Complaint Received", "complaint", detail));
    }
    let record = |(after, event_type, detail_type, name, mut detail): (Duration, &str, &str, &str, Value)| {
        let at = accepted_at.saturating_add(after).unwrap_or(accepted_at);
        if event_type != "Send" {
            detail["timestamp"] = json!(format!("{at:.3}"));
        }
        let record = json!({
            "version": "0", "id": event_id(), "detail-type": detail_type, "source": "aws.ses",
            "account": "000000000000", "region": "local", "time": format!("{at:.0}"), "resources": [],
            "detail": {"eventType": event_type, "mail": mail, name: detail},
        });
        (after, record)
    };
    events.into_iter().map(record).collect()
}

fn fate(address: &str) -> Fate {
    let Some((local, domain)) = address.rsplit_once('@') else { return Fate::Delivered };
    if !domain.eq_ignore_ascii_case(SIMULATOR) {
        return Fate::Delivered;
    }
    let mailbox = local.split_once('+').map_or(local, |(mailbox, _)| mailbox);
    match mailbox.to_ascii_lowercase().as_str() {
        "bounce" => Fate::Bounce("General"),
        "suppressionlist" => Fate::Bounce("OnAccountSuppressionList"),
        "complaint" => Fate::Complaint,
        _ => Fate::Delivered,
    }
}

fn mail(email: &Email, message_id: &str, accepted_at: Timestamp) -> Value {
    let mut tags: Map<String, Value> =
        email.tags.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    if let Some(set) = &email.configuration_set {
        tags.insert("ses:configuration-set".to_owned(), json!([set]));
    }
    let domain = email.from.rsplit_once('@').map_or("", |(_, domain)| domain.trim_end_matches('>'));
    tags.insert("ses:from-domain".to_owned(), json!([domain]));
    let own = email.headers.iter().map(|(name, value)| json!({"name": name, "value": value}));
    let made = [("From", &email.from), ("Subject", &email.subject)];
    let made = made.into_iter().map(|(name, value)| json!({"name": name, "value": value}));
    json!({
        "timestamp": format!("{accepted_at:.3}"),
        "source": email.from,
        "sendingAccountId": "000000000000",
        "messageId": message_id,
        "destination": email.to,
        "headersTruncated": false,
        "headers": made.chain(own).collect::<Vec<_>>(),
        "commonHeaders": {"from": [email.from], "to": email.to, "messageId": message_id, "subject": email.subject},
        "tags": tags,
    })
}

fn delivery(recipients: &[&str]) -> Value {
    json!({
        "processingTimeMillis": 50,
        "recipients": recipients,
        "smtpResponse": "250 2.0.0 OK",
        "reportingMTA": "a1-1.smtp-out.amazonses.com",
    })
}

fn bounce(sub_type: &str, recipients: &[&str]) -> Value {
    let bounced = |address: &&str| {
        let diagnostic = "smtp; 550 5.1.1 user unknown";
        json!({"emailAddress": address, "action": "failed", "status": "5.1.1", "diagnosticCode": diagnostic})
    };
    json!({
        "bounceType": "Permanent",
        "bounceSubType": sub_type,
        "bouncedRecipients": recipients.iter().map(bounced).collect::<Vec<_>>(),
        "feedbackId": "local-bounce",
    })
}

fn complaint(recipients: &[&str]) -> Value {
    let complained: Vec<_> = recipients.iter().map(|address| json!({"emailAddress": address})).collect();
    json!({
        "complainedRecipients": complained,
        "complaintFeedbackType": "abuse",
        "complaintSubType": null,
        "feedbackId": "local-complaint",
    })
}
