//! The life of a delivery: one enum, one sentence a state, and the moves it may make as data. ARCHITECTURE.md shows
//! the same table as a chart, and a test compares the two.

mod flat;

use serde::{Deserialize, Serialize};

pub use flat::FlatState;

/// Where a delivery is. A state that has to be explained carries its reason, so it cannot be written without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "FlatState", try_from = "FlatState")]
pub enum State {
    /// Planned, on its way to a worker.
    Pending,
    /// Waits, before any provider call, for a time or a condition.
    Held(HeldReason),
    /// Leased by a worker; attempt and token are recorded and the provider call is under way.
    Sending,
    /// A provider call failed in a way worth repeating; waits for `retry_at`.
    Retrying,
    /// A call may have been accepted and we do not know; open until its grace ends, then policy decides.
    InDoubt,
    /// In doubt, and the policy said to leave it: stays until a receipt, a forced retry or expiry.
    Parked,
    /// The provider accepted the message.
    Sent,
    /// The provider says that it arrived; in-app: stored.
    Delivered,
    /// The provider, or the reader of the feed, says that it was read.
    Read,
    /// It will not be sent; the reason says why.
    Failed(Reason),
    /// Its time ran out before it could be sent.
    Expired(Reason),
    /// Planning decided not to send it.
    Skipped(Reason),
    /// It was taken back before it left.
    Cancelled(Reason),
}

/// A state's name without its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the state of the same name")]
pub enum StateKind {
    Pending,
    Held,
    Sending,
    Retrying,
    InDoubt,
    Sent,
    Delivered,
    Read,
    Failed,
    Expired,
    Skipped,
    Cancelled,
}

use StateKind as K;

/// What each state may become by itself. An operator's retry, redrive or reconsider is [`REVIVALS`].
pub const MOVES: &[(StateKind, &[StateKind])] = &[
    // A receipt of an earlier call can prove that a message arrived while it waits to be sent again.
    (
        K::Pending,
        &[
            K::Held,
            K::Sending,
            K::Sent,
            K::Delivered,
            K::Read,
            K::Failed,
            K::Expired,
            K::Skipped,
            K::Cancelled,
        ],
    ),
    (K::Held, &[K::Pending, K::Sent, K::Delivered, K::Read, K::Failed, K::Expired, K::Skipped, K::Cancelled]),
    (K::Sending, &[K::Held, K::Retrying, K::InDoubt, K::Sent, K::Delivered, K::Read, K::Failed, K::Expired]),
    // A short wait is slept by the worker, which then calls again without the queue in between.
    (
        K::Retrying,
        &[
            K::Pending,
            K::Held,
            K::Sending,
            K::Sent,
            K::Delivered,
            K::Read,
            K::Failed,
            K::Expired,
            K::Skipped,
            K::Cancelled,
        ],
    ),
    (
        K::InDoubt,
        &[
            K::Pending,
            K::InDoubt,
            K::Held,
            K::Retrying,
            K::Sent,
            K::Delivered,
            K::Read,
            K::Failed,
            K::Expired,
            K::Cancelled,
        ],
    ),
    // A receipt may say hours later that it did not arrive, and that it is worth trying again.
    (K::Sent, &[K::Delivered, K::Read, K::Failed, K::Retrying, K::Held]),
    (K::Delivered, &[K::Read]),
    (K::Read, &[]),
    (K::Failed, &[]),
    (K::Expired, &[]),
    (K::Skipped, &[]),
    (K::Cancelled, &[]),
];

/// The ended states that an operator may take back to `pending`, which is recorded.
pub const REVIVALS: &[StateKind] = &[K::Failed, K::Expired, K::Skipped, K::Cancelled];

/// What an operator may take back by force only: it may have arrived, so the second copy is counted and marked.
pub const FORCED_REVIVALS: &[StateKind] = &[K::Sent, K::InDoubt];

