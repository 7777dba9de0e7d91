//! A webhook may hold a thousand updates and 3 MiB; a queue message holds 1 MiB. Split by change, and a large change by
//! its statuses and messages. What is not understood is passed on whole, so that nothing Meta said is dropped here.

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// How many statuses or messages one piece holds: small enough to be repeated cheaply when one of them fails.
const UPDATES_A_PIECE: usize = 50;

/// How much of something unreadable is kept.
const KEPT_BYTES: usize = 65_536;

/// The queue messages of a webhook's body: `{"whatsapp": {"field", "value"}}`, or `{"unreadable": base64}`.
#[must_use]
pub fn pieces(body: &[u8]) -> Vec<String> {
    let Ok(webhook) = serde_json::from_slice::<Value>(body) else {
        let kept = body.get(..KEPT_BYTES).unwrap_or(body);
        return vec![json!({"unreadable": BASE64.encode(kept)}).to_string()];
    };
    let entries = webhook.get("entry").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let changes = entries.iter().filter_map(|entry| entry.get("changes")?.as_array()).flatten();
    changes.flat_map(pieces_of_change).map(|piece| json!({"whatsapp": piece}).to_string()).collect()
}

fn pieces_of_change(change: &Value) -> Vec<Value> {
    let field = change.get("field").cloned().unwrap_or_default();
    let piece = |value: Value| json!({"field": field, "value": value});
    let Some(Value::Object(value)) = change.get("value") else {
        return vec![piece(change.get("value").cloned().unwrap_or_default())];
    };
    let count = |name: &str| value.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    if count("statuses") + count("messages") <= UPDATES_A_PIECE {
        return vec![piece(Value::Object(value.clone()))];
    }
    let rest: Map<String, Value> =
        value.iter().filter(|(name, _)| *name != "statuses" && *name != "messages").map(|(n, v)| (n.clone(), v.clone())).collect();
    let mut pieces = Vec::new();
    for name in ["statuses", "messages"] {
        let list = value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for part in list.chunks(UPDATES_A_PIECE) {
            let mut one = rest.clone();
            one.insert(name.to_owned(), Value::Array(part.to_vec()));
            pieces.push(piece(Value::Object(one)));
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_statuses_are_split_and_none_is_lost() {
        let statuses: Vec<Value> = (0..1_000).map(|i| json!({"id": i})).collect();
        let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [
            {"field": "messages", "value": {"metadata": {"phone_number_id": "1"}, "statuses": statuses}},
            {"field": "account_update", "value": "odd"}
        ]}]});
        let pieces = pieces(body.to_string().as_bytes());
        assert_eq!(pieces.len(), 21);
        let parsed: Vec<Value> = pieces.iter().map(|p| serde_json::from_str(p).unwrap()).collect();
        let ids = parsed.iter().filter_map(|p| p["whatsapp"]["value"]["statuses"].as_array()).flatten();
        assert_eq!(ids.map(|s| s["id"].as_u64().unwrap()).collect::<Vec<_>>(), (0..1_000).collect::<Vec<_>>());
        assert!(parsed[..20].iter().all(|p| p["whatsapp"]["value"]["metadata"]["phone_number_id"] == "1"));
    }

    #[test]
    fn what_is_not_json_is_kept_and_what_says_nothing_is_no_message() {
        assert_eq!(pieces(b"\xff").len(), 1);
        assert!(pieces(b"{}").is_empty());
        assert!(pieces(br#"{"entry": 3}"#).is_empty());
    }
}
