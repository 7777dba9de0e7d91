//! What strangers send, read as the functions read it: Meta's webhooks, SES's events, producers' events. For the property
//! tests and the fuzzers: whatever the bytes are, nothing panics and what is understood holds what was promised.

use carillon_channels::{email, whatsapp};
use carillon_domain::{Attempt, EventInput, Timestamp};
use serde_json::Value;

/// The largest message of a queue.
const QUEUE_BYTES: usize = 1_048_576;

/// A webhook, from the raw bytes to what receipts makes of each piece.
///
/// # Panics
/// When a promise is broken.
pub fn webhook(body: &[u8]) {
    let pieces = webhooks::split::pieces(body, None);
    assert!(!pieces.is_empty(), "nothing that Meta says is dropped");
    for piece in pieces {
        assert!(piece.len() < QUEUE_BYTES || body.len() >= QUEUE_BYTES, "a piece fits its queue");
        let piece: Value = serde_json::from_str(&piece).unwrap_or_default();
        assert!(piece.is_object(), "a piece is an object");
        let change = &piece["whatsapp"];
        let field = change["field"].as_str().unwrap_or_default();
        drop(whatsapp::account::parse(field, &change["value"]));
        drop(whatsapp::inbound::parse(&change["value"], Timestamp::UNIX_EPOCH));
        understood(&whatsapp::receipts::parse(&change["value"], Timestamp::UNIX_EPOCH));
    }
    // Any signature of any bytes is only ever wrong.
    assert!(!webhooks::signature::is_valid(&String::from_utf8_lossy(body), body, &["a secret".to_owned()]));
}

/// An event of SES.
///
/// # Panics
/// When a promise is broken.
pub fn ses(body: &[u8]) {
    let record: Value = serde_json::from_slice(body).unwrap_or_default();
    understood(&email::receipts::parse(&record, Timestamp::UNIX_EPOCH));
}

/// A producer's event: refused with pointers, or accepted and the same when it is read back.
///
/// # Panics
/// When a promise is broken.
pub fn event(body: &[u8]) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match EventInput::parse(body) {
        Ok(input) => {
            drop(input.own_key());
            drop(carillon_domain::event::text_at(&input, "data.a.b"));
        }
        Err(faults) => assert!(!faults.is_empty(), "what is refused says why"),
    }
}

fn understood(said: &carillon_channels::Receipts) {
    for receipt in &said.receipts {
        let detail = receipt.detail.as_deref().unwrap_or_default();
        assert!(detail.chars().count() <= Attempt::DETAIL_CHARS, "a detail fits its item");
        assert!(!detail.contains('@'), "no address is kept");
    }
}
