//! Identifiers as types, so that a recipient's id cannot stand where an event's is wanted. Each is checked when it
//! enters; `#` and control characters are refused everywhere because `#` separates the parts of a storage key.

mod base32;

use std::fmt;

use data_encoding::{Encoding, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::channel::Channel;

pub(crate) use base32::{base32_id, base32_lower, is_base32_lower, random_id};

/// Why a text is not an identifier; reads as the end of a sentence ("the group name ...").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(String);

impl InvalidId {
    /// The rule that a text breaks.
    pub(crate) fn rule(text: &str) -> Self {
        Self(text.to_owned())
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:literal, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.chars().count() > $max || !text.chars().all(allowed) {
                    return Err(InvalidId(format!("must be {}", $rule)));
                }
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// An organisation; every item belongs to exactly one.
    TenantId, 40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "1 to 40 lower-case letters, digits or hyphens"
);
text_id!(
    /// The `type` of an event: what a route is keyed by.
    EventType, 200, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':'),
    "1 to 200 letters, digits or any of . _ - / :"
);
text_id!(
    /// The producer's own name for a person.
    RecipientId, 128, |c| c != '#' && !c.is_control(),
    "1 to 128 characters without # and control characters"
);
text_id!(
    /// A named set of recipients.
    GroupName, 128, |c| c != '#' && c != '/' && !c.is_control(),
    "1 to 128 characters without #, / and control characters"
);
text_id!(
    /// A template's name.
    TemplateName, 128, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
    "1 to 128 letters, digits or any of . _ -"
);

text_id!(
    /// The producer's own name for something that is due: a loan, an exam, an invoice.
    DeadlineId, 128, |c| c != '#' && !c.is_control(),
    "1 to 128 characters without # and control characters"
);
text_id!(
    /// A reminder policy's name.
    PolicyName, 128, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
    "1 to 128 letters, digits or any of . _ -"
);
text_id!(
    /// A kind of reminder: what recipients name in their preferences.
    ReminderKind, 64, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
    "1 to 64 letters, digits or any of . _ -"
);
text_id!(
    /// A part of the reminders that is planned by schedules of its own: those of a duration class before their deadlines,
    /// or what is overdue.
    Lane, 40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'),
    "1 to 40 lower-case letters, digits or any of _ -"
);

text_id!(
    /// A schedule's name.
    ScheduleName, 64, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
    "1 to 64 letters, digits or any of . _ -"
);

text_id!(
    /// A pack's name.
    PackName, 40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "1 to 40 lower-case letters, digits or hyphens"
);

impl Lane {
    /// The lane of what is owed at a deadline and after it, whatever its class; no class may have its name.
    #[must_use]
    pub fn overdue() -> Self {
        Self("overdue".to_owned())
    }
}

random_id!(
    /// 26 base32 characters. Derived from tenant and idempotency key when there is one, so that a repeated post finds its
    /// own event; random otherwise.
    EventId, "an event id"
);

impl EventId {
    /// The id of the event that this tenant posts under this idempotency key, whenever it does.
    #[must_use]
    pub fn from_idempotency_key(tenant: &TenantId, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(tenant.as_str().as_bytes());
        hash.update([0]);
        hash.update(key.as_bytes());
        let digest = hash.finalize();
        Self(base32_lower(&digest[..16]))
    }
}

base32_id!(
    /// A keyed hash (HMAC-SHA-256, 80 bits) that stands for a recipient in keys, logs and tokens: nobody without the
    /// deployment's key can go from it to a person.
    RecipientKey, 16, "a recipient key"
);

impl RecipientKey {
    /// The key of a recipient of a tenant.
    #[must_use]
    pub fn of(secret: &HashKey, tenant: &TenantId, recipient: &RecipientId) -> Self {
        Self(secret.hash(&["recipient", tenant.as_str(), recipient.as_str()]))
    }
}

/// The deployment's secret for keyed hashes. It is made once and never changes: keys of stored items depend on it.
#[derive(Clone)]
pub struct HashKey(Vec<u8>);

impl HashKey {
    /// Wraps the secret's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The keyed hash of some parts, 16 base32 characters. The parts are length-prefixed, so that moving a character
    /// from one part to the next gives another hash.
    #[must_use]
    pub fn hash(&self, parts: &[&str]) -> String {
        // HMAC takes a key of any length, so this cannot fail; an empty tag would still be deterministic.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let tag = mac.finalize().into_bytes();
        base32_lower(&tag[..10])
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// `<recipient key>-<event id>-<w|e|i>`: a delivery's id says where its item lies, so a token finds it without an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeliveryId {
    recipient: RecipientKey,
    event: EventId,
    channel: Channel,
}

impl DeliveryId {
    /// The id of what one recipient is told because of one event on one channel.
    #[must_use]
    pub fn new(recipient: RecipientKey, event: EventId, channel: Channel) -> Self {
        Self { recipient, event, channel }
    }

    /// Whose delivery it is.
    #[must_use]
    pub fn recipient(&self) -> &RecipientKey {
        &self.recipient
    }

    /// The event it comes from.
    #[must_use]
    pub fn event(&self) -> &EventId {
        &self.event
    }

    /// The channel it goes out on.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.recipient, self.event, self.channel.letter())
    }
}

impl From<DeliveryId> for String {
    fn from(id: DeliveryId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for DeliveryId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl std::str::FromStr for DeliveryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId("must be a delivery id".to_owned());
        let mut parts = text.split('-');
        let (Some(recipient), Some(event), Some(channel), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        Ok(Self {
            recipient: recipient.to_owned().try_into().map_err(|_| invalid())?,
            event: event.to_owned().try_into().map_err(|_| invalid())?,
            channel: Channel::from_letter(channel).ok_or_else(invalid)?,
        })
    }
}

/// `<delivery id>-<n>`, n the number of the provider call from 1. It travels with the call (WhatsApp
/// `biz_opaque_callback_data`, SES tag `carillon`) and comes back in every receipt. `[A-Za-z0-9_-]` only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token {
    /// The delivery that the call was for.
    pub delivery: DeliveryId,
    /// Which of its provider calls, from 1.
    pub call: u32,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.delivery, self.call)
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.to_string()
    }
}

