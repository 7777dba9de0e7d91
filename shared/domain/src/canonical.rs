//! One text for one JSON value: what idempotency compares.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The value with its object keys sorted and no white space, so that two spellings of one body are one text.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    // serde_json's map is ordered by key unless its `preserve_order` feature is on; the test below holds that.
    value.to_string()
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_order_of_keys_and_white_space_do_not_matter() {
        let a: serde_json::Value =
            serde_json::from_str(r#"{"b": 1, "a": {"d": [1, 2], "c": null}}"#).unwrap();
        assert_eq!(super::canonical_json(&a), r#"{"a":{"c":null,"d":[1,2]},"b":1}"#);
    }
}
