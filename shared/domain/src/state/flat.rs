//! How items and answers carry a state: its name and its reason, side by side. What cannot be together is refused.

use serde::{Deserialize, Serialize};

use super::StateKind as K;
use super::{HeldReason, Reason, State, StateKind};

/// A state as two flat fields, which is how items and answers carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlatState {
    /// The state's name.
    pub state: StateKind,
    /// Its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<State> for FlatState {
    fn from(state: State) -> Self {
        Self { state: state.kind(), reason: state.reason() }
    }
}

impl TryFrom<FlatState> for State {
    type Error = String;

    fn try_from(flat: FlatState) -> Result<Self, String> {
        let word = flat.reason.as_deref().unwrap_or_default();
        let unknown = || format!("state {} cannot have the reason {word:?}", flat.state);
        let reason = || Reason::from_word(word).ok_or_else(unknown);
        Ok(match flat.state {
            K::Pending => Self::Pending,
            K::Held => Self::Held(HeldReason::from_word(word).ok_or_else(unknown)?),
            K::Sending => Self::Sending,
            K::Retrying => Self::Retrying,
            K::InDoubt if word == "parked" => Self::Parked,
            K::InDoubt => Self::InDoubt,
            K::Sent => Self::Sent,
            K::Delivered => Self::Delivered,
            K::Read => Self::Read,
            K::Failed => Self::Failed(reason()?),
            K::Expired => Self::Expired(reason()?),
            K::Skipped => Self::Skipped(reason()?),
            K::Cancelled => Self::Cancelled(reason()?),
        })
    }
}
