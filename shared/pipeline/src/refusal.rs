//! What a provider's refusal means, as data: the tables of `carillon-channels` give each code a [`Meaning`], and
//! `judge.rs` acts on it, whether the code came in an answer or hours later in a receipt.

use serde::{Deserialize, Serialize};

/// An error that a provider answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it means and what to do about it.
    pub meaning: Meaning,
    /// The HTTP status; 0 when the request was never made.
    pub http_status: u16,
    /// The provider's code, or the HTTP status when it gave none.
    pub code: String,
    /// The provider's trace id.
    pub trace_id: Option<String>,
    /// At most 200 characters, without address, name or token.
    pub detail: String,
    /// How long the provider asked to wait, in seconds.
    pub retry_after_s: Option<u32>,
}

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// What kind of error it is.
    pub class: RefusalClass,
    /// What else it concerns besides the message that met it.
    pub scope: RefusalScope,
    /// What is done beyond moving the delivery.
    pub remedy: Option<Remedy>,
    /// The least wait before the next call, in seconds, where the provider's pages give one.
    pub wait_s: Option<u32>,
    /// Whether a person has to hear of it.
    pub alert: bool,
}

impl Meaning {
    /// What a class means by itself: throttles, configuration and stops concern the channel, everything else the
    /// message; configuration and stops want a person.
    #[must_use]
    pub const fn of(class: RefusalClass) -> Self {
        let of_channel =
            matches!(class, RefusalClass::Throttle | RefusalClass::Configuration | RefusalClass::AccountStop);
        let scope = if of_channel { RefusalScope::Channel } else { RefusalScope::Message };
        let alert = matches!(class, RefusalClass::Configuration | RefusalClass::AccountStop);
        Self { class, scope, remedy: None, wait_s: None, alert }
    }

    /// The same, about this sender and recipient only.
    #[must_use]
    pub const fn of_pair(mut self) -> Self {
        self.scope = RefusalScope::Pair;
        self
    }

    /// The same, with something to do.
    #[must_use]
    pub const fn with(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }

    /// The same, with a least wait.
    #[must_use]
    pub const fn waiting(mut self, wait_s: u32) -> Self {
        self.wait_s = Some(wait_s);
        self
    }

    /// The same, for a person to hear of.
    #[must_use]
    pub const fn alerting(mut self) -> Self {
        self.alert = true;
        self
    }
}

/// Classes of provider errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// Too fast: wait; consumes no try.
    Throttle,
    /// May pass: try again, counted.
    Transient,
    /// May already have been sent.
    Ambiguous,
    /// Our account or credentials: no message of the channel can go.
    Configuration,
    /// The provider stopped the account.
    AccountStop,
    /// Never for this recipient or message.
    Permanent,
    /// Our request is wrong.
    OurBug,
    /// The provider asks to wait for a change of state.
    Hold,
}

/// What a refusal concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalScope {
    /// This message only.
    Message,
    /// Everything from this sender to this recipient.
    Pair,
    /// Everything that the tenant sends on the channel.
    Channel,
}

/// What is done about a refusal beyond moving the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Free text came too late: say it again as the approved template.
    AsTemplate,
    /// The recipient wants no marketing on this channel any more.
    NoMoreMarketing,
    /// Nobody is reached at this address: after a few times it is suppressed.
    CountUnreachable,
    /// The provider's template is paused; others go on.
    TemplatePaused,
}
