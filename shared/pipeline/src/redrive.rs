//! Dead letters as operators see them, and putting them back to work: a delivery is taken back and rendered again, every
//! other message goes back on its queue as it was. A few at once; many as a job.

use std::collections::BTreeSet;

use carillon_domain::parse::from_value;
use carillon_domain::{FieldError, Principal, Problem, Progress, Scope, TenantId, Timestamp};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::dead_letter::has_died;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::ports::{Message, Queue};
use crate::revive::{Asked, Expiry, Revived};
use crate::store::dead_letters::{DeadLetter, DeadLetterRange};
use crate::work::WorkError;

/// How many dead letters a step looks at.
const PAGE: usize = 100;

/// How many of them are redriven side by side.
const SIDE_BY_SIDE: usize = 16;

/// How many a filter may name: what one step can do.
const MOST_IDS: usize = 200;

/// Which dead letters are meant; everything that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterFilter {
    /// These.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Of this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Recorded from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Recorded before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// A redrive as it is asked for.
#[derive(Debug, Deserialize)]
pub struct RedriveInput {
    filter: DeadLetterFilter,
    #[serde(default)]
    dry_run: bool,
}

/// What a redrive is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// Which dead letters.
    pub filter: DeadLetterFilter,
    /// Count only.
    pub dry_run: bool,
    /// Also those of which nobody can say whose they are.
    pub ownerless: bool,
    /// The id of the key that asked.
    pub by: String,
}

/// How far a redrive is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Redriving {
    after: Option<String>,
    looked_at: u64,
    matched: u64,
    redriven: u64,
}

impl DeadLetterFilter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.queue.is_none_or(|queue| letter.queue == queue)
            && self.from.is_none_or(|from| letter.created_at >= from)
            && self.to.is_none_or(|to| letter.created_at < to)
    }

    fn range(&self, ownerless: bool) -> DeadLetterRange {
        DeadLetterRange { from: self.from, to: self.to, ownerless }
    }
}

impl Pipeline {
    /// A page of the dead letters that a caller may see, the newest first, and where the next begins. The platform also
    /// sees those of which nobody can say whose they are.
    ///
    /// # Errors
    /// 400 for a cursor that is none, 503 when the store cannot be reached.
    pub async fn dead_letters_view(
        &self,
        caller: &Principal,
        filter: &DeadLetterFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), Problem> {
        let range = filter.range(caller.may(Scope::Platform));
        let (found, next) = self.dead_letters(&caller.tenant, &range, limit, cursor).await?;
        Ok((found.iter().filter(|letter| filter.takes(letter)).map(view).collect(), next))
    }

    /// Puts dead letters back to work, or counts them.
    ///
    /// # Errors
    /// 422 for a filter that cannot be; 503 when store or queues cannot be reached, and then some may be redriven.
    pub async fn redrive(&self, caller: &Principal, body: Value) -> Result<Worked, Problem> {
        let RedriveInput { filter, dry_run } = from_value(body)?;
        if filter.ids.as_ref().is_some_and(|ids| ids.len() > MOST_IDS) {
            let detail = format!("names more than {MOST_IDS} dead letters; use from and to");
            return Err(FieldError::new("/filter/ids", detail).into());
        }
        let ownerless = caller.may(Scope::Platform);
        let wanted = Redrive { filter, dry_run, ownerless, by: caller.key_id.clone() };
        self.work_or_start_job(&caller.tenant, JobInput::Redrive(wanted)).await
    }

    /// Redrives the next page. Done twice, it finds what it has redriven and does not count it again.
    pub(crate) async fn redrive_step(
        &self,
        tenant: &TenantId,
        wanted: &Redrive,
        mut so_far: Redriving,
    ) -> Result<JobStep<Redriving>, StepError> {
        let (page, next) = if let Some(ids) = &wanted.filter.ids {
            let ids: Vec<String> = ids.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
            (self.dead_letters_by_id(tenant, &ids, wanted.ownerless).await?, None)
        } else {
            let range = wanted.filter.range(wanted.ownerless);
            self.dead_letters(tenant, &range, PAGE, so_far.after.as_deref()).await?
        };
        so_far.looked_at += page.len() as u64;
        let open = |letter: &&DeadLetter| letter.redriven_at.is_none() && wanted.filter.takes(letter);
        let matched: Vec<&DeadLetter> = page.iter().filter(open).collect();
        so_far.matched += matched.len() as u64;
        let worked: &[&DeadLetter] = if wanted.dry_run { &[] } else { &matched };
        for some in worked.chunks(SIDE_BY_SIDE) {
            for redriven in join_all(some.iter().map(|letter| self.redrive_one(letter, &wanted.by))).await {
                so_far.redriven += u64::from(redriven.map_err(StepError::Again)?);
            }
        }
        so_far.after = next;
        if so_far.after.is_none() {
            return Ok(JobStep::Done(json!({"matched": so_far.matched, "redriven": so_far.redriven})));
        }
        Ok(JobStep::More { progress: Progress { done: so_far.looked_at, total: None }, checkpoint: so_far })
    }

    /// Puts one back to work. Answers whether it is; what cannot be sent any more stays as it is.
    async fn redrive_one(&self, letter: &DeadLetter, by: &str) -> Result<bool, WorkError> {
        let delivery = match (&letter.tenant, &letter.delivery_id) {
            (Some(tenant), Some(id)) => self.delivery(tenant, id).await?.map(|delivery| (tenant, delivery)),
            _ => None,
        };
        let back = match delivery {
            Some((tenant, delivery)) if has_died(&delivery) => {
                match self
                    .revive(tenant, delivery, Asked { by, expiry: Expiry::Keep, force: false, today: None })
                    .await?
                {
                    Revived::Queued(_) | Revived::NotEnded(_) => true,
                    Revived::TooLate | Revived::Unwanted(_) | Revived::Impossible(..) => false,
                }
            }
            // Gone on without this message: sending it would be a second time. What is still open may yet fail.
            Some((_, delivery)) => delivery.state.is_settled(),
            None => self.put_back(letter).await?,
        };
        if back {
            self.put_redriven(letter, self.now()).await?;
            tracing::info!(queue = letter.queue.as_str(), dead_letter.id = %letter.id, key.id = by, "redriven");
        }
        Ok(back)
    }

    /// Puts what a dead letter said on its queue again. Repeated after a crash it is there twice, which every worker bears.
    async fn put_back(&self, letter: &DeadLetter) -> Result<bool, WorkError> {
        let Some(body) = self.dead_letter_payload(letter).await? else { return Ok(false) };
        let group = letter.tenant.as_ref().map_or_else(|| "redrive".to_owned(), |t| format!("{t}:normal"));
        self.queues.send(letter.queue, vec![Message { body, group, delay_s: 0 }]).await?;
        Ok(true)
    }
}

fn view(letter: &DeadLetter) -> Value {
    let mut view = json!({
        "id": letter.id,
        "queue": letter.queue,
        "reason": letter.reason,
        "receive_count": letter.receive_count,
        "created_at": letter.created_at,
    });
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            view[name] = value;
        }
    };
    put("tenant", json!(letter.tenant));
    put("delivery_id", json!(letter.delivery_id));
    put("event_id", json!(letter.event_id));
    put("redriven_at", json!(letter.redriven_at));
    view
}
