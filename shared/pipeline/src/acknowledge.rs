//! Somebody says that they have seen an event: a caller, the link in a message, the button of a WhatsApp message, or the
//! feed. What is left of its escalation is stopped. Notes it beside the event; cancels deliveries of steps that were told.

use carillon_domain::acknowledge::AcknowledgeToken;
use carillon_domain::parse::from_value;
use carillon_domain::state::PlainReason;
use carillon_domain::{
    DeliveryId, Event, EventId, FieldError, Principal, Problem, RecipientId, RecipientKey, TenantId, Token,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cancel::Cancelling;
use crate::context::Pipeline;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::ports::StoreError;
use crate::store::escalations::Acknowledgement;

pub use crate::store::escalations::AcknowledgedBy;

#[derive(Deserialize)]
struct AcknowledgeInput {
    recipient_id: Option<RecipientId>,
}

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Acknowledging {
    /// How many steps were stopped; none before that.
    stopped: Option<u64>,
    cancelling: Cancelling,
}

impl Pipeline {
    /// Acknowledges an event for a caller, who may say for whom. Repeating it answers the same.
    ///
    /// # Errors
    /// 404 without such an event; 422 for a recipient that does not exist; 503 when the store cannot be reached.
    pub async fn acknowledge(
        &self,
        caller: &Principal,
        id: &EventId,
        body: Value,
    ) -> Result<Worked, Problem> {
        let AcknowledgeInput { recipient_id } = from_value(body)?;
        let tenant = &caller.tenant;
        let Some(event) = self.event(tenant, id).await? else { return Err(Problem::not_found("event", id)) };
        if let Some(recipient) = &recipient_id
            && self.recipient(tenant, recipient).await?.is_none()
        {
            return Err(FieldError::new("/recipient_id", "there is no recipient by this id").into());
        }
        self.acknowledge_event(tenant, event.acknowledged_with(), recipient_id, AcknowledgedBy::Api).await
    }

    /// Acknowledges what a delivery tells of, for whoever was told by it. Answers whether there is such a delivery.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn acknowledge_delivery(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
        by: AcknowledgedBy,
    ) -> Result<Option<Worked>, Problem> {
        let Some(delivery) = self.delivery(tenant, id).await? else { return Ok(None) };
        let Some(event) = self.event(tenant, &delivery.event_id).await? else { return Ok(None) };
        let recipient = Some(delivery.recipient_id);
        self.acknowledge_event(tenant, event.acknowledged_with(), recipient, by).await.map(Some)
    }

    /// Acknowledges what a link stands for. Answers whether the event is there.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn acknowledge_by_link(&self, token: &AcknowledgeToken) -> Result<bool, Problem> {
        let AcknowledgeToken { tenant, event, recipient } = token;
        if self.event(tenant, event).await?.is_none() {
            return Ok(false);
        }
        let stored = self.recipient_by_key(tenant, recipient).await?;
        let recipient = stored.map(|stored| stored.id);
        self.acknowledge_event(tenant, event, recipient, AcknowledgedBy::Link).await.map(|_| true)
    }

    /// Acknowledges what the WhatsApp message of a call tells of, because its button was pressed. A button of somebody
    /// else's message, or of one that is gone, is nothing but a message.
    pub(crate) async fn acknowledge_pressed(
        &self,
        tenant: &TenantId,
        token: &Token,
    ) -> Result<(), StoreError> {
        match self.acknowledge_delivery(tenant, &token.delivery, AcknowledgedBy::Whatsapp).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                tracing::warn!(tenant.id = %tenant, "a button was pressed of a message that is not there");
                Ok(())
            }
            // Whatever went wrong: Meta's webhook waits in the queue and comes again.
            Err(problem) => Err(StoreError::Unavailable(problem.detail)),
        }
    }

    /// What an acknowledge link's token stands for; none when it is not one of this deployment.
    #[must_use]
    pub fn read_acknowledge_token(&self, text: &str) -> Option<AcknowledgeToken> {
        AcknowledgeToken::read(text, &self.hash_key)
    }

    /// The link by which a recipient acknowledges an event; templates have it as `acknowledge_url`.
    pub(crate) fn acknowledge_url(
        &self,
        tenant: &TenantId,
        event: &Event,
        recipient: &RecipientKey,
    ) -> String {
        let (tenant, event) = (tenant.clone(), event.acknowledged_with().clone());
        let token = AcknowledgeToken { tenant, event, recipient: recipient.clone() };
        let url = self.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
        format!("{url}/a/{}", token.text(&self.hash_key))
    }

    async fn acknowledge_event(
        &self,
        tenant: &TenantId,
        id: &EventId,
        recipient_id: Option<RecipientId>,
        by: AcknowledgedBy,
    ) -> Result<Worked, Problem> {
        let note = Acknowledgement { at: self.now(), recipient_id, by, cancelled: None };
        let note = self.put_acknowledgement(tenant, id, note).await?;
        if note.cancelled.is_some() {
            return Ok(Worked::AtOnce(shown(&note)));
        }
        tracing::info!(tenant.id = %tenant, event.id = %id, by = note.by.as_str(), "acknowledged");
        self.work_or_start_job(tenant, JobInput::Acknowledge { event_id: id.clone() }).await
    }

    /// Stops what is left of an acknowledged event's escalation, a page at a time. Done twice, it counts what was stopped
    /// the first time.
    pub(crate) async fn acknowledge_step(
        &self,
        tenant: &TenantId,
        id: &EventId,
        mut so_far: Acknowledging,
    ) -> Result<JobStep<Acknowledging>, StepError> {
        let reason = PlainReason::Acknowledged;
        let stopped = match so_far.stopped {
            Some(stopped) => stopped,
            None => self.stop_steps(tenant, id, reason).await?,
        };
        let cancelling = if so_far.stopped.is_none() {
            // The event itself is no escalation: it begins with the first step that was told.
            self.next_step_told(tenant, id, 0).await?.map(Cancelling::of_step)
        } else {
            Some(std::mem::take(&mut so_far.cancelling))
        };
        let mut cancelled = stopped;
        if let Some(cancelling) = cancelling {
            let (cancelling, done) = self.take_back_step(tenant, id, reason, cancelling).await?;
            if !done {
                let progress = cancelling.progress();
                let checkpoint = Acknowledging { stopped: Some(stopped), cancelling };
                return Ok(JobStep::More { checkpoint, progress });
            }
            cancelled += cancelling.cancelled();
        }
        let note = self.put_acknowledged_in_full(tenant, id, cancelled).await?;
        Ok(JobStep::Done(shown(&note)))
    }

    /// When an event was acknowledged; none while it is not.
    pub(crate) async fn acknowledged_at(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Option<carillon_domain::Timestamp>, StoreError> {
        Ok(self.acknowledgement(tenant, id).await?.map(|note| note.at))
    }
}

fn shown(note: &Acknowledgement) -> Value {
    json!({"acknowledged_at": note.at, "cancelled": note.cancelled.unwrap_or_default()})
}
