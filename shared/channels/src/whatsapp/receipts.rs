//! What Meta says later: the `statuses[]` of one `changes[].value` of a webhook become [`Receipts`]. Every field may be
//! missing or odd: refusing a webhook makes Meta repeat it for seven days. Record-receipt comes next.

use carillon_domain::prices::{MetaCategory, Pricing, calling_code};
use carillon_domain::{Address, ReceiptKind, Timestamp};
use serde_json::Value;

use super::errors::later_meaning;
use crate::detail::masked;
use crate::receipt::{ParsedReceipt, Receipts, kind_name, message_id};

/// Reads the statuses of one `value`. `received_at` stands in for a time that Meta did not give.
#[must_use]
pub fn parse(value: &Value, received_at: Timestamp) -> Receipts {
    let mut receipts = Receipts::default();
    for status in value["statuses"].as_array().into_iter().flatten() {
        let name = status["status"].as_str().unwrap_or_default();
        match kind(name) {
            Some(kind) => receipts.receipts.push(receipt(status, kind, received_at)),
            None => receipts.unknown.push(kind_name(name)),
        }
    }
    receipts
}

/// Meta's names (message status webhooks, 2026); a voice message that was `played` was read.
fn kind(status: &str) -> Option<ReceiptKind> {
    Some(match status {
        "sent" => ReceiptKind::Sent,
        "delivered" => ReceiptKind::Delivered,
        "read" | "played" => ReceiptKind::Read,
        "failed" => ReceiptKind::Failed,
        _ => return None,
    })
}

fn receipt(status: &Value, kind: ReceiptKind, received_at: Timestamp) -> ParsedReceipt {
    let error = Some(&status["errors"][0]).filter(|e| e.is_object() && kind == ReceiptKind::Failed);
    let code = error.and_then(|e| integer(&e["code"]));
    ParsedReceipt {
        token: status["biz_opaque_callback_data"].as_str().and_then(|text| text.parse().ok()),
        provider_message_id: status["id"].as_str().and_then(message_id),
        kind,
        at: seconds(&status["timestamp"]).unwrap_or(received_at),
        code: code.map(|code| code.to_string()),
        meaning: code.map(later_meaning),
        detail: error.and_then(|e| detail(e, status)),
        address: None,
        pricing: pricing(status),
    }
}

/// What the message costs: Meta says it with `sent` and with one of `delivered` and `read`. `billable` is to go, and the
/// type says the same: everything but `regular` is free.
fn pricing(status: &Value) -> Option<Pricing> {
    let said = &status["pricing"];
    let regular = said["type"].as_str().map(|kind| kind == "regular");
    let category = match said["category"].as_str() {
        Some("marketing" | "marketing_lite") => Some(MetaCategory::Marketing),
        Some("utility" | "authentication" | "authentication_international") => Some(MetaCategory::Utility),
        Some("service") => Some(MetaCategory::Service),
        _ => None,
    };
    let phone = status["recipient_id"].as_str().map(|digits| Address::Phone(format!("+{digits}")));
    let bsuid = status["recipient_user_id"].as_str().map(|id| Address::Bsuid(id.to_owned()));
    let calling_code = phone.or(bsuid).and_then(|to| calling_code(&to));
    Some(Pricing { billable: said["billable"].as_bool().or(regular)?, category, calling_code })
}

/// The title with Meta's details, or its message where there is no title.
fn detail(error: &Value, status: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let parts =
        [text(&error["title"]).or_else(|| text(&error["message"])), text(&error["error_data"]["details"])];
    let words: Vec<String> = parts.into_iter().flatten().collect();
    let ids = ["recipient_id", "recipient_user_id"].map(|field| status[field].as_str().unwrap_or_default());
    (!words.is_empty()).then(|| masked(&words.join(": "), &ids))
}

/// Meta writes numbers as texts in some places and as numbers in others.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

pub(super) fn seconds(value: &Value) -> Option<Timestamp> {
    Timestamp::from_second(integer(value)?).ok()
}
