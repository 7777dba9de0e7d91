//! Jobs: long work with how far it is. Written by whoever starts one and by the jobs stage, read by the API. Each write
//! follows a known one (`rev`), so that of two workers one wins.

use carillon_domain::{JobId, JobState, Progress, TenantId, Timestamp};
use jiff::SignedDuration;
use jiff::fmt::serde::timestamp::millisecond::{optional as ms_optional, required as ms};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::deliver::plus;
use crate::jobs::JobInput;
use crate::ports::{Check, StoreError, Write};

/// How long a job can be read after its last change.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A job, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub input: JobInput,
    /// Where it stands.
    pub state: JobState,
    /// How far it is.
    pub progress: Progress,
    /// Where the next step goes on; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Value>,
    /// What came of it, when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is no result, when it failed: RFC 9457.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Value>,
    /// Counts the writes: each says which one it follows.
    pub rev: u32,
    /// Counts the queue messages of it that were worked to their end: an older message has nothing left to say.
    pub turn: u32,
    /// How often work was begun since the last checkpoint.
    pub tries: u32,
    /// Who wrote last. A write that finds its own owner and rev conflicted with itself.
    pub owner: String,
    /// Until when the owner works at it; none while nobody does.
    #[serde(default, with = "ms_optional", skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// When it was started.
    #[serde(with = "ms")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "ms")]
    pub changed_at: Timestamp,
    /// When it may be removed, in seconds since 1970.
    pub expires_s: i64,
}

/// What became of a write that follows another; the caller must not ignore that somebody else was first.
#[derive(Debug)]
pub(crate) enum SavedJob {
    /// It is stored.
    Done(Box<Job>),
    /// Somebody else changed it, or it is gone.
    Overtaken,
}

impl Pipeline {
    /// Stores a new job.
    pub(crate) async fn put_job(&self, tenant: &TenantId, job: &Job) -> Result<(), StoreError> {
        let write =
            Write::Put { key: keys::job(tenant, &job.id), item: to_item(job)?, only_if: vec![Check::Absent] };
        match self.table.write(write).await {
            // The id is random: what is there is our own write, repeated on the way.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Stores what became of a job, if nobody else has written since.
    pub(crate) async fn save_job(&self, tenant: &TenantId, mut job: Job) -> Result<SavedJob, StoreError> {
        let follows = job.rev;
        job.rev += 1;
        job.changed_at = self.now();
        job.expires_s = expiry(job.changed_at);
        let write = Write::Put {
            key: keys::job(tenant, &job.id),
            item: to_item(&job)?,
            only_if: vec![Check::Equals("rev", follows.into())],
        };
        match self.table.write(write).await {
            Ok(_) => Ok(SavedJob::Done(Box::new(job))),
            Err(StoreError::Conflict(Some(found))) => {
                let found: Job = from_item(found)?;
                let ours = found.owner == job.owner && found.rev == job.rev;
                Ok(if ours { SavedJob::Done(Box::new(job)) } else { SavedJob::Overtaken })
            }
            Err(StoreError::Conflict(None)) => Ok(SavedJob::Overtaken),
            Err(error) => Err(error),
        }
    }

    /// A job, as of now; none when it has expired.
    pub async fn job(&self, tenant: &TenantId, id: &JobId) -> Result<Option<Job>, StoreError> {
        let job: Option<Job> = self.table.get(&keys::job(tenant, id)).await?.map(from_item).transpose()?;
        Ok(job.filter(|job| job.expires_s > self.now().as_second()))
    }

    /// Removes a job of which nobody knows.
    pub(crate) async fn delete_job(&self, tenant: &TenantId, id: &JobId) -> Result<(), StoreError> {
        self.table.write(Write::Delete { key: keys::job(tenant, id), only_if: Vec::new() }).await.map(drop)
    }
}

/// When a job that changed now may be removed.
pub(crate) fn expiry(changed_at: Timestamp) -> i64 {
    plus(changed_at, KEPT_FOR).as_second()
}
