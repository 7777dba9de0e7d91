//! What an operator asks for after an end: send one delivery again, send many, or decide again about one. Each is recorded
//! on the delivery. Reads and writes deliveries; revive queues them.

use carillon_domain::parse::from_value;
use carillon_domain::{
    Channel, ChannelChoice, Delivery, DeliveryId, EventType, FieldError, Principal, Problem, ProblemKind,
    Progress, RecipientId, State, StateKind, TenantId, Timestamp,
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::fan_out::Told;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::read::{DeliveryFilter, LogPage};
use crate::revive::{Asked, Expiry, Revived};
use crate::work::WorkError;

/// How many deliveries a step looks at.
const PAGE: usize = 100;

/// How many of them are sent again side by side.
const SIDE_BY_SIDE: usize = 16;

/// How many a filter may name.
const MOST_IDS: usize = 1_000;

/// What a retry of one says.
#[derive(Deserialize)]
struct RetryInput {
    #[serde(default)]
    force: bool,
}

/// What a retry of many says.
#[derive(Deserialize)]
struct RetryManyInput {
    filter: RetryFilter,
    #[serde(default)]
    dry_run: bool,
}

/// Which deliveries are meant; everything that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryFilter {
    /// These.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<DeliveryId>>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateKind>,
    /// On this channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// To this recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<RecipientId>,
    /// Of this type of event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<EventType>,
    /// About this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Planned from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Planned before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// A retry of many, as a job has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryMany {
    /// Which.
    pub filter: RetryFilter,
    /// Only count them.
    pub dry_run: bool,
    /// The id of the key that asked.
    pub by: String,
}

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Retrying {
    after: Option<String>,
    looked_at: u64,
    matched: u64,
    retried: u64,
}

/// Whether a delivery may be sent again without force: its end is one that trying again can change.
fn may_be_retried(delivery: &Delivery) -> bool {
    matches!(delivery.state.kind(), StateKind::Failed | StateKind::Expired | StateKind::Cancelled)
}

