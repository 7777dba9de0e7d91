//! A rendered message: exactly what a provider is asked to send, or the feed shows. It travels in the queue message
//! and is not stored; what was sent is reproduced from the pinned template version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is said, on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rendered {
    /// WhatsApp free text; only inside the 24-hour window.
    WhatsappText {
        /// At most 4,096 characters.
        body: String,
    },
    /// A WhatsApp template that Meta has approved.
    WhatsappTemplate {
        /// Its name at Meta.
        name: String,
        /// Meta's language code, with an underscore.
        language: String,
        /// The body's parameters.
        parameters: RenderedParameters,
        /// The place of the quick-reply button that acknowledges the event, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acknowledge_button: Option<u8>,
    },
    /// An email.
    Email {
        /// One line.
        subject: String,
        /// The HTML part.
        html: String,
        /// The text part; made from the HTML when the template has none.
        text: String,
    },
    /// An item of the feed.
    InApp {
        /// One line.
        title: String,
        /// The text.
        body: String,
        /// Where a click leads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action_url: Option<String>,
    },
}

/// Parameters of an approved template: by position, or by name, never both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RenderedParameters {
    /// `{{1}}`, `{{2}}`, ...
    Positional(Vec<String>),
    /// `{{first_name}}`, ...
    Named(BTreeMap<String, String>),
}
