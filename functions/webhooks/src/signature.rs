//! `X-Hub-Signature-256: sha256=<hex>`, an HMAC-SHA-256 of the raw body with the app secret; two secrets may be live
//! during a rotation. Meta: developers.facebook.com/docs/graph-api/webhooks/getting-started.

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Whether the header was made from these very bytes with one of the secrets. Compared in constant time.
#[must_use]
pub fn is_valid(header: &str, body: &[u8], secrets: &[String]) -> bool {
    let Some(hex) = header.strip_prefix("sha256=") else { return false };
    let Ok(given) = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()) else { return false };
    secrets.iter().filter(|secret| !secret.is_empty()).any(|secret| {
        Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .is_ok_and(|mac| mac.chain_update(body).verify_slice(&given).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(body: &[u8], secret: &str) -> String {
        let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize();
        format!("sha256={}", data_encoding::HEXLOWER.encode(&tag.into_bytes()))
    }

    #[test]
    fn the_known_answer_of_rfc_4231_case_2() {
        let header = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert!(is_valid(header, b"what do ya want for nothing?", &["Jefe".to_owned()]));
    }

    #[test]
    fn either_of_two_live_secrets_is_taken_and_nothing_else() {
        let secrets = ["new".to_owned(), "old".to_owned()];
        let body = br#"{"text":"gr\u00fc\u00df"}"#;
        assert!(is_valid(&signed(body, "new"), body, &secrets));
        assert!(is_valid(&signed(body, "old"), body, &secrets));
        assert!(!is_valid(&signed(body, "older"), body, &secrets));
        assert!(!is_valid(&signed(b"{}", "new"), body, &secrets));
        for bad in ["", "sha256=", "sha256=zz", "sha1=00", &signed(body, "new")[7..]] {
            assert!(!is_valid(bad, body, &secrets), "{bad}");
        }
        assert!(!is_valid(&signed(body, ""), body, &[String::new()]));
        assert!(!is_valid(&signed(body, ""), body, &[]));
    }
}
