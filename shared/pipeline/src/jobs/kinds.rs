//! The kinds of long work, and what a step of it is. A kind is a variant of [`JobInput`], its name, an arm of
//! `Pipeline::job_step`, and a function that does one step in a file of its own; [`super`] starts jobs, [`super::turn`] works
//! them.

use carillon_domain::{EventId, Problem, ProblemKind, Progress, RecipientKey, TenantId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Pipeline;
use crate::ports::{QueueError, StoreError};
use crate::prove::Period;
use crate::redrive::Redrive;
use crate::retry::RetryMany;
use crate::work::WorkError;

/// What a job is to do: its kind and what it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobInput {
    /// Bring every stored phone number into E.164.
    Normalise {
        /// Change nothing.
        dry_run: bool,
    },
    /// Put dead letters back to work.
    Redrive(Redrive),
    /// Send ended deliveries again.
    Retry(RetryMany),
    /// Take back what has not left of an event.
    Cancel {
        /// Which event.
        event_id: EventId,
    },
    /// Stop what is left of an acknowledged event's escalation.
    Acknowledge {
        /// Which event.
        event_id: EventId,
    },
    /// Compare what was accepted with what became of it.
    Prove(Period),
    /// Remove what is older than the tenant keeps it.
    Cleanup {
        /// Remove nothing.
        dry_run: bool,
    },
    /// Forget a person.
    Erase {
        /// The hash that stands for them in keys: their id is not kept with the job.
        recipient: RecipientKey,
    },
    /// Let go what a kill switch held.
    Release {
        /// When the stop was lifted.
        lifted_at: Timestamp,
    },
}

impl JobInput {
    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Normalise { .. } => "normalise",
            Self::Redrive(_) => "redrive",
            Self::Retry(_) => "retry",
            Self::Cancel { .. } => "cancel",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Prove(_) => "prove",
            Self::Cleanup { .. } => "cleanup",
            Self::Erase { .. } => "erase",
            Self::Release { .. } => "release",
        }
    }
}

impl Pipeline {
    /// One step of a job: some seconds of work at most, such as a page of a list. A step may be repeated, or worked by two
    /// workers at a time, so what it does must be right when it is done twice.
    pub(super) async fn job_step(
        &self,
        tenant: &TenantId,
        input: &JobInput,
        checkpoint: Option<Value>,
    ) -> Result<JobStep<Value>, StepError> {
        match input {
            JobInput::Normalise { dry_run } => {
                self.normalise_step(tenant, *dry_run, resumed(checkpoint)?).await?.stored()
            }
            JobInput::Redrive(wanted) => {
                self.redrive_step(tenant, wanted, resumed(checkpoint)?).await?.stored()
            }
            JobInput::Retry(wanted) => self.retry_step(tenant, wanted, resumed(checkpoint)?).await?.stored(),
            JobInput::Cancel { event_id } => {
                self.cancel_step(tenant, event_id, resumed(checkpoint)?).await?.stored()
            }
            JobInput::Acknowledge { event_id } => {
                self.acknowledge_step(tenant, event_id, resumed(checkpoint)?).await?.stored()
            }
            JobInput::Prove(period) => self.prove_step(tenant, *period, resumed(checkpoint)?).await?.stored(),
            JobInput::Cleanup { dry_run } => {
                self.cleanup_step(tenant, *dry_run, resumed(checkpoint)?).await?.stored()
            }
            JobInput::Erase { recipient } => {
                self.erase_step(tenant, recipient, resumed(checkpoint)?).await?.stored()
            }
            JobInput::Release { lifted_at } => {
                self.release_step(tenant, *lifted_at, resumed(checkpoint)?).await?.stored()
            }
        }
    }
}

/// What a step came to.
#[derive(Debug)]
pub enum JobStep<C> {
    /// There is more to do.
    More {
        /// Where the next step goes on.
        checkpoint: C,
        /// How far the job is.
        progress: Progress,
    },
    /// Everything is done, with this result: a JSON value of at most 350 KB.
    Done(Value),
}

/// Why a step did not come to its end.
#[derive(Debug)]
pub enum StepError {
    /// It may pass: the step is repeated, from its own checkpoint.
    Again(WorkError),
    /// Repeating does not help: the job fails with this problem.
    Never(Problem),
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) => Self::Again(error.into()),
            StoreError::BadCursor | StoreError::Refused(_) => Self::Never(error.into()),
        }
    }
}

impl From<QueueError> for StepError {
    fn from(error: QueueError) -> Self {
        Self::Again(error.into())
    }
}

impl From<Problem> for StepError {
    fn from(problem: Problem) -> Self {
        match problem.kind {
            ProblemKind::Unavailable => Self::Again(StoreError::Unavailable(problem.detail).into()),
            _ => Self::Never(problem),
        }
    }
}

impl<C: Serialize> JobStep<C> {
    /// The same with the checkpoint as it is stored.
    fn stored(self) -> Result<JobStep<Value>, StepError> {
        match self {
            Self::Done(result) => Ok(JobStep::Done(result)),
            Self::More { checkpoint, progress } => match serde_json::to_value(checkpoint) {
                Ok(checkpoint) => Ok(JobStep::More { checkpoint, progress }),
                Err(error) => {
                    Err(StoreError::Refused(format!("a checkpoint cannot be stored: {error}")).into())
                }
            },
        }
    }
}

/// The checkpoint that a step goes on from; the first one's is the default.
fn resumed<C: Default + DeserializeOwned>(checkpoint: Option<Value>) -> Result<C, StepError> {
    let Some(checkpoint) = checkpoint else { return Ok(C::default()) };
    serde_json::from_value(checkpoint)
        .map_err(|error| StoreError::Refused(format!("a checkpoint cannot be read: {error}")).into())
}
