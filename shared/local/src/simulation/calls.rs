//! A call at the provider's door, and what became of it.

use carillon_pipeline::ports::RefusalClass;

use super::core::TaskId;

/// What became of a call at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Under way.
    Open,
    /// There was no connection.
    NeverLeft,
    /// It never arrived, and nobody can know.
    Lost,
    /// It was refused.
    Refused(RefusalClass),
    /// The provider has it.
    Accepted,
}

/// A call at the provider's door.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) number: u32,
    pub(super) fate: Fate,
    pub(super) task: TaskId,
    /// The worker was given the answer.
    pub(super) answered: bool,
    /// The provider said later that it failed after all.
    pub(super) taken_back: bool,
}

impl Made {
    /// Whether it failed in a way that counts.
    pub(super) fn was_a_try(&self) -> bool {
        matches!(self.fate, Fate::NeverLeft | Fate::Refused(RefusalClass::Transient))
    }

    /// Whether the message may be there twice if it is sent again.
    pub(super) fn is_doubtful(&self) -> bool {
        match self.fate {
            _ if self.taken_back => false,
            Fate::NeverLeft => false,
            Fate::Refused(class) => class == RefusalClass::Ambiguous || !self.answered,
            Fate::Open | Fate::Lost | Fate::Accepted => true,
        }
    }
}