impl StateKind {
    /// All states, in the order of the chart.
    pub const ALL: [Self; 12] = [
        K::Pending,
        K::Held,
        K::Sending,
        K::Retrying,
        K::InDoubt,
        K::Sent,
        K::Delivered,
        K::Read,
        K::Failed,
        K::Expired,
        K::Skipped,
        K::Cancelled,
    ];

    /// The state's name in JSON, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            K::Pending => "pending",
            K::Held => "held",
            K::Sending => "sending",
            K::Retrying => "retrying",
            K::InDoubt => "in_doubt",
            K::Sent => "sent",
            K::Delivered => "delivered",
            K::Read => "read",
            K::Failed => "failed",
            K::Expired => "expired",
            K::Skipped => "skipped",
            K::Cancelled => "cancelled",
        }
    }

    /// Whether a delivery may move from this state to that one by itself.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        MOVES.iter().any(|(from, to)| *from == self && to.contains(&next))
    }
}

impl std::fmt::Display for StateKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for StateKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|k| k.as_str() == text).ok_or(())
    }
}

impl State {
    /// The state's name without its reason.
    #[must_use]
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Pending => K::Pending,
            Self::Held(_) => K::Held,
            Self::Sending => K::Sending,
            Self::Retrying => K::Retrying,
            Self::InDoubt | Self::Parked => K::InDoubt,
            Self::Sent => K::Sent,
            Self::Delivered => K::Delivered,
            Self::Read => K::Read,
            Self::Failed(_) => K::Failed,
            Self::Expired(_) => K::Expired,
            Self::Skipped(_) => K::Skipped,
            Self::Cancelled(_) => K::Cancelled,
        }
    }

    /// The machine-readable reason, where the state has one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Held(reason) => Some(reason.as_str().to_owned()),
            Self::Parked => Some("parked".to_owned()),
            Self::Failed(reason)
            | Self::Expired(reason)
            | Self::Skipped(reason)
            | Self::Cancelled(reason) => Some(reason.to_string()),
            _ => None,
        }
    }

    /// Nothing more will be done for it by itself: sent, delivered, read, parked in doubt, or ended.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Pending | Self::Held(_) | Self::Sending | Self::Retrying | Self::InDoubt)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every member of the closed list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in JSON, logs and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            fn from_word(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_word(&text)
                    .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a reason of the list")))
            }
        }
    };
}

impl std::fmt::Display for State {
    /// `sent`, or `failed(bounced)` where there is a reason.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{}({reason})", self.kind()),
            None => write!(f, "{}", self.kind()),
        }
    }
}

words!(
    /// What a held delivery waits for.
    HeldReason {
        /// Its `deliver_at`, or a reminder's instant.
        Scheduled = "scheduled",
        /// The end of its digest's window.
        Digest = "digest",
        /// Its recipient has had as many as the route allows.
        Throttled = "throttled",
        /// The end of the recipient's quiet hours, or the next send window.
        QuietHours = "quiet_hours",
        /// A kill switch.
        SwitchedOff = "switched_off",
        /// An inbound WhatsApp message, without which free text may not be sent.
        WindowClosed = "window_closed",
        /// A working provider configuration.
        ChannelHalted = "channel_halted",
        /// The provider's template to be usable again.
        TemplatePaused = "template_paused",
        /// Its share of the provider's rate.
        Pacing = "pacing",
        /// The end of a hold that the provider asked for.
        ProviderHold = "provider_hold",
        /// Credits.
        Credits = "credits",
        /// Budget.
        Budget = "budget",
    }
);

