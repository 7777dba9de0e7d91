//! The token that opens one recipient's inbox and preferences, and nothing else: short-lived, signed, without personal
//! data. A tenant's own backend asks for it and hands it to that person's browser or app.

use jiff::Timestamp;
use subtle::ConstantTimeEq;

use crate::ids::{HashKey, RecipientKey, TenantId};

/// Whose inbox a token opens, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientToken {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Whose.
    pub recipient: RecipientKey,
    /// From this instant on it opens nothing; whole seconds.
    pub expires_at: Timestamp,
}

impl RecipientToken {
    /// How the text of each begins, by which it is told from an API key.
    pub const PREFIX: &str = "crt_";

    /// The token as text: `crt_<tenant>.<recipient key>.<seconds since 1970>.<signature>`.
    #[must_use]
    pub fn text(&self, key: &HashKey) -> String {
        let Self { tenant, recipient, expires_at } = self;
        let signature = self.signature(key);
        format!("{}{tenant}.{recipient}.{}.{signature}", Self::PREFIX, expires_at.as_second())
    }

    /// Reads a text that [`RecipientToken::text`] made with one of these keys; none for every other text. Whether it is
    /// over is for the caller to ask.
    #[must_use]
    pub fn read(text: &str, keys: &[HashKey]) -> Option<Self> {
        let mut parts = text.strip_prefix(Self::PREFIX)?.split('.');
        let tenant = parts.next()?.parse().ok()?;
        let recipient = parts.next()?.to_owned().try_into().ok()?;
        let expires_at = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        let signature = parts.next()?;
        let token = Self { tenant, recipient, expires_at };
        let ours = |key: &HashKey| bool::from(token.signature(key).as_bytes().ct_eq(signature.as_bytes()));
        (parts.next().is_none() && keys.iter().any(ours)).then_some(token)
    }

    fn signature(&self, key: &HashKey) -> String {
        let expires_s = self.expires_at.as_second().to_string();
        // Two hashes: 160 bits, so that nobody guesses a token.
        let part = |n: &str| {
            key.hash(&["recipient-token", n, self.tenant.as_str(), self.recipient.as_str(), &expires_s])
        };
        part("1") + &part("2")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_with_any_live_key_and_nothing_else_is() {
        let (old, new) = (HashKey::from_bytes(b"old"), HashKey::from_bytes(b"new"));
        let token = RecipientToken {
            tenant: "acme".parse().unwrap(),
            recipient: "aaaaaaaaaaaaaaaa".to_owned().try_into().unwrap(),
            expires_at: Timestamp::from_second(1_795_164_800).unwrap(),
        };
        let text = token.text(&old);
        let live = [new.clone(), old];
        assert_eq!(RecipientToken::read(&text, &live), Some(token));
        assert_eq!(RecipientToken::read(&text, &[new]), None);
        assert_eq!(RecipientToken::read(&text, &[]), None);
        for bad in [
            "",
            "crt_",
            "crt_...",
            text.trim_start_matches("crt_"),
            &text.replace("1795164800", "1795164801"),
            &text.replace("acme", "acne"),
            &text.replace("aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab"),
            &text[..text.len() - 1],
            &format!("{text}a"),
            &format!("{text}.a"),
        ] {
            assert_eq!(RecipientToken::read(bad, &live), None, "{bad}");
        }
    }
}
