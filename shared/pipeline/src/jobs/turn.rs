//! A turn of a job: one message of the jobs queue. Takes the lease, works steps and stores the checkpoint after each, then
//! queues the next turn or writes the end. Whatever comes twice, the table decides.

use std::panic::AssertUnwindSafe;

use carillon_domain::{JobState, Problem, ProblemKind, TenantId, Timestamp};
use futures_util::FutureExt;
use jiff::SignedDuration;
use serde_json::Value;

use super::kinds::{JobStep, StepError};
use crate::context::Pipeline;
use crate::deliver::plus;
use crate::store::jobs::{Job, SavedJob};
use crate::work::{JobWork, WorkError};

/// How long a worker may be at a job without a checkpoint. Above the function's time limit, below the queue's visibility
/// timeout: when a crashed worker's message comes back, its lease is over.
const LEASE: SignedDuration = SignedDuration::from_secs(120);

/// After this long a turn ends and the next is queued, so that a function ends long before its time limit.
const TURN: SignedDuration = SignedDuration::from_secs(20);

/// After this many steps a turn ends too.
const STEPS_A_TURN: usize = 20;

/// How often the same step is begun before the job fails: a queue gives up later, and without telling anybody who waits.
const MOST_TRIES: u32 = 5;

/// How large a result may be: an item of the table has at most 400 KB.
const RESULT_BYTES: usize = 350_000;

impl Pipeline {
    /// Works one turn of a job.
    ///
    /// # Errors
    /// What the queue shall repeat: a step that may succeed then, or a job that somebody else is at.
    pub async fn work_job(&self, work: &JobWork) -> Result<(), WorkError> {
        let tenant = &work.tenant;
        let Some(job) = self.job(tenant, &work.job_id).await? else { return Ok(()) };
        let Some(mut job) = self.claim_job(work, job).await? else { return Ok(()) };
        if job.tries > MOST_TRIES {
            let detail =
                format!("The same step failed {MOST_TRIES} times. What was done before it stays done.");
            return self.end_job(tenant, job, Err(Problem::new(ProblemKind::Internal, detail))).await;
        }
        let began = self.now();
        for steps in 1..=STEPS_A_TURN {
            let step = self.job_step(tenant, &job.input, job.checkpoint.clone());
            let step = AssertUnwindSafe(step).catch_unwind().await;
            let step = step.unwrap_or_else(|_| Err(StepError::Again(panicked())));
            let (checkpoint, progress) = match step {
                Ok(JobStep::More { checkpoint, progress }) => (checkpoint, progress),
                Ok(JobStep::Done(result)) => return self.end_job(tenant, job, Ok(result)).await,
                Err(StepError::Never(problem)) => return self.end_job(tenant, job, Err(problem)).await,
                Err(StepError::Again(error)) => return Err(self.put_down(tenant, job, error).await),
            };
            let now = self.now();
            let over = steps == STEPS_A_TURN || now.duration_since(began) >= TURN;
            job.checkpoint = Some(checkpoint);
            job.progress = progress;
            job.tries = 0;
            job.turn += u32::from(over);
            job.lease_until = (!over).then(|| plus(now, LEASE));
            match self.save_job(tenant, job).await? {
                SavedJob::Done(saved) => job = *saved,
                // Our lease ran out and somebody else goes on.
                SavedJob::Overtaken => return Ok(()),
            }
            if over {
                // When this fails, our own message comes back, finds the job free and goes on with it.
                return Ok(self.queue_turn(tenant, &job).await?);
            }
        }
        Ok(())
    }

    /// Takes the lease; none when there is nothing left for this message to do.
    async fn claim_job(&self, work: &JobWork, mut job: Job) -> Result<Option<Job>, WorkError> {
        if job.state.has_ended() {
            return Ok(None);
        }
        let now = self.now();
        if let Some(until) = self.job_lease(&job, now) {
            // Whoever holds the lease has a message of their own, which comes back if they die.
            return if work.turn < job.turn { Ok(None) } else { Err(WorkError::Leased(until)) };
        }
        job.state = JobState::Running;
        job.owner = self.random_owner();
        job.lease_until = Some(plus(now, LEASE));
        job.tries += 1;
        match self.save_job(&work.tenant, job).await? {
            SavedJob::Done(job) => Ok(Some(*job)),
            SavedJob::Overtaken => Err(WorkError::Leased(plus(now, LEASE))),
        }
    }

    /// Until when somebody is at a job; none when nobody is.
    fn job_lease(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let taken_before_us = self.leases_void_before.is_some_and(|start| job.changed_at < start);
        job.lease_until.filter(|until| !taken_before_us && *until > now)
    }

    /// Gives the lease back after a step that is to be repeated. Answers why it is.
    async fn put_down(&self, tenant: &TenantId, mut job: Job, error: WorkError) -> WorkError {
        let id = job.id.clone();
        job.lease_until = None;
        if let Err(store) = self.save_job(tenant, job).await {
            tracing::warn!(job.id = %id, error = %store, "a lease was not given back; it runs out by itself");
        }
        error
    }

    async fn end_job(
        &self,
        tenant: &TenantId,
        mut job: Job,
        ended: Result<Value, Problem>,
    ) -> Result<(), WorkError> {
        job.checkpoint = None;
        job.lease_until = None;
        match ended.and_then(storable) {
            Ok(result) => {
                tracing::info!(tenant.id = %tenant, job.id = %job.id, job.kind = job.input.kind(), "job done");
                job.progress.done = job.progress.total.unwrap_or(job.progress.done);
                (job.state, job.result) = (JobState::Done, Some(result));
            }
            Err(problem) => {
                tracing::error!(tenant.id = %tenant, job.id = %job.id, job.kind = job.input.kind(), problem = %problem.detail, "job failed");
                let problem = problem.to_json(&format!("/v1/jobs/{}", job.id));
                (job.state, job.problem) = (JobState::Failed, Some(problem));
            }
        }
        // Overtaken, somebody else works the same last step and writes the same end.
        self.save_job(tenant, job).await?;
        Ok(())
    }
}

fn storable(result: Value) -> Result<Value, Problem> {
    let bytes = result.to_string().len();
    if bytes <= RESULT_BYTES {
        return Ok(result);
    }
    let detail = format!("The work is done, and its result of {bytes} bytes is too large to be kept.");
    Err(Problem::new(ProblemKind::Internal, detail))
}

fn panicked() -> WorkError {
    WorkError::Unreadable("a step of the job panicked".to_owned())
}
