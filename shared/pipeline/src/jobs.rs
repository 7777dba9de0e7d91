//! jobs: work that cannot be done within a call, in steps. A caller starts a job (or works what is small at once); each
//! queue message is a turn of some steps, after each of which the checkpoint is stored; the turn queues the next. Whoever
//! polls `GET /v1/jobs/{id}` comes next.

mod kinds;
mod turn;

use carillon_domain::{JobId, JobState, Problem, ProblemKind, Progress, TenantId};
use jiff::SignedDuration;
use serde_json::Value;

use crate::context::Pipeline;
use crate::ports::{Queue, QueueError};
use crate::store::jobs::{Job, expiry};
use crate::work::{JobWork, WorkError};

pub use kinds::{JobInput, JobStep, StepError};

/// How many steps a call works itself before it makes a job of the rest.
const STEPS_AT_ONCE: usize = 5;

/// After this long a call makes a job of the rest.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(3);

/// How a call was answered that may be long work.
#[derive(Debug)]
pub enum Worked {
    /// It was small: this is the result.
    AtOnce(Value),
    /// A job goes on with it.
    AsJob(JobId),
}

impl Pipeline {
    /// Works what is small at once, and makes a job of the rest, which goes on where this stopped.
    ///
    /// # Errors
    /// What the work itself came to; 503 when the job cannot be queued.
    pub async fn work_or_start_job(&self, tenant: &TenantId, input: JobInput) -> Result<Worked, Problem> {
        let began = self.now();
        let (mut checkpoint, mut progress) = (None, Progress::default());
        for _ in 0..STEPS_AT_ONCE {
            match self.job_step(tenant, &input, checkpoint.take()).await.map_err(problem_of)? {
                JobStep::Done(result) => return Ok(Worked::AtOnce(result)),
                JobStep::More { checkpoint: next, progress: so_far } => {
                    (checkpoint, progress) = (Some(next), so_far);
                }
            }
            if self.now().duration_since(began) >= AT_ONCE {
                break;
            }
        }
        self.start_job_at(tenant, input, checkpoint, progress).await.map(Worked::AsJob)
    }

    /// Makes a job and queues it.
    ///
    /// # Errors
    /// 503 when it cannot be stored and queued; then there is no job.
    pub async fn start_job(&self, tenant: &TenantId, input: JobInput) -> Result<JobId, Problem> {
        self.start_job_at(tenant, input, None, Progress::default()).await
    }

    async fn start_job_at(
        &self,
        tenant: &TenantId,
        input: JobInput,
        checkpoint: Option<Value>,
        progress: Progress,
    ) -> Result<JobId, Problem> {
        let mut bits = [0; 16];
        self.entropy.fill(&mut bits);
        let (id, now) = (JobId::from_random(bits), self.now());
        let job = Job {
            id: id.clone(),
            input,
            state: JobState::Queued,
            progress,
            checkpoint,
            result: None,
            problem: None,
            rev: 1,
            turn: 0,
            tries: 0,
            owner: self.random_owner(),
            lease_until: None,
            created_at: now,
            changed_at: now,
            expires_s: expiry(now),
        };
        self.put_job(tenant, &job).await?;
        if let Err(error) = self.queue_turn(tenant, &job).await {
            tracing::warn!(tenant.id = %tenant, job.id = %id, error = %error, "a job could not be queued; there is none");
            // Its message may be in the queue all the same: without the job it does nothing.
            self.delete_job(tenant, &id).await?;
            return Err(queue_is_away());
        }
        tracing::info!(tenant.id = %tenant, job.id = %id, job.kind = job.input.kind(), "job started");
        Ok(id)
    }

    async fn queue_turn(&self, tenant: &TenantId, job: &Job) -> Result<(), QueueError> {
        let work = JobWork { tenant: tenant.clone(), job_id: job.id.clone(), turn: job.turn };
        self.queues.send(Queue::Jobs, vec![work.message()]).await
    }
}

fn problem_of(error: StepError) -> Problem {
    match error {
        StepError::Never(problem) => problem,
        StepError::Again(WorkError::Store(error)) => error.into(),
        StepError::Again(_) => queue_is_away(),
    }
}

fn queue_is_away() -> Problem {
    let mut problem = Problem::new(ProblemKind::Unavailable, "The work could not be queued. Try again.");
    problem.retry_after_s = Some(2);
    problem
}
