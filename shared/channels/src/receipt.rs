//! What a provider says about a message after it answered, in one form for all providers. Written by the
//! `receipts.rs` of a channel from a webhook or event; record-receipt moves the delivery.

use carillon_domain::prices::Pricing;
use carillon_domain::{Address, ReceiptKind, Timestamp, Token};
use carillon_pipeline::ports::Meaning;

/// One thing a provider says about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedReceipt {
    /// The call it is about; none when the message did not come from here, or its token was lost.
    pub token: Option<Token>,
    /// The provider's name for the message.
    pub provider_message_id: Option<String>,
    /// What happened.
    pub kind: ReceiptKind,
    /// When it happened, by the provider's clock; when it came in, if the provider did not say.
    pub at: Timestamp,
    /// The provider's code, for the kinds that say that something went wrong.
    pub code: Option<String>,
    /// What the code means, where it is more than an end.
    pub meaning: Option<Meaning>,
    /// What went wrong: at most 200 characters, without address, name or token.
    pub detail: Option<String>,
    /// Where the message went, if the provider says it: what is suppressed after a bounce. Its debug form hides it.
    pub address: Option<Address>,
    /// Whether the provider bills the message, if it says so.
    pub pricing: Option<Pricing>,
}

/// Everything that one webhook or event says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    /// The tenant that the call named; only SES returns it. WhatsApp's follows from the phone-number id.
    pub tenant: Option<String>,
    /// What is understood, in the order in which it was said.
    pub receipts: Vec<ParsedReceipt>,
    /// Kinds that mean nothing here, by the provider's name for them: for a metric, never an error.
    pub unknown: Vec<String>,
}

/// A provider's word for a kind, short enough for a log.
pub(crate) fn kind_name(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// A provider's id for a message. The stored item has little room, so an id of more than 200 bytes counts as none.
pub(crate) fn message_id(text: &str) -> Option<String> {
    (!text.is_empty() && text.len() <= 200).then(|| text.to_owned())
}
