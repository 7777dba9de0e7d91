//! A webhook may hold a thousand updates and 3 MiB; a queue message holds 1 MiB. Split by change, and a large change by
//! its statuses and messages. What is not understood is passed on whole, so that nothing Meta said is dropped here.

use carillon_domain::TenantId;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// How many statuses or messages one piece holds: small enough to be repeated cheaply when one of them fails.
const UPDATES_A_PIECE: usize = 50;

/// How large a piece may be, far below the 1 MiB of a queue message.
const BYTES_A_PIECE: usize = 262_144;

/// How much of something unreadable is kept.
const KEPT_BYTES: usize = 65_536;

/// The queue messages of a webhook's body: `{"whatsapp": {"field", "value", "waba"?, "time"?, "app"?}}`, or
/// `{"unreadable": base64}`. `waba` and `time` are those of the entry; `app` is the tenant whose Meta app it came from:
/// receipts takes nothing from it about anybody else.
#[must_use]
pub fn pieces(body: &[u8], app: Option<&TenantId>) -> Vec<String> {
    let Ok(webhook) = serde_json::from_slice::<Value>(body) else {
        return vec![kept_whole(body)];
    };
    let entries = webhook.get("entry").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let changes = entries.iter().filter_map(|entry| {
        let changes = entry.get("changes")?.as_array()?;
        Some(changes.iter().map(move |change| (entry, change)))
    });
    let marked = |entry: &Value, mut piece: Value| {
        for (ours, theirs) in [("waba", "id"), ("time", "time")] {
            if let Some(known) = entry.get(theirs) {
                piece[ours] = known.clone();
            }
        }
        if let Some(tenant) = app {
            piece["app"] = json!(tenant);
        }
        json!({"whatsapp": piece}).to_string()
    };
    let changes: Vec<(&Value, &Value)> = changes.flatten().collect();
    if changes.is_empty() {
        return vec![kept_whole(body)];
    }
    let pieces = changes.into_iter().flat_map(|(entry, change)| {
        pieces_of_change(change).into_iter().map(move |piece| marked(entry, piece))
    });
    pieces.collect()
}

fn kept_whole(body: &[u8]) -> String {
    let kept = body.get(..KEPT_BYTES).unwrap_or(body);
    json!({"unreadable": BASE64.encode(kept)}).to_string()
}

fn pieces_of_change(change: &Value) -> Vec<Value> {
    let field = change.get("field").cloned().unwrap_or_default();
    let piece = |value: Value| json!({"field": field, "value": value});
    let Some(Value::Object(value)) = change.get("value") else {
        return vec![piece(change.get("value").cloned().unwrap_or_default())];
    };
    let count = |name: &str| value.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let updates = count("statuses") + count("messages");
    let bytes = change.to_string().len();
    if updates <= UPDATES_A_PIECE && bytes <= BYTES_A_PIECE {
        return vec![piece(Value::Object(value.clone()))];
    }
    // Large updates travel alone; one that is larger than a queue message cannot be Meta's, whose texts have 4 KB.
    let part = if bytes / updates.max(1) > BYTES_A_PIECE / UPDATES_A_PIECE { 1 } else { UPDATES_A_PIECE };
    let rest: Map<String, Value> = value
        .iter()
        .filter(|(name, _)| *name == "metadata" || *name == "contacts")
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    let mut pieces = Vec::new();
    for name in ["statuses", "messages"] {
        let list = value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for part in list.chunks(part) {
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
        let pieces = pieces(body.to_string().as_bytes(), None);
        assert_eq!(pieces.len(), 21);
        let parsed: Vec<Value> = pieces.iter().map(|p| serde_json::from_str(p).unwrap()).collect();
        let ids = parsed.iter().filter_map(|p| p["whatsapp"]["value"]["statuses"].as_array()).flatten();
        assert_eq!(
            ids.map(|s| s["id"].as_u64().unwrap()).collect::<Vec<_>>(),
            (0..1_000).collect::<Vec<_>>()
        );
        assert!(parsed[..20].iter().all(|p| p["whatsapp"]["value"]["metadata"]["phone_number_id"] == "1"));
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        assert_eq!(pieces(b"\xff", None).len(), 1);
        assert_eq!(pieces(b"{}", None).len(), 1);
        assert_eq!(pieces(br#"{"entry": 3}"#, None).len(), 1);
    }
}
