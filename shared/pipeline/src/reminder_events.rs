//! The events of a deadline's messages: each with an id that says which message it is, so that none is told by two. Puts and
//! queues them; fan-out comes next.

use std::collections::BTreeMap;

use carillon_domain::ids::ReminderKind;
use carillon_domain::reminder::{Notice, Owed, zone_of};
use carillon_domain::{
    Category, ChannelChoice, Deadline, Event, EventId, EventInput, Priority, ReminderOf, TemplateName,
    TenantId, canonical_json, sha256_hex,
};
use serde_json::{Map, Value, json};

use crate::context::Pipeline;
use crate::ports::StoreError;
use crate::store::events::PutEvent;
use crate::work::WorkError;

/// Up to so many recipients are asked for their zone to find out whether anybody is owed something.
const FEW: usize = 100;

impl Pipeline {
    /// Makes an event of a reminder, unless there is one. Answers whether it is new.
    pub(crate) async fn remind(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        owed: &Owed,
    ) -> Result<bool, WorkError> {
        let event = self.event_of(tenant, deadline, owed).await?;
        if owed.bounds.opens_at <= deadline.edited_at
            && let Some(of) = &event.reminder
            && !self.is_owed_to_anybody(tenant, deadline, of).await?
        {
            return Ok(false);
        }
        self.put_and_queue(tenant, event, owed.reminder.priority).await
    }

    /// The event of a reminder.
    pub(crate) async fn event_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        owed: &Owed,
    ) -> Result<Event, WorkError> {
        let reminder = &owed.reminder;
        let of = ReminderOf {
            deadline: deadline.id.clone(),
            edition: deadline.edition,
            due_at: deadline.due_at,
            kind: reminder.kind.clone(),
            offset: Some(reminder.offset),
            week: owed.week,
            owed_from: deadline.edited_at,
            expires_after_s: reminder.expires_after_s,
        };
        let words = Words {
            template: &reminder.template,
            channels: &reminder.channels,
            category: reminder.category,
            priority: reminder.priority,
        };
        // Each recipient is reminded at an hour of theirs; as a whole it is due at the tenant's.
        let owner = self.tenant(tenant).await?;
        let zone = zone_of(None, owner.as_ref().map_or("UTC", |owner| owner.time_zone.as_str()));
        let at = reminder.offset.instant(deadline.due_at, owed.week, &zone);
        let more = json!({"deliver_at": at.filter(|at| *at > self.now())});
        let event_type = format!("reminder.{}", reminder.kind);
        self.told_of(tenant, deadline, (&event_type, of), &words, more)
    }

    /// Says at once what a policy says when a deadline is made or closed, unless it was said.
    pub(crate) async fn give_notice(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        event_type: &str,
        notice: &Notice,
        data: Map<String, Value>,
    ) -> Result<(), WorkError> {
        let kind: ReminderKind = event_type
            .parse()
            .map_err(|_| WorkError::Unreadable(format!("{event_type} is no kind of message")))?;
        let of = ReminderOf {
            deadline: deadline.id.clone(),
            edition: 0,
            due_at: deadline.created_at,
            kind,
            offset: None,
            week: 0,
            owed_from: deadline.created_at,
            expires_after_s: None,
        };
        let words = Words {
            template: &notice.template,
            channels: &notice.channels,
            category: notice.category,
            priority: notice.priority,
        };
        let more = json!({"data": data});
        let event = self.told_of(tenant, deadline, (event_type, of), &words, more)?;
        self.put_and_queue(tenant, event, words.priority).await.map(drop)
    }

    /// The event of a deadline's message. Its id says which message it is, so that no message is told by two.
    fn told_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        (event_type, of): (&str, ReminderOf),
        words: &Words<'_>,
        more: Value,
    ) -> Result<Event, WorkError> {
        let mut body = json!({
            "type": event_type,
            "source": "deadlines",
            "subject": deadline.id,
            "data": said_of(deadline),
            "recipients": {"ids": deadline.recipients.ids, "groups": deadline.recipients.groups, "replace": true},
            "template": words.template,
            "channels": words.channels,
            "category": words.category,
            "priority": words.priority,
        });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let body_sha256 = sha256_hex(&canonical_json(&body));
        let unreadable =
            |faults| WorkError::Unreadable(format!("the event of a reminder has faults: {faults:?}"));
        let input = EventInput::parse(body).map_err(unreadable)?;
        Ok(Event {
            id: event_id(tenant, &of),
            accepted_at: self.now(),
            body_sha256,
            input,
            extensions: BTreeMap::new(),
            key_kind: deadline.key_kind,
            escalates: None,
            reminder: Some(of),
            forgotten: None,
        })
    }

    /// Puts the event of a deadline's message and queues it, unless it is planned. Answers whether it is new.
    async fn put_and_queue(
        &self,
        tenant: &TenantId,
        event: Event,
        priority: Priority,
    ) -> Result<bool, WorkError> {
        let new = match self.put_event(tenant, &event).await? {
            PutEvent::New => true,
            PutEvent::Existing(_) if self.event_plan(tenant, &event.id).await?.is_some() => return Ok(false),
            PutEvent::Existing(_) => false,
        };
        self.enqueue_event(tenant, &event.id, priority).await.map_err(unqueued)?;
        Ok(new)
    }

    /// Whether a reminder that is over in some zones is due to anybody after the call that it is owed from. Of groups it
    /// is not known.
    async fn is_owed_to_anybody(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        of: &ReminderOf,
    ) -> Result<bool, WorkError> {
        if !deadline.recipients.groups.is_empty() || deadline.recipients.ids.len() > FEW {
            return Ok(true);
        }
        let owner = self.tenant(tenant).await?;
        let tenants = owner.as_ref().map_or("UTC", |owner| owner.time_zone.as_str());
        let people = self.recipients(tenant, &deadline.recipients.ids).await?;
        let mut zones =
            people.iter().filter_map(|(_, person)| Some(person.as_ref()?.recipient.time_zone.as_deref()));
        Ok(zones.any(|theirs| of.due_in(&zone_of(theirs, tenants)).is_some()))
    }
}

/// How a message is said.
struct Words<'a> {
    template: &'a TemplateName,
    channels: &'a ChannelChoice,
    category: Category,
    priority: Priority,
}

/// What templates see of a deadline: its data, and when it starts and is due, whatever its data says.
pub(crate) fn said_of(deadline: &Deadline) -> Map<String, Value> {
    let mut data = deadline.data.clone();
    data.insert("starts_at".to_owned(), json!(deadline.starts_at));
    data.insert("due_at".to_owned(), json!(deadline.due_at));
    data
}

/// An event that is neither in its queue nor noted for the sweep.
fn unqueued(problem: carillon_domain::Problem) -> WorkError {
    StoreError::Unavailable(problem.detail).into()
}

fn event_id(tenant: &TenantId, of: &ReminderOf) -> EventId {
    let offset = of.offset.map(|offset| offset.to_string()).unwrap_or_default();
    let due_at = of.due_at.as_millisecond();
    // The id last, because it may have any character; everything before it has none of its own spaces but the offset,
    // whose length is said.
    let key = format!(
        "deadline {} {due_at} {} {} {offset} {} {}",
        of.edition,
        of.kind,
        offset.len(),
        of.week,
        of.deadline
    );
    EventId::from_idempotency_key(tenant, &key)
}
