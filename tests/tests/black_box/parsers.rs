//! Webhooks and events of any shape: mutations of real ones, and bytes that are nothing at all. No panic, and nothing that
//! is understood breaks what the next stage relies on. `cargo xtask test --long` fuzzes the same functions for longer.

use carillon_tests::parsers;
use proptest::prelude::*;
use serde_json::{Value, json};

fn meta() -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "time": 1_795_217_019, "changes": [
        {"field": "messages", "value": {
            "messaging_product": "whatsapp", "metadata": {"phone_number_id": "100000000000001"},
            "statuses": [{"id": "wamid.x", "status": "failed", "timestamp": "1795217019",
                "biz_opaque_callback_data": "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w-1",
                "errors": [{"code": 131_047, "title": "Re-engagement", "error_data": {"details": "late"}}]}],
            "messages": [{"from": "12025550101", "id": "wamid.y", "timestamp": "1795217019", "type": "text",
                "text": {"body": "STOP"}}]
        }},
        {"field": "message_template_status_update", "value": {"event": "PAUSED", "message_template_name": "a",
            "message_template_language": "en"}}
    ]}]})
}

fn ses() -> Value {
    json!({"eventType": "Bounce", "mail": {"messageId": "m", "destination": ["a@example.com"],
        "tags": {"carillon": ["aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-e-1"], "carillon-tenant": ["acme"]}},
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "timestamp": "2026-11-20T10:00:00Z",
            "bouncedRecipients": [{"emailAddress": "a@example.com", "status": "5.1.1"}]}})
}

fn event() -> Value {
    json!({"specversion": "1.0", "type": "order.created", "source": "shop", "id": "1", "subject": "s", "extra": 1,
        "time": "2026-11-20T09:00:00Z", "data": {"a": {"b": 1}}, "template": "t", "channels": {"first_of": ["email"]},
        "recipients": {"ids": ["u"], "groups": ["g"], "addresses": [{"name": "Bo", "email": "bo@example.com"}]},
        "category": "marketing", "priority": "high", "deliver_at": "2026-11-21T07:00:00Z"})
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
        "[0-9]{1,30}".prop_map(Value::from),
        "[a-z]{3}@example\\.com".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Every place of a value, as a pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                places(inner, &format!("{at}/{i}"), found);
            }
        }
        _ => {}
    }
}

/// A sample with some of its places replaced by anything, perhaps cut off in the middle.
fn mutated(sample: Value) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any_json()), 0..4);
    (changes, prop::option::of(any::<prop::sample::Index>())).prop_map(move |(changes, cut)| {
        let mut value = sample.clone();
        for (which, with) in changes {
            let mut all = Vec::new();
            places(&value, "", &mut all);
            *value.pointer_mut(&all[which.index(all.len())]).unwrap() = with;
        }
        let mut bytes = value.to_string().into_bytes();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn webhooks_of_any_shape_are_read_without_harm(body in mutated(meta())) {
        parsers::webhook(&body);
    }

    #[test]
    fn ses_events_of_any_shape_are_read_without_harm(body in mutated(ses())) {
        parsers::ses(&body);
    }

    #[test]
    fn posted_events_of_any_shape_are_taken_or_refused_with_reasons(body in mutated(event())) {
        parsers::event(&body);
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(body in prop::collection::vec(any::<u8>(), 0..512)) {
        parsers::webhook(&body);
        parsers::ses(&body);
        parsers::event(&body);
    }
}
