//! Intake: makes a posted event durable, puts it on the events queue, and only then answers. Reads the route and the
//! recipients that the event names; writes one event item, conditionally. fan-out comes next.

use carillon_domain::event::text_at;
use carillon_domain::{
    Category, Event, EventId, EventInput, FieldError, Principal, Priority, Problem, ProblemKind, Scope,
    TenantId, Timestamp, canonical_json, sha256_hex,
};
use jiff::SignedDuration;
use serde_json::Value;

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::{Queue, StoreError};
use crate::store::events::PutEvent;
use crate::work::EventWork;

/// An accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub event_id: EventId,
    /// It had been accepted before.
    pub replayed: bool,
}

/// How long an idempotency key may be, in characters.
const KEY_CHARS: usize = 255;

/// How far ahead `deliver_at` may lie: a year, a leap day included.
const DELIVER_AHEAD: SignedDuration = SignedDuration::from_hours(24 * 366);

/// What is wrong with the times that an event names.
fn fault_of_times(input: &EventInput, now: Timestamp) -> Option<FieldError> {
    let fault = |pointer: &str, detail: &str| Some(FieldError::new(pointer, detail));
    match (input.deliver_at, input.expires_at) {
        (Some(at), _) if at < now => fault("/deliver_at", "is in the past; leave it out to send at once"),
        (Some(at), _) if at > plus(now, DELIVER_AHEAD) => {
            fault("/deliver_at", "is more than a year ahead; at most 366 days are kept")
        }
        (_, Some(expires_at)) if expires_at <= now => fault("/expires_at", "is in the past"),
        (Some(at), Some(expires_at)) if expires_at <= at => {
            fault("/expires_at", "is not after deliver_at, so nothing would ever be sent")
        }
        _ => None,
    }
}

impl Pipeline {
    /// Accepts an event.
    ///
    /// # Errors
    /// 422 with pointers for what cannot be accepted and for a key that was used with another body; 403 when the
    /// event asks for more than the key may; 503 when it could not be made durable.
    pub async fn accept(
        &self,
        caller: &Principal,
        body: Value,
        key: Option<&str>,
    ) -> Result<Accepted, Problem> {
        if key.is_some_and(|k| k.is_empty() || k.chars().count() > KEY_CHARS) {
            let detail = format!("The header Idempotency-Key must have 1 to {KEY_CHARS} characters.");
            return Err(Problem::new(ProblemKind::Malformed, detail));
        }
        let body_sha256 = sha256_hex(&canonical_json(&body));
        let input = EventInput::parse(body)?;
        let tenant = &caller.tenant;
        let key = key.map(|k| format!("header {k}")).or_else(|| input.own_key());
        let id = match &key {
            Some(key) => EventId::from_idempotency_key(tenant, key),
            None => self.random_event_id(),
        };
        let priority = match self.check(caller, &input).await {
            Ok(priority) => priority,
            // What was accepted once stays accepted, whatever has become of its route since.
            Err(problem) if key.is_some() => {
                return match self.event(tenant, &id).await? {
                    Some(existing) => self.replay(tenant, &existing, &body_sha256).await,
                    None => Err(problem),
                };
            }
            Err(problem) => return Err(problem),
        };
        let extensions = input.extensions.clone();
        let (accepted_at, key_kind) = (self.now(), caller.key_kind);
        let event = Event {
            id: id.clone(),
            accepted_at,
            body_sha256,
            input,
            extensions,
            key_kind,
            escalates: None,
            reminder: None,
            forgotten: None,
        };
        match self.put_event(tenant, &event).await? {
            PutEvent::New => {
                self.enqueue_event(tenant, &id, priority).await?;
                Ok(Accepted { event_id: id, replayed: false })
            }
            PutEvent::Existing(existing) => self.replay(tenant, &existing, &event.body_sha256).await,
        }
    }

