//! What is taken out of an event when nobody may read it any more: everything, when it is old; what is about one person,
//! when that person is erased. What stays is what the ledger needs: that it was accepted, when, and of which type.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{Event, Targets};
use crate::ids::RecipientId;
use crate::recipient::Recipient;

/// Stands where something was that nobody may read any more.
pub const ERASED: &str = "erased";

/// A name shorter than this is in too many other words to be looked for.
const NAME_CHARS: usize = 3;

/// The last digits of a phone number, which say whose it is.
const OWN_DIGITS: usize = 9;

/// Why what an event said is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgotten {
    /// Somebody it was about was erased; the event itself stays.
    Erased,
    /// It is older than the tenant keeps events, and is being removed.
    Retired,
}

/// What a person is recognised by in what others have written.
#[derive(Debug, Clone)]
pub struct Traces {
    id: RecipientId,
    texts: Vec<String>,
    digits: Option<String>,
}

impl Traces {
    /// Those of a recipient; of somebody who is gone already only the id is left.
    #[must_use]
    pub fn of(id: &RecipientId, recipient: Option<&Recipient>) -> Self {
        let name = recipient.map(|r| r.name.trim()).filter(|name| name.chars().count() >= NAME_CHARS);
        let addresses = recipient.into_iter().flat_map(|r| [&r.email, &r.phone, &r.bsuid]).flatten();
        let texts = name.into_iter().map(str::to_lowercase).chain(addresses.map(|a| a.to_lowercase()));
        let phone = recipient.and_then(|r| r.phone.as_deref());
        Self { id: id.clone(), texts: texts.collect(), digits: phone.map(own_digits) }
    }

    /// Whether a text is their id, or has their name or one of their addresses in it, however a phone number is written.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        text == self.id.as_str()
            || self.texts.iter().any(|trace| lower.contains(trace))
            || self.digits.as_ref().is_some_and(|digits| digits_of(text).contains(digits))
    }

    /// Whether a value names them by their id, however deep.
    fn named_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text == self.id.as_str(),
            Value::Array(list) => list.iter().any(|v| self.named_in(v)),
            Value::Object(map) => map.values().any(|v| self.named_in(v)),
            Value::Number(number) => number.to_string() == self.id.as_str(),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Takes every text out that they are in. Answers whether there was one.
    fn take_out(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) if self.are_in(text) => {
                ERASED.clone_into(text);
                true
            }
            Value::Number(number) if self.are_in(&number.to_string()) => {
                *value = Value::from(ERASED);
                true
            }
            Value::Array(list) => self.take_out_each(list.iter_mut()),
            Value::Object(map) => self.take_out_each(map.values_mut()),
            _ => false,
        }
    }

    fn take_out_each<'a>(&self, values: impl Iterator<Item = &'a mut Value>) -> bool {
        let mut found = false;
        for value in values {
            found |= self.take_out(value);
        }
        found
    }

    /// Takes what is about them out of some data: all of it when it names them, else the texts that they are in. Answers
    /// whether there was anything.
    pub fn take_out_of(&self, data: &mut Map<String, Value>) -> bool {
        if data.values().any(|value| self.named_in(value)) {
            data.clear();
            return true;
        }
        self.take_out_each(data.values_mut())
    }
}

