//! Statuses as Meta posts them: the envelope, the signature over the raw bytes, one POST for all that are due. The
//! webhooks function receives them. Facts: Meta, WhatsApp Cloud API, "Send messages", "Webhooks" and "Error codes" (November 2026).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use carillon_domain::Timestamp;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::GraphSettings;
use super::request::{Content, Person, SendRequest};
use crate::fakes::Delays;
use crate::journal::chain;

/// Meta hangs up on a slow webhook; how soon is not documented.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The statuses of an accepted message: sent, then delivered. Nobody reads it.
pub(super) fn statuses(
    delays: &Delays,
    accepted_at: Timestamp,
    phone_number_id: &str,
    message_id: &str,
    request: &SendRequest,
) -> Vec<(Duration, Value)> {
    let status = |name: &str, after: Duration| {
        let at = accepted_at.saturating_add(after).unwrap_or(accepted_at);
        let mut status = json!({
            "id": message_id,
            "status": name,
            "timestamp": at.as_second().to_string(),
            "pricing": pricing(&request.content),
        });
        match &request.to {
            Person::Phone { wa_id, .. } => status["recipient_id"] = json!(wa_id),
            Person::Bsuid(bsuid) => status["recipient_user_id"] = json!(bsuid),
        }
        if let Some(data) = &request.callback_data {
            status["biz_opaque_callback_data"] = json!(data);
        }
        (after, json!({"phone_number_id": phone_number_id, "status": status}))
    };
    vec![status("sent", delays.sent), status("delivered", delays.delivered)]
}

/// Free text is free inside the window; the fake takes every template for a utility.
fn pricing(content: &Content) -> Value {
    let (kind, category, billable) = match content {
        Content::Text(_) => ("free_customer_service", "service", false),
        Content::Template(_) => ("regular", "utility", true),
    };
    json!({"billable": billable, "pricing_model": "PMP", "type": kind, "category": category})
}

/// Posts statuses in one body, and answers whether the webhook took it.
pub(super) async fn post(
    http: &reqwest::Client,
    settings: &GraphSettings,
    receipts: &[Value],
) -> Result<(), String> {
    send(http, settings, &envelope(settings, receipts)).await
}

/// Posts a webhook's body, signed.
pub(super) async fn send(
    http: &reqwest::Client,
    settings: &GraphSettings,
    envelope: &Value,
) -> Result<(), String> {
    let body = ascii(&envelope.to_string());
    let signature = sign(settings.app_secret.as_bytes(), body.as_bytes());
    let sent = http
        .post(&settings.webhook_url)
        .timeout(TIMEOUT)
        .header("content-type", "application/json")
        .header("x-hub-signature-256", signature)
        .body(body)
        .send()
        .await;
    match sent {
        Ok(response) if response.status() == reqwest::StatusCode::OK => Ok(()),
        Ok(response) => Err(format!("the webhook answered {}", response.status())),
        Err(error) => Err(chain(&error.without_url())),
    }
}

fn envelope(settings: &GraphSettings, receipts: &[Value]) -> Value {
    let mut by_number: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for receipt in receipts {
        by_number
            .entry(receipt["phone_number_id"].as_str().unwrap_or_default())
            .or_default()
            .push(&receipt["status"]);
    }
    let change = |(phone_number_id, statuses)| {
        let metadata = metadata(settings, phone_number_id);
        let value = json!({"messaging_product": "whatsapp", "metadata": metadata, "statuses": statuses});
        json!({"field": "messages", "value": value})
    };
    let changes: Vec<_> = by_number.into_iter().map(change).collect();
    json!({"object": "whatsapp_business_account", "entry": [{"id": settings.waba_id, "changes": changes}]})
}

/// Which number a change is about.
pub(super) fn metadata(settings: &GraphSettings, phone_number_id: &str) -> Value {
    json!({"display_phone_number": settings.display_phone_number, "phone_number_id": phone_number_id})
}

/// The body of a webhook with these changes.
pub(super) fn envelope_of(settings: &GraphSettings, changes: &[Value], at: Timestamp) -> Value {
    let entry = json!({"id": settings.waba_id, "time": at.as_second(), "changes": changes});
    json!({"object": "whatsapp_business_account", "entry": [entry]})
}

/// Meta signs and sends its JSON with every character beyond ASCII escaped.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            if write!(escaped, "\\u{unit:04x}").is_err() {
                unreachable!("a String takes every text");
            }
        }
    }
    escaped
}

/// The value of `X-Hub-Signature-256`.
fn sign(secret: &[u8], body: &[u8]) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(body);
    format!("sha256={}", HEXLOWER.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_of_the_body() {
        // RFC 4231, test case 2.
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign(b"Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn characters_beyond_ascii_are_escaped_in_lower_case_as_meta_does() {
        assert_eq!(ascii(r#"{"a":"ä😀"}"#), r#"{"a":"\u00e4\ud83d\ude00"}"#);
    }
}
