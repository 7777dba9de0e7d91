//! What templates and conditions see of an event and its reader. Planning and whoever renders again come here, so that both
//! see the same.

use carillon_domain::{Event, Recipient, RecipientId, Tenant, Timestamp};
use serde_json::{Value, json};

/// The instant that templates see as `now`: when it was decided, or when it is due by its event.
pub(crate) fn said_at(event: &Event, decided_at: Timestamp) -> Timestamp {
    event.first_due_at().max(decided_at)
}

/// What templates and conditions see: `event`, `data`, `recipient`, `tenant`, `now`. Whoever renders a message adds
/// `acknowledge_url`, a link that is its reader's own, and where events are gathered `events`.
#[must_use]
pub(crate) fn context(
    tenant: &Tenant,
    event: &Event,
    id: &RecipientId,
    recipient: &Recipient,
    now: Timestamp,
) -> Value {
    json!({
        "event": posted(event),
        "data": event.input.data,
        "recipient": {
            "id": id,
            "name": recipient.name,
            "locale": recipient.locale.as_deref().unwrap_or(&tenant.locale),
            "time_zone": recipient.time_zone.as_deref().unwrap_or(&tenant.time_zone),
            "data": recipient.data,
        },
        "tenant": {"id": tenant.id, "name": tenant.name},
        "now": now,
    })
}

/// Adds `events`: all that one message tells of, each with its `data`, in order.
pub(crate) fn tell_of(context: &mut Value, events: &[&Event]) {
    let each = events.iter().map(|event| {
        let mut one = posted(event);
        one["data"] = Value::Object(event.input.data.clone());
        one
    });
    context["events"] = each.collect();
}

/// What was posted, without its data.
fn posted(event: &Event) -> Value {
    let input = &event.input;
    let mut posted = json!({
        "id": event.id,
        "type": input.event_type,
        "source": input.source,
        "subject": input.subject,
        "time": input.time.unwrap_or(event.accepted_at),
    });
    for (name, value) in &input.extensions {
        posted[name] = value.clone();
    }
    // No extension has this name: theirs are letters and digits.
    posted["escalation_step"] = event.escalates.as_ref().map_or(0, |escalates| escalates.step).into();
    posted
}