/// What is left of a phone number however its country is written.
fn own_digits(phone: &str) -> String {
    let digits = digits_of(phone);
    digits[digits.len().saturating_sub(OWN_DIGITS)..].to_owned()
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

impl Event {
    /// Takes everything out that somebody has written.
    pub fn forget(&mut self) {
        self.input.data.clear();
        self.input.subject = None;
        self.input.extensions.clear();
        self.extensions.clear();
        self.input.recipients = Targets::default();
        self.forgotten = Some(Forgotten::Retired);
    }

    /// Takes out what is about one person. All of its data, when it is about nobody else: when it names them, or brought
    /// them; else the texts that they are in, so that what others are told by it stays. Answers whether there was anything.
    pub fn forget_person(&mut self, traces: &Traces) -> bool {
        let brought = (0..self.input.recipients.addresses.len())
            .find(|n| self.brought_id(*n).as_ref() == Some(&traces.id));
        let is_subject = self.input.subject.as_deref().is_some_and(|subject| traces.are_in(subject));
        let input = &mut self.input;
        let only_one = input.recipients.ids.len() + input.recipients.addresses.len() == 1;
        let named = brought.is_some() || input.recipients.ids.contains(&traces.id);
        let mut found = is_subject || named;
        if is_subject {
            input.subject = None;
        }
        if is_subject || (named && only_one && input.recipients.groups.is_empty()) {
            input.data.clear();
            input.extensions.clear();
        } else {
            found |= traces.take_out_of(&mut input.data);
            found |= traces.take_out_each(input.extensions.values_mut());
        }
        input.recipients.ids.retain(|id| *id != traces.id);
        for (n, entry) in input.recipients.addresses.iter_mut().enumerate() {
            let theirs = [Some(&entry.name), entry.email.as_ref(), entry.phone.as_ref()];
            if brought == Some(n) || theirs.into_iter().flatten().any(|text| traces.are_in(text)) {
                // Its place stays: the ids of the others are made of theirs.
                ERASED.clone_into(&mut entry.name);
                (entry.email, entry.phone) = (None, None);
                found = true;
            }
        }
        if found {
            self.forgotten.get_or_insert(Forgotten::Erased);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(body: Value) -> Event {
        let input = crate::event::EventInput::parse(body).unwrap();
        let id = "aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned().try_into().unwrap();
        Event {
            id,
            accepted_at: jiff::Timestamp::UNIX_EPOCH,
            body_sha256: String::new(),
            input,
            extensions: std::collections::BTreeMap::new(),
            key_kind: crate::KeyKind::Live,
            escalates: None,
            reminder: None,
            forgotten: None,
        }
    }

    fn ada() -> Traces {
        let recipient = crate::parse::from_value::<Recipient>(
            json!({"name": "Ada Example", "email": "ada@example.com", "phone": "+12025550101"}),
        );
        Traces::of(&"ada".parse().unwrap(), Some(&recipient.unwrap()))
    }

    #[test]
    fn what_is_about_one_person_goes_whole() {
        for body in [
            json!({"type": "a", "data": {"customer": {"id": "ada"}, "street": "Elm 1"}}),
            json!({"type": "a", "subject": "ada", "data": {"street": "Elm 1"}}),
            json!({"type": "a", "recipients": {"ids": ["ada"]}, "data": {"street": "Elm 1"}}),
        ] {
            let mut event = event(body.clone());
            assert!(event.forget_person(&ada()), "{body}");
            assert!(event.input.data.is_empty() && event.input.subject.is_none(), "{body}");
            assert_eq!(event.forgotten, Some(Forgotten::Erased));
        }
    }

    #[test]
    fn what_tells_others_as_well_loses_only_the_texts_with_the_person_in_them() {
        let mut shared = event(json!({
            "type": "a", "recipients": {"groups": ["sales"], "addresses": [{"name": "Bob", "email": "bob@example.com"}]},
            "data": {"number": "7", "by": "ADA EXAMPLE", "call": "(202) 555-0101", "list": ["x", "ada@example.com"]}
        }));
        assert!(shared.forget_person(&ada()));
        let expected = json!({"number": "7", "by": "erased", "call": "erased", "list": ["x", "erased"]});
        assert_eq!(
            Value::Object(shared.input.data.clone()),
            expected.as_object().cloned().map(Value::Object).unwrap()
        );
        assert_eq!(shared.input.recipients.addresses[0].name, "Bob");
        let mut another = event(json!({"type": "a", "data": {"number": "adamant"}}));
        assert!(!another.forget_person(&ada()));
        assert_eq!(another.forgotten, None);
    }

    #[test]
    fn a_person_whom_an_event_brought_is_taken_out_of_their_place() {
        let mut event = event(json!({
            "type": "a", "recipients": {"addresses": [
                {"name": "Bob", "email": "bob@example.com"}, {"name": "Cy", "email": "cy@example.com"}
            ]}
        }));
        let id = event.brought_id(1).unwrap();
        assert!(event.forget_person(&Traces::of(&id, None)));
        let names: Vec<&str> = event.input.recipients.addresses.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["Bob", "erased"]);
        assert_eq!(event.input.recipients.addresses[1].email, None);
    }
}
