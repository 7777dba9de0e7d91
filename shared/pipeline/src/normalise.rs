//! Brings every stored phone number of a tenant into E.164, a page of recipients at a time. Reads and writes the
//! directory; [`crate::jobs`] calls it and keeps how far it is.

use carillon_domain::{FieldError, Progress, TenantId};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::jobs::{JobStep, StepError};
use crate::ports::StoreError;
use crate::store::directory::{PutRecipient, StoredRecipient};

/// How many recipients a step looks at.
const PAGE: usize = 200;

/// How many of them are stored side by side.
const SIDE_BY_SIDE: usize = 16;

/// How many that cannot be are named; the others are counted. Their ids may have 512 bytes each, and all of them lie on
/// the job's item.
const NAMED: usize = 500;

/// How often a recipient whom others change at the same time is looked at again.
const LOOKS: usize = 3;

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Normalising {
    /// The last recipient that was looked at.
    after: Option<String>,
    /// How many there are in all.
    total: Option<u64>,
    changed: u64,
    unchanged: u64,
    impossible: Vec<Value>,
    /// Further ones that cannot be.
    more_impossible: u64,
}

/// What became of one recipient.
enum Normalised {
    Changed,
    Unchanged,
    Impossible(Value),
    /// Removed in the meantime.
    Gone,
}

impl Pipeline {
    /// Looks at the next page. Done twice, it finds its own changes and counts them as unchanged.
    pub(crate) async fn normalise_step(
        &self,
        tenant: &TenantId,
        dry_run: bool,
        mut so_far: Normalising,
    ) -> Result<JobStep<Normalising>, StepError> {
        if so_far.total.is_none() {
            so_far.total = Some(self.count_recipients(tenant).await?);
        }
        let region = self.tenant(tenant).await?.map(|owner| owner.region.clone());
        let (page, next) = self.list_recipients(tenant, PAGE, so_far.after.as_deref()).await?;
        for some in page.chunks(SIDE_BY_SIDE) {
            let each =
                some.iter().map(|stored| self.normalise_one(tenant, stored, region.as_deref(), dry_run));
            for outcome in join_all(each).await {
                so_far.count(outcome?);
            }
        }
        if next.is_none() {
            return Ok(JobStep::Done(so_far.report()));
        }
        so_far.after = next;
        Ok(JobStep::More { progress: so_far.progress(), checkpoint: so_far })
    }

    async fn normalise_one(
        &self,
        tenant: &TenantId,
        listed: &StoredRecipient,
        region: Option<&str>,
        dry_run: bool,
    ) -> Result<Normalised, StoreError> {
        let mut stored = listed.clone();
        for _ in 0..LOOKS {
            let now = match stored.recipient.clone().normalised(region) {
                Ok(now) if now == stored.recipient => return Ok(Normalised::Unchanged),
                Ok(_) if dry_run => return Ok(Normalised::Changed),
                Ok(now) => now,
                Err(faults) => return Ok(impossible(&stored, &faults)),
            };
            match self.put_recipient_after(tenant, &stored.id.clone(), Some(stored.clone()), &now).await {
                Ok(PutRecipient::Created | PutRecipient::Replaced) => return Ok(Normalised::Changed),
                Ok(PutRecipient::PhoneTaken(other)) => {
                    let detail = format!("belongs to the recipient {:?}", other.as_str());
                    return Ok(impossible(&stored, &[FieldError::new("/phone", detail)]));
                }
                // Somebody changed the recipient since the page was read: what they put is what counts.
                Err(StoreError::Conflict(_)) => match self.stored_recipient(tenant, &stored.id).await? {
                    Some(fresh) => stored = fresh,
                    None => return Ok(Normalised::Gone),
                },
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict(None))
    }
}

impl Normalising {
    fn count(&mut self, outcome: Normalised) {
        match outcome {
            Normalised::Changed => self.changed += 1,
            Normalised::Unchanged => self.unchanged += 1,
            Normalised::Impossible(named) if self.impossible.len() < NAMED => self.impossible.push(named),
            Normalised::Impossible(_) => self.more_impossible += 1,
            Normalised::Gone => {}
        }
    }

    fn progress(&self) -> Progress {
        let done = self.changed + self.unchanged + self.impossible.len() as u64 + self.more_impossible;
        // Recipients may have come since they were counted.
        Progress { done, total: self.total.map(|total| total.max(done)) }
    }

    fn report(self) -> Value {
        let mut report =
            json!({"changed": self.changed, "unchanged": self.unchanged, "impossible": self.impossible});
        if self.more_impossible > 0 {
            report["more_impossible"] = self.more_impossible.into();
        }
        report
    }
}

fn impossible(stored: &StoredRecipient, faults: &[FieldError]) -> Normalised {
    Normalised::Impossible(json!({"id": stored.id, "errors": faults}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_any_more_is_counted() {
        let mut so_far = Normalising { total: Some(3), ..Normalising::default() };
        for _ in 0..NAMED + 2 {
            so_far.count(Normalised::Impossible(json!({"id": "x", "errors": []})));
        }
        assert_eq!(so_far.progress(), Progress { done: 502, total: Some(502) });
        let report = so_far.report();
        assert_eq!(
            (report["impossible"].as_array().map(Vec::len), &report["more_impossible"]),
            (Some(NAMED), &json!(2))
        );
    }
}
