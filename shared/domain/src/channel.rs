//! The three ways a notification can reach a person.

use serde::{Deserialize, Serialize};

/// A channel; its provider is Meta's Cloud API, Amazon SES, or Carillon's own feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Meta's WhatsApp Cloud API.
    Whatsapp,
    /// Amazon SES.
    Email,
    /// The in-app feed; settled when it is stored.
    InApp,
}

impl Channel {
    /// All channels, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Whatsapp, Self::Email, Self::InApp];

    /// The channel's name in JSON, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Email => "email",
            Self::InApp => "in_app",
        }
    }

    /// The letter that stands for it in a delivery id.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Whatsapp => 'w',
            Self::Email => 'e',
            Self::InApp => 'i',
        }
    }

    /// The channel of a delivery id's letter.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| letter.chars().eq([c.letter()]))
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Channel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|c| c.as_str() == text).ok_or(())
    }
}