impl TryFrom<String> for Token {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl std::str::FromStr for Token {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId("must be a token: a delivery id, a hyphen and a number".to_owned());
        let (delivery, call) = text.rsplit_once('-').ok_or_else(invalid)?;
        Ok(Self {
            delivery: delivery.parse().map_err(|_| invalid())?,
            call: call.parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?,
        })
    }
}

/// Text for an API key: a visible prefix for secret scanners, then 160 random bits.
#[must_use]
pub fn api_key_text(prefix: &str, bits: &[u8; 20]) -> String {
    format!("{prefix}{}", base32_lower(bits))
}

/// The SHA-256 of an API key in lower-case hex: all that is ever stored of it. A plain hash is enough because the
/// key itself carries 160 random bits.
#[must_use]
pub fn api_key_hash(key: &str) -> String {
    let encoding: &Encoding = &HEXLOWER;
    encoding.encode(&Sha256::digest(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_delivery() {
        let key = HashKey::from_bytes(b"secret");
        let tenant: TenantId = "acme".parse().unwrap();
        let recipient = RecipientKey::of(&key, &tenant, &"u-1".parse().unwrap());
        let event = EventId::from_idempotency_key(&tenant, "shop\nord-1");
        let id = DeliveryId::new(recipient, event, Channel::Email);
        let token = Token { delivery: id.clone(), call: 3 };
        let text = token.to_string();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
        assert_eq!(text.parse::<Token>().unwrap().delivery, id);
        for bad in ["", "x", "a-b-c-1", &format!("{id}-0"), &format!("{id}-x"), &id.to_string()] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_key_of_two_tenants_names_two_events() {
        let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_eq!(EventId::from_idempotency_key(&a, "k"), EventId::from_idempotency_key(&a, "k"));
        assert_ne!(EventId::from_idempotency_key(&a, "k"), EventId::from_idempotency_key(&b, "k"));
    }

    #[test]
    fn a_hash_depends_on_where_its_parts_end() {
        let key = HashKey::from_bytes(b"secret");
        assert_ne!(key.hash(&["ab", "c"]), key.hash(&["a", "bc"]));
    }

    #[test]
    fn separators_are_refused_in_ids() {
        for bad in ["", "a#b", "a\nb"] {
            assert!(RecipientId::try_from(bad.to_owned()).is_err(), "{bad:?}");
            assert!(GroupName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
