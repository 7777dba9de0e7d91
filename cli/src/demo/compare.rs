//! What a sample expects against what happened, in both directions: nothing missing, nothing more, everything said, and
//! said once.

use carillon_domain::{Channel, RecipientId, StateKind};

use super::Told;
use crate::pack::Expectation;

/// Everything that is not as expected, each a line for a person.
pub(super) fn faults(expect: &[Expectation], told: &[Told]) -> Vec<String> {
    let mut faults = Vec::new();
    for expected in expect {
        let of_this = |t: &&Told| t.recipient_id == expected.recipient && t.channel == expected.channel;
        match told.iter().find(of_this) {
            None => faults.push(line(
                &expected.recipient,
                expected.channel,
                &format!("is missing; expected: {}", expected.state),
            )),
            Some(told) => faults.extend(of_one(expected, told)),
        }
    }
    for told in told {
        if !expect.iter().any(|e| e.recipient == told.recipient_id && e.channel == told.channel) {
            let detail = format!("is {} and nobody expects it", state(told));
            faults.push(line(&told.recipient_id, told.channel, &detail));
        }
    }
    faults
}

fn of_one(expected: &Expectation, told: &Told) -> Vec<String> {
    let mut details = Vec::new();
    let reason_differs = expected.reason.is_some() && expected.reason != told.reason;
    if told.state != expected.state || reason_differs {
        let reason = expected.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let note = told.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        details.push(format!("is {}{note}; expected: {}{reason}", state(told), expected.state));
    }
    let left = matches!(told.state, StateKind::Sent | StateKind::Delivered | StateKind::Read);
    match &told.said {
        None if left => details.push(format!("is {} and did not arrive", told.state)),
        None => {}
        Some(said) => {
            if said.copies > 1 {
                details.push(format!("arrived {} times", said.copies));
            }
            for (reading, text) in &said.readings {
                for wanted in expected.contains.iter().filter(|wanted| !text.contains(wanted.as_str())) {
                    details.push(format!("does not say {wanted:?} in its {reading}"));
                }
            }
        }
    }
    details.into_iter().map(|detail| line(&told.recipient_id, told.channel, &detail)).collect()
}

/// A state with its reason.
pub(super) fn state(told: &Told) -> String {
    match &told.reason {
        Some(reason) => format!("{} ({reason})", told.state),
        None => told.state.to_string(),
    }
}

fn line(recipient: &RecipientId, channel: Channel, detail: &str) -> String {
    format!("{recipient} on {channel}: {detail}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::said::Said;
    use super::*;
    use carillon_domain::ids::HashKey;
    use carillon_domain::{DeliveryId, EventId, RecipientKey};
    use serde_json::json;

    pub(in super::super) fn delivery_id(channel: Channel) -> DeliveryId {
        let hash_key = HashKey::from_bytes(b"only for this test");
        let person = RecipientKey::of(&hash_key, &"t".parse().unwrap(), &"ada".parse().unwrap());
        DeliveryId::new(person, EventId::from_random([7; 16]), channel)
    }

    fn expectation(state: &str, contains: &[&str]) -> Expectation {
        let json = json!({"recipient": "ada", "channel": "email", "state": state, "contains": contains});
        serde_json::from_value(json).unwrap()
    }

    fn told(state: &str, reason: Option<&str>, said: &[&str]) -> Told {
        let id = delivery_id(Channel::Email);
        let json =
            json!({"id": id, "recipient_id": "ada", "channel": "email", "state": state, "reason": reason});
        let mut told: Told = serde_json::from_value(json).unwrap();
        let readings: Vec<_> = said.iter().map(|text| ("text", (*text).to_owned())).collect();
        told.said = (!said.is_empty()).then(|| Said { headline: String::new(), readings, copies: 1 });
        told
    }

    #[test]
    fn what_is_as_expected_is_no_fault() {
        let skipped = Expectation { reason: Some("no_address".to_owned()), ..expectation("skipped", &[]) };
        for (expected, told) in [
            (expectation("delivered", &["A-1"]), told("delivered", None, &["order A-1", "<p>order A-1</p>"])),
            (expectation("skipped", &[]), told("skipped", Some("no_address"), &[])),
            (skipped, told("skipped", Some("no_address"), &[])),
        ] {
            assert_eq!(faults(&[expected], &[told]), Vec::<String>::new());
        }
    }

    #[test]
    fn every_difference_is_told() {
        let wrong_reason =
            Expectation { reason: Some("opted_out".to_owned()), ..expectation("skipped", &[]) };
        for (expected, told, detail) in [
            (expectation("delivered", &[]), told("sent", None, &["x"]), "is sent; expected: delivered"),
            (expectation("delivered", &[]), told("delivered", None, &[]), "is delivered and did not arrive"),
            (
                expectation("delivered", &["A-1"]),
                told("delivered", None, &["A-1", "A-2"]),
                "does not say \"A-1\" in its text",
            ),
            (
                wrong_reason,
                told("skipped", Some("no_address"), &[]),
                "is skipped (no_address); expected: skipped (opted_out)",
            ),
        ] {
            assert_eq!(faults(&[expected], &[told]), [format!("ada on email: {detail}")]);
        }
        assert_eq!(
            faults(&[expectation("delivered", &[])], &[]),
            ["ada on email: is missing; expected: delivered"]
        );
        assert_eq!(
            faults(&[], &[told("sent", None, &["x"])]),
            ["ada on email: is sent and nobody expects it"]
        );
        let mut twice = told("delivered", None, &["x"]);
        twice.said.as_mut().unwrap().copies = 2;
        assert_eq!(faults(&[expectation("delivered", &[])], &[twice]), ["ada on email: arrived 2 times"]);
    }
}
