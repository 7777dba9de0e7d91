//! The token of an acknowledge link, and of the button of a WhatsApp message: who says that they have seen which event.
//! Templates get the link as `acknowledge_url`; the function inbox reads it. It holds no personal data.

use subtle::ConstantTimeEq;

use crate::ids::{EventId, HashKey, RecipientKey, TenantId, Token};

/// What a link acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgeToken {
    /// Whose event.
    pub tenant: TenantId,
    /// The event; of an escalation the first one.
    pub event: EventId,
    /// Who was told.
    pub recipient: RecipientKey,
}

impl AcknowledgeToken {
    /// The token as text: `<tenant>.<event>.<recipient key>.<signature>`, letters, digits, hyphens and points only.
    #[must_use]
    pub fn text(&self, key: &HashKey) -> String {
        let Self { tenant, event, recipient } = self;
        format!("{tenant}.{event}.{recipient}.{}", self.signature(key))
    }

    /// Reads a text that [`AcknowledgeToken::text`] made with the same key; none for every other text.
    #[must_use]
    pub fn read(text: &str, key: &HashKey) -> Option<Self> {
        let mut parts = text.split('.');
        let tenant = parts.next()?.parse().ok()?;
        let event = parts.next()?.to_owned().try_into().ok()?;
        let recipient = parts.next()?.to_owned().try_into().ok()?;
        let signature = parts.next()?;
        let token = Self { tenant, event, recipient };
        let ours = bool::from(token.signature(key).as_bytes().ct_eq(signature.as_bytes()));
        (ours && parts.next().is_none()).then_some(token)
    }

    fn signature(&self, key: &HashKey) -> String {
        // Two hashes: 160 bits, so that nobody guesses a link.
        let part = |n: &str| {
            let Self { tenant, event, recipient } = self;
            key.hash(&["acknowledge", n, tenant.as_str(), event.as_str(), recipient.as_str()])
        };
        part("1") + &part("2")
    }
}

/// What the payload of a WhatsApp button begins with; the token of the call follows.
const PAYLOAD: &str = "acknowledge:";

/// The payload of the button by which a WhatsApp message is acknowledged. Meta gives it back when somebody presses it.
#[must_use]
pub fn payload(token: &Token) -> String {
    format!("{PAYLOAD}{token}")
}

/// Reads what [`payload`] made; none for every other text.
#[must_use]
pub fn read_payload(text: &str) -> Option<Token> {
    text.strip_prefix(PAYLOAD)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_with_the_same_key_and_nothing_else_is() {
        let (key, other) = (HashKey::from_bytes(b"one"), HashKey::from_bytes(b"two"));
        let token = AcknowledgeToken {
            tenant: "acme".parse().unwrap(),
            event: "bbbbbbbbbbbbbbbbbbbbbbbbbb".to_owned().try_into().unwrap(),
            recipient: "aaaaaaaaaaaaaaaa".to_owned().try_into().unwrap(),
        };
        let text = token.text(&key);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)), "{text}");
        assert_eq!(AcknowledgeToken::read(&text, &key), Some(token));
        assert_eq!(AcknowledgeToken::read(&text, &other), None);
        for bad in [
            "",
            "...",
            &text.replace("acme", "acne"),
            &text.replace("bbbbbbbbbbbbb", "ccccccccccccc"),
            &text.replace("aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab"),
            &text[..text.len() - 1],
            &format!("{text}.a"),
        ] {
            assert_eq!(AcknowledgeToken::read(bad, &key), None, "{bad}");
        }
    }

    #[test]
    fn a_payload_names_the_call_that_it_was_sent_with() {
        let token: Token = "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w-1".parse().unwrap();
        assert_eq!(read_payload(&payload(&token)), Some(token));
        for other in ["", "acknowledge:", "YES", "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w-1"] {
            assert_eq!(read_payload(other), None, "{other}");
        }
    }
}