impl Pipeline {
    /// Sends an ended delivery again; with `force` also one that may have arrived, and marks that.
    ///
    /// # Errors
    /// 404 without such a delivery; 409 where it may not be sent again, saying why.
    pub async fn retry(&self, caller: &Principal, id: &DeliveryId, body: Value) -> Result<(), Problem> {
        let RetryInput { force } = from_value(body)?;
        let before = self.delivery(&caller.tenant, id).await?;
        let before = before.ok_or_else(|| Problem::not_found("delivery", id))?;
        let perhaps_arrived = matches!(before.state.kind(), StateKind::Sent | StateKind::InDoubt);
        if perhaps_arrived && !force {
            let detail = format!(
                "it is {} and may arrive; force sends it again, as a possible duplicate",
                before.state.kind()
            );
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        if !perhaps_arrived && !may_be_retried(&before) {
            let detail = format!(
                "it is {}; only what has failed, expired or was cancelled is sent again",
                before.state.kind()
            );
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        let revived = self.revive(&caller.tenant, before, asked(caller, force, None)).await?;
        queued(revived)
    }

    /// Sends many ended deliveries again, or counts them.
    ///
    /// # Errors
    /// 422 for a filter that cannot be; 503 when store or queues cannot be reached, and then some may be sent again.
    pub async fn retry_many(&self, caller: &Principal, body: Value) -> Result<Worked, Problem> {
        let RetryManyInput { filter, dry_run } = from_value(body)?;
        if filter.ids.as_ref().is_some_and(|ids| ids.len() > MOST_IDS) {
            let detail = format!("names more than {MOST_IDS} deliveries; use the other fields");
            return Err(FieldError::new("/filter/ids", detail).into());
        }
        if let Some(state) = filter.state
            && !matches!(state, StateKind::Failed | StateKind::Expired | StateKind::Cancelled)
        {
            let detail = "must be failed, expired or cancelled: only these are sent again in number";
            return Err(FieldError::new("/filter/state", detail).into());
        }
        let wanted = RetryMany { filter, dry_run, by: caller.key_id.clone() };
        self.work_or_start_job(&caller.tenant, JobInput::Retry(wanted)).await
    }

    /// Sends the next page again. Done twice, it finds what it has sent again pending and does not count it.
    pub(crate) async fn retry_step(
        &self,
        tenant: &TenantId,
        wanted: &RetryMany,
        mut so_far: Retrying,
    ) -> Result<JobStep<Retrying>, StepError> {
        let filter = &wanted.filter;
        let (page, next) = if let Some(ids) = &filter.ids {
            (self.deliveries(tenant, ids).await?, None)
        } else {
            let cursor = so_far.after.take();
            let page = LogPage { from: filter.from, to: filter.to, limit: PAGE, cursor };
            self.log_of_deliveries(tenant, &page).await?
        };
        so_far.looked_at += page.len() as u64;
        let of_log = DeliveryFilter {
            state: filter.state,
            channel: filter.channel,
            recipient: filter.recipient.clone(),
            event_type: filter.event_type.clone(),
            subject: filter.subject.clone(),
        };
        let matched: Vec<Delivery> =
            page.into_iter().filter(|d| may_be_retried(d) && of_log.takes(d)).collect();
        so_far.matched += matched.len() as u64;
        let worked = if wanted.dry_run { Vec::new() } else { matched };
        for some in worked.chunks(SIDE_BY_SIDE) {
            let asked = Asked { by: &wanted.by, expiry: Expiry::Extend, force: false, today: None };
            let each = some.iter().map(|d| self.revive(tenant, d.clone(), asked));
            for revived in join_all(each).await {
                let revived = revived.map_err(StepError::Again)?;
                so_far.retried += u64::from(matches!(revived, Revived::Queued(_)));
            }
        }
        so_far.after = next;
        if so_far.after.is_none() {
            return Ok(JobStep::Done(json!({"matched": so_far.matched, "retried": so_far.retried})));
        }
        Ok(JobStep::More { progress: Progress { done: so_far.looked_at, total: None }, checkpoint: so_far })
    }

    /// Decides again about an ended delivery, with today's preferences, address, template and settings, and sends it if it
    /// may be sent now.
    ///
    /// # Errors
    /// 404 without such a delivery; 409 for one that has not ended, or may have arrived.
    pub async fn reconsider(&self, caller: &Principal, id: &DeliveryId) -> Result<(), Problem> {
        let tenant = &caller.tenant;
        let before = self.delivery(tenant, id).await?;
        let before = before.ok_or_else(|| Problem::not_found("delivery", id))?;
        if !may_be_retried(&before) && before.state.kind() != StateKind::Skipped {
            let detail = format!("it is {}; only what was not sent is decided again", before.state.kind());
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        let Some(today) = self.planned_today(tenant, &before).await? else {
            let detail = "its event, route, template or recipient is not there any more";
            return Err(Problem::new(ProblemKind::Conflict, detail.to_owned()));
        };
        if let State::Skipped(reason) = &today.state {
            return Err(Problem::new(ProblemKind::Conflict, format!("it would be skipped again: {reason}")));
        }
        queued(self.revive(tenant, before, asked(caller, false, Some(&today))).await?)
    }

    /// What planning would make of a delivery now; none when there is nothing to plan it from.
    async fn planned_today(
        &self,
        tenant: &TenantId,
        before: &Delivery,
    ) -> Result<Option<Delivery>, WorkError> {
        let Some(mut event) = self.event(tenant, &before.event_id).await? else { return Ok(None) };
        let channels = ChannelChoice::All(vec![before.channel]);
        let mut route = self.route(tenant, &before.event_type).await?.map(|route| route.as_ref().clone());
        if event.direct().is_some() {
            event.input.channels = Some(channels);
        } else if let Some(route) = &mut route {
            route.channels = channels;
            route.fallback = None;
        }
        let page = std::slice::from_ref(&before.recipient_id);
        match self.plan_page(tenant, &event, route.as_ref(), page, &Told::Ask).await {
            Ok(planning) => Ok(planning.planned.into_iter().next().map(|one| one.delivery)),
            Err(WorkError::Unreadable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn asked<'a>(caller: &'a Principal, force: bool, today: Option<&'a Delivery>) -> Asked<'a> {
    Asked { by: &caller.key_id, expiry: Expiry::Extend, force, today }
}

/// The problem of a delivery that could not be taken back.
fn queued(revived: Revived) -> Result<(), Problem> {
    let detail = match revived {
        Revived::Queued(_) => return Ok(()),
        Revived::NotEnded(found) => format!("it is {} now", found.state.kind()),
        Revived::TooLate => "its time ran out".to_owned(),
        Revived::Unwanted(reason) => {
            format!("its recipient may not be sent to: {reason}; reconsider decides again")
        }
        Revived::Impossible(reason, note) => format!("{reason}: {}", note.unwrap_or_default()),
    };
    Err(Problem::new(ProblemKind::Conflict, detail))
}
