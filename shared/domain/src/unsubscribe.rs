//! The token of an unsubscribe link (RFC 8058): whose mail of which category it stops, signed with the deployment's key.
//! It holds no personal data. Written by deliver for the headers of an email, read by the function inbox.

use subtle::ConstantTimeEq;

use crate::ids::{HashKey, RecipientKey, TenantId};
use crate::route::Category;

/// What a link stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsubscribeToken {
    /// Whose mail.
    pub tenant: TenantId,
    /// Whom it goes to.
    pub recipient: RecipientKey,
    /// Of which category.
    pub category: Category,
}

impl UnsubscribeToken {
    /// The token as text: `<tenant>.<recipient key>.<category>.<signature>`, letters, digits, hyphens and points only.
    #[must_use]
    pub fn text(&self, key: &HashKey) -> String {
        let Self { tenant, recipient, category } = self;
        format!("{tenant}.{recipient}.{}.{}", category.as_str(), self.signature(key))
    }

    /// Reads a text that [`UnsubscribeToken::text`] made with the same key; none for every other text.
    #[must_use]
    pub fn read(text: &str, key: &HashKey) -> Option<Self> {
        let mut parts = text.split('.');
        let tenant = parts.next()?.parse().ok()?;
        let recipient = parts.next()?.to_owned().try_into().ok()?;
        let category = parts.next()?.parse().ok()?;
        let signature = parts.next()?;
        let token = Self { tenant, recipient, category };
        let ours = bool::from(token.signature(key).as_bytes().ct_eq(signature.as_bytes()));
        (ours && parts.next().is_none()).then_some(token)
    }

    fn signature(&self, key: &HashKey) -> String {
        // Two hashes: 160 bits, so that nobody guesses a link.
        let part = |n: &str| {
            key.hash(&[
                "unsubscribe",
                n,
                self.tenant.as_str(),
                self.recipient.as_str(),
                self.category.as_str(),
            ])
        };
        part("1") + &part("2")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_with_the_same_key_and_nothing_else_is() {
        let (key, other) = (HashKey::from_bytes(b"one"), HashKey::from_bytes(b"two"));
        let token = UnsubscribeToken {
            tenant: "acme".parse().unwrap(),
            recipient: "aaaaaaaaaaaaaaaa".to_owned().try_into().unwrap(),
            category: Category::Marketing,
        };
        let text = token.text(&key);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)), "{text}");
        assert_eq!(UnsubscribeToken::read(&text, &key), Some(token));
        assert_eq!(UnsubscribeToken::read(&text, &other), None);
        for bad in [
            "",
            "...",
            &text.replace("marketing", "reminder"),
            &text.replace("acme", "acne"),
            &text[..text.len() - 1],
            &format!("{text}a"),
            &format!("{text}.a"),
            &text.replace("aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab"),
        ] {
            assert_eq!(UnsubscribeToken::read(bad, &key), None, "{bad}");
        }
    }
}