words!(
    /// The reasons of an end that carry nothing else; see [`Reason`].
    PlainReason {
        /// The recipient has no address for the channel.
        NoAddress = "no_address",
        /// The recipient does not want it.
        OptedOut = "opted_out",
        /// The address is on the suppression list.
        Suppressed = "suppressed",
        /// The recipient is switched off.
        Inactive = "inactive",
        /// The key sends to the team only and the recipient is not of it.
        NotTeam = "not_team",
        /// The key only plans and renders.
        TestKey = "test_key",
        /// The route's `once_per` has been used up.
        AlreadyTold = "already_told",
        /// The route's condition is not met.
        NoCondition = "no_condition",
        /// A kill switch that drops.
        SwitchedOff = "switched_off",
        /// Its recipient has had as many as the route allows, and the route drops what is more.
        Throttled = "throttled",
        /// Another delivery tells of it, in one message with others.
        Digested = "digested",
        /// The message came back.
        Bounced = "bounced",
        /// The recipient reported it.
        Complained = "complained",
        /// Every try that counts has failed.
        AttemptsExhausted = "attempts_exhausted",
        /// Nobody knows whether the call was accepted, and the policy gave up.
        UnknownOutcome = "unknown_outcome",
        /// `expires_at` came first.
        PastExpiry = "past_expiry",
        /// WhatsApp's window stayed closed and there is no approved template.
        WindowClosed = "window_closed",
        /// In doubt and parked until it expired.
        Parked = "parked",
        /// A caller took the event back.
        CancelledBy = "cancelled_by",
        /// Somebody acknowledged the event whose escalation it belongs to.
        Acknowledged = "acknowledged",
        /// The deadline it reminds of was closed or moved.
        DeadlineClosed = "deadline_closed",
    }
);

/// Why a delivery ended where it did: a closed list, documented in the OpenAPI.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// One of the words.
    Plain(PlainReason),
    /// The provider, or our own last check, refused it with this code.
    Rejected(String),
}

impl From<PlainReason> for Reason {
    fn from(plain: PlainReason) -> Self {
        Self::Plain(plain)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(plain) => f.write_str(plain.as_str()),
            Self::Rejected(code) => write!(f, "rejected:{code}"),
        }
    }
}

impl Reason {
    fn from_word(text: &str) -> Option<Self> {
        match text.strip_prefix("rejected:") {
            Some(code) => Some(Self::Rejected(code.to_owned())),
            None => PlainReason::from_word(text).map(Self::Plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_state() -> Vec<State> {
        let mut states = vec![
            State::Pending,
            State::Sending,
            State::Retrying,
            State::InDoubt,
            State::Parked,
            State::Sent,
            State::Delivered,
            State::Read,
            State::Failed(Reason::Rejected("131026".to_owned())),
        ];
        states.extend(HeldReason::ALL.iter().map(|r| State::Held(*r)));
        for plain in PlainReason::ALL {
            let reason = Reason::Plain(*plain);
            states.push(State::Failed(reason.clone()));
            states.push(State::Expired(reason.clone()));
            states.push(State::Skipped(reason.clone()));
            states.push(State::Cancelled(reason));
        }
        states
    }

    #[test]
    fn every_state_survives_being_stored() {
        for state in every_state() {
            let json = serde_json::to_value(&state).unwrap();
            assert_eq!(serde_json::from_value::<State>(json).unwrap(), state);
        }
    }

    #[test]
    fn a_state_that_needs_a_reason_is_refused_without_one() {
        for state in ["held", "failed", "expired", "skipped", "cancelled"] {
            for reason in [serde_json::json!(null), serde_json::json!("because")] {
                let json = serde_json::json!({"state": state, "reason": reason});
                assert!(serde_json::from_value::<State>(json).is_err(), "{state}");
            }
        }
    }

    #[test]
    fn an_end_is_final_and_the_table_names_every_state_once() {
        for kind in StateKind::ALL {
            assert_eq!(MOVES.iter().filter(|(from, _)| *from == kind).count(), 1, "{kind}");
        }
        for (from, to) in MOVES {
            let ended = matches!(from, K::Read | K::Failed | K::Expired | K::Skipped | K::Cancelled);
            assert_eq!(to.is_empty(), ended, "{from}");
        }
    }
}