    /// The answer to an event that is there already.
    async fn replay(
        &self,
        tenant: &TenantId,
        existing: &Event,
        body_sha256: &str,
    ) -> Result<Accepted, Problem> {
        if existing.body_sha256 != body_sha256 {
            let detail =
                "This idempotency key was used with another body before. Use a new key for a new event.";
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        // An event that was never planned may have missed its queue: a second message does no harm.
        if self.event_plan(tenant, &existing.id).await?.is_none() {
            self.enqueue_event(tenant, &existing.id, existing.input.priority.unwrap_or_default()).await?;
        }
        Ok(Accepted { event_id: existing.id.clone(), replayed: true })
    }

    pub(crate) async fn enqueue_event(
        &self,
        tenant: &TenantId,
        id: &EventId,
        priority: Priority,
    ) -> Result<(), Problem> {
        let work = EventWork { tenant: tenant.clone(), event_id: id.clone(), part: None };
        if let Err(error) = self.queues.send(Queue::Events, vec![work.message(priority)]).await {
            // The event is durable; once sweep-due knows of it, it is as good as queued.
            self.put_unqueued_event(tenant, id).await?;
            tracing::warn!(event.id = %id, error = %error, "event stored but not queued; sweep-due will queue it");
        }
        Ok(())
    }

    /// What an event says that only configuration and directory can judge. Answers the priority it will have.
    pub(crate) async fn check(&self, caller: &Principal, input: &EventInput) -> Result<Priority, Problem> {
        let tenant = &caller.tenant;
        let mut faults = Vec::new();
        let route = self.route(tenant, &input.event_type).await?;
        if let (None, None) = (&route, &input.template) {
            let detail = format!(
                "there is no route for the event type {:?}; put one at /v1/routes/{}, or name template and channels in the event",
                input.event_type.as_str(),
                input.event_type
            );
            return Err(FieldError::new("/type", detail).into());
        }
        if let (Some(name), Some(channels)) = (&input.template, &input.channels) {
            if let Some(template) = self.published_template(tenant, name).await? {
                faults.extend(template.silent_channels("/channels", channels));
            } else {
                let detail = format!("there is no published template {:?}", name.as_str());
                faults.push(FieldError::new("/template", detail));
            }
        }
        let lifted = input.category == Some(Category::Critical)
            && route.as_ref().is_none_or(|route| route.category != Category::Critical);
        if lifted && !caller.may(Scope::Manage) {
            let detail = "Raising an event to the category critical needs a key with the scope \"manage\".";
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        faults.extend(fault_of_times(input, self.now()));
        let has_audience =
            route.as_ref().is_some_and(|r| !r.audience.is_empty()) && !input.recipients.replace;
        if !has_audience && input.recipients.is_empty() {
            let detail = "nobody would be told: name ids or groups here, or give the route an audience";
            faults.push(FieldError::new("/recipients", detail));
        }
        if let Some(route) = route.as_ref().filter(|_| input.template.is_none()) {
            let missing = route.once_per.iter().filter(|path| text_at(input, path).is_none());
            faults.extend(missing.map(|path| {
                let detail = "is missing, and the route tells about its value once";
                FieldError::new(format!("/{}", path.replace('.', "/")), detail)
            }));
            let gathered = route.digest.iter().filter(|rule| text_at(input, &rule.key).is_none());
            faults.extend(gathered.map(|rule| {
                let detail = "is missing, and the route gathers events by its value";
                FieldError::new(format!("/{}", rule.key.replace('.', "/")), detail)
            }));
        }
        faults.extend(self.unknown_targets(tenant, input).await?);
        faults.extend(self.faulty_addresses(tenant, input).await?);
        if faults.is_empty() {
            Ok(input.priority.or(route.map(|r| r.priority)).unwrap_or_default())
        } else {
            Err(faults.into())
        }
    }

    async fn faulty_addresses(
        &self,
        tenant: &TenantId,
        input: &EventInput,
    ) -> Result<Vec<FieldError>, StoreError> {
        if input.recipients.addresses.is_empty() {
            return Ok(Vec::new());
        }
        let region = self.tenant(tenant).await?.map(|owner| owner.region.clone());
        let each = input.recipients.addresses.iter().enumerate();
        let faults = each.flat_map(|(i, address)| {
            let faults = address.recipient(region.as_deref()).err().unwrap_or_default();
            faults.into_iter().map(move |fault| fault.under(&format!("/recipients/addresses/{i}")))
        });
        Ok(faults.collect())
    }

    async fn unknown_targets(
        &self,
        tenant: &TenantId,
        input: &EventInput,
    ) -> Result<Vec<FieldError>, StoreError> {
        let mut faults = Vec::new();
        if !input.recipients.ids.is_empty() {
            let found = self.recipients(tenant, &input.recipients.ids).await?;
            for (i, (_, recipient)) in found.iter().enumerate() {
                if recipient.is_none() {
                    faults.push(FieldError::new(
                        format!("/recipients/ids/{i}"),
                        "there is no recipient by this id",
                    ));
                }
            }
        }
        if !input.recipients.groups.is_empty() {
            let unknown = self.unknown_groups(tenant, &input.recipients.groups).await?;
            for (i, group) in input.recipients.groups.iter().enumerate() {
                if unknown.contains(group) {
                    faults.push(FieldError::new(
                        format!("/recipients/groups/{i}"),
                        "there is no group by this name",
                    ));
                }
            }
        }
        Ok(faults)
    }
}
