//! Long work in the words of the API: what a job is called, how far it is, and whether it has ended. The pipeline stores
//! jobs and works them; `GET /v1/jobs/{id}` shows them.

use serde::{Deserialize, Serialize};

use crate::ids::random_id;

random_id!(
    /// 26 base32 characters, random.
    JobId, "a job id"
);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker has begun; between two turns nobody may be at it for a moment.
    Running,
    /// It ended and has a result.
    Done,
    /// It ended and has a problem. What it did before stays done.
    Failed,
}

impl JobState {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Things worked so far; what a thing is depends on the job.
    pub done: u64,
    /// Things in all, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is() {
        let id = JobId::from_random([7; 16]);
        assert_eq!(JobId::try_from(id.to_string()), Ok(id));
        for text in ["", "short", "UPPERCASEUPPERCASEUPPERCAS", "aaaaaaaaaaaaaaaaaaaaaaaa#a"] {
            assert!(JobId::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
