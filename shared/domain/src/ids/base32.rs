//! Ids that Carillon makes itself: their alphabet, and the types of those that are nothing but text in it.

use data_encoding::BASE32_NOPAD;

/// RFC 4648 base32 in lower case: the alphabet of every id that Carillon makes itself, safe in URLs, SES tags and keys.
pub(crate) fn base32_lower(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

pub(crate) fn is_base32_lower(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

/// An id of base32 characters: the type, how it is read and how it is written.
macro_rules! base32_id {
    ($(#[$doc:meta])* $name:ident, $length:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::InvalidId;

            fn try_from(text: String) -> Result<Self, $crate::ids::InvalidId> {
                if $crate::ids::is_base32_lower(&text, $length) {
                    return Ok(Self(text));
                }
                let rule = concat!("must be ", $what, ": ", $length, " characters of a-z and 2-7");
                Err($crate::ids::InvalidId::rule(rule))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// An id of 128 bits that can be random.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $crate::ids::base32_id!($(#[$doc])* $name, 26, $what);

        impl $name {
            /// An id that nobody has; the caller brings 128 random bits.
            #[must_use]
            pub fn from_random(bits: [u8; 16]) -> Self {
                Self($crate::ids::base32_lower(&bits))
            }
        }
    };
}

pub(crate) use {base32_id, random_id};
