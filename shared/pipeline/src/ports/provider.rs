//! A channel's provider: one call, and what it came to. `carillon-channels` has one for each channel.

use async_trait::async_trait;
use carillon_domain::{Rendered, Token};

use crate::refusal::Refusal;

/// Where a channel's messages are sent from: a tenant's provider configuration with its secrets.
#[derive(Clone)]
pub enum Account {
    /// A WhatsApp business phone number.
    Whatsapp {
        /// Meta's id of the number.
        phone_number_id: String,
        /// Graph API version, such as `v25.0`.
        api_version: String,
        /// System-user token.
        token: String,
    },
    /// An SES identity.
    Email {
        /// The From address, with or without a name.
        from: String,
        /// The configuration set that publishes events.
        configuration_set: Option<String>,
    },
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whatsapp { .. } => "Account::Whatsapp(..)",
            Self::Email { .. } => "Account::Email(..)",
        })
    }
}

/// One call to be made.
#[derive(Debug)]
pub struct Call<'a> {
    /// The tenant, for the receipts of a provider that cannot tell it from the account.
    pub tenant: &'a str,
    /// Where it is sent from.
    pub account: &'a Account,
    /// Where it goes.
    pub to: &'a carillon_domain::Address,
    /// What is said.
    pub message: &'a Rendered,
    /// Travels with the call and comes back in every receipt.
    pub token: &'a Token,
    /// The token of the email's unsubscribe link, if it is to have one.
    pub unsubscribe: Option<String>,
}

/// What a provider call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The provider took the message.
    Accepted {
        /// Its name for it.
        message_id: String,
    },
    /// The provider answered with an error.
    Refused(Refusal),
    /// The request may have arrived and no readable answer came: a time-out, a reset, an unreadable 200.
    Unknown {
        /// What happened, without address or token.
        detail: String,
    },
    /// The request did not leave: no connection.
    Unreachable {
        /// What happened, without address or token.
        detail: String,
    },
}

/// A channel's provider. It makes exactly one call: no retry of its own, no retry of its SDK or HTTP client.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Makes the call. MUST answer `Unknown` for whatever happens after the request may have left.
    async fn call(&self, call: &Call<'_>) -> Answer;
}
