//! dead-letter: records a message that no worker could work, and settles the delivery that it was about, so that nothing
//! is lost in silence. It never puts the message back: redrive does, when somebody says so. failure-notices tells the
//! tenant.

use carillon_domain::state::PlainReason;
use carillon_domain::{Delivery, DeliveryId, EventId, State, StateKind, TenantId};
use serde_json::Value;

use crate::context::Pipeline;
use crate::deliver::{abandoned, ended};
use crate::ports::Queue;
use crate::store::dead_letters::{Cause, DeadLetter, expires_s};
use crate::store::deliveries::Saved;
use crate::store::failures::SEND_FAILED;
use crate::work::{DeliveryWork, EventWork, JobWork, WorkError};

/// A message of a dead-letter queue.
#[derive(Debug, Clone)]
pub struct DeadMessage {
    /// The queue that it was on.
    pub queue: Queue,
    /// The name that the queue gave it.
    pub message_id: String,
    /// What it says.
    pub body: String,
    /// How often it was received.
    pub receive_count: u32,
    /// It never reached its queue.
    pub undelivered: bool,
    /// Whose it is, where only a channel can read that from the body.
    pub tenant: Option<TenantId>,
}

/// What can be read of a body, whatever else is wrong with it.
struct Reading {
    tenant: Option<TenantId>,
    delivery_id: Option<DeliveryId>,
    event_id: Option<EventId>,
    /// Whether the queue's worker can read it.
    readable: bool,
    body: Value,
}

fn read(message: &DeadMessage) -> Reading {
    let text = message.body.as_str();
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let readable = match message.queue {
        Queue::Events => serde_json::from_str::<EventWork>(text).is_ok(),
        Queue::Whatsapp | Queue::Email => serde_json::from_str::<DeliveryWork>(text).is_ok(),
        Queue::Jobs => serde_json::from_str::<JobWork>(text).is_ok(),
        // What providers say is read as far as it goes.
        Queue::Receipts => body.is_object(),
    };
    let named = |value: &Value| value.as_str().map(str::to_owned);
    let event = named(&body["event_id"]).or_else(|| named(&body["delivery"]["event_id"]));
    Reading {
        tenant: message.tenant.clone().or_else(|| named(&body["tenant"])?.try_into().ok()),
        delivery_id: named(&body["delivery"]["id"]).and_then(|id| id.try_into().ok()),
        event_id: event.and_then(|id| id.try_into().ok()),
        readable,
        body,
    }
}

impl Reading {
    /// What is kept of the message. A delivery's words and address are made again when they are needed, so neither stays.
    fn kept(&mut self, text: &str) -> String {
        match (self.delivery_id.is_some() && self.readable, self.body.as_object_mut()) {
            (true, Some(fields)) => {
                fields.retain(|name, _| !["to", "message"].contains(&name.as_str()));
                self.body.to_string()
            }
            _ => text.to_owned(),
        }
    }
}

impl Pipeline {
    /// Records a dead message and settles its delivery. Repeating it changes nothing.
    ///
    /// # Errors
    /// When the table cannot be reached, or a worker may still be at the delivery: the message stays where it is.
    pub async fn record_dead_letter(&self, message: &DeadMessage) -> Result<DeadLetter, WorkError> {
        let mut reading = read(message);
        if let Some(tenant) = &reading.tenant
            && self.tenant(tenant).await?.is_none()
        {
            reading.tenant = None;
        }
        let delivery = match (&reading.tenant, &reading.delivery_id) {
            (Some(tenant), Some(id)) => self.delivery(tenant, id).await?,
            _ => None,
        };
        // A delivery that fails is told of by itself.
        let told = delivery.is_none() && !self.is_about_a_notice(&reading).await?;
        let letter = DeadLetter {
            id: self.hash_key.hash(&["dead letter", message.queue.as_str(), &message.message_id]),
            tenant: reading.tenant.clone(),
            queue: message.queue,
            reason: match (message.undelivered, reading.readable) {
                (true, _) => Cause::Undelivered,
                (false, false) => Cause::Unreadable,
                (false, true) => Cause::ReceivedTooOften,
            },
            receive_count: message.receive_count,
            delivery_id: reading.delivery_id.clone(),
            event_id: reading.event_id.clone(),
            pieces: 0,
            created_at: self.now(),
            redriven_at: None,
            expires_s: expires_s(self.now()),
        };
        let letter = self.put_dead_letter(letter, &reading.kept(&message.body), told).await?;
        if let (Some(tenant), Some(delivery)) = (&reading.tenant, delivery) {
            self.settle_dead(tenant, delivery, &letter).await?;
        }
        tracing::error!(
            queue = letter.queue.as_str(),
            dead_letter.id = %letter.id,
            dead_letter.reason = letter.reason.as_str(),
            dead_letter.receive_count = letter.receive_count,
            tenant.id = letter.tenant.as_ref().map(tracing::field::display),
            delivery.id = letter.delivery_id.as_ref().map(tracing::field::display),
            event.id = letter.event_id.as_ref().map(tracing::field::display),
            alert = "dead_letter",
            "a message could not be worked and is recorded"
        );
        Ok(letter)
    }

    /// Whether the message was on its way to tell of failures: the next notice must not tell of it.
    async fn is_about_a_notice(&self, reading: &Reading) -> Result<bool, WorkError> {
        let (Some(tenant), Some(id)) = (&reading.tenant, &reading.event_id) else { return Ok(false) };
        let event = self.event(tenant, id).await?;
        Ok(event.is_some_and(|event| event.input.event_type.as_str() == SEND_FAILED))
    }

    /// Ends a delivery whose only message died. One that waits for a time is the sweep's and goes on; of one that was
    /// being sent nobody knows whether it was.
    async fn settle_dead(
        &self,
        tenant: &TenantId,
        mut before: Delivery,
        letter: &DeadLetter,
    ) -> Result<(), WorkError> {
        if letter.redriven_at.is_some() {
            return Ok(());
        }
        loop {
            let now = self.now();
            let mut after = match before.state.kind() {
                StateKind::Pending | StateKind::Retrying => {
                    let mut failed =
                        ended(&before, State::Failed(PlainReason::AttemptsExhausted.into()), now);
                    failed.note = Some(format!("{DIED}{}", letter.id));
                    failed
                }
                StateKind::Sending if self.lease_is_over(&before, now) => {
                    abandoned(&before, now, self.settings(tenant).await?.grace(before.channel))
                }
                StateKind::Sending => return Err(WorkError::Leased(before.lease_until.unwrap_or(now))),
                _ => return Ok(()),
            };
            self.owe_fallback(tenant, &before, &mut after).await?;
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(saved) => {
                    tracing::warn!(
                        tenant.id = %tenant,
                        delivery.id = %saved.id,
                        delivery.state = %saved.state.kind(),
                        dead_letter.id = %letter.id,
                        "a delivery lost its message"
                    );
                    return Ok(());
                }
                Saved::Overtaken(found) => before = *found,
            }
        }
    }
}

/// How the note of a delivery begins whose message died.
const DIED: &str = "its message could not be worked; it is the dead letter ";

/// Whether a delivery failed because its message died, and nothing has happened to it since.
pub(crate) fn has_died(delivery: &Delivery) -> bool {
    delivery.state == State::Failed(PlainReason::AttemptsExhausted.into())
        && delivery.note.as_ref().is_some_and(|note| note.starts_with(DIED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_domain::{Address, Rendered};

    fn message(queue: Queue, body: &str) -> DeadMessage {
        DeadMessage {
            queue,
            message_id: "m-1".to_owned(),
            body: body.to_owned(),
            receive_count: 20,
            undelivered: false,
            tenant: None,
        }
    }

    #[test]
    fn whose_it_is_is_read_from_a_body_that_no_worker_reads() {
        let poison = message(Queue::Events, r#"{"tenant": "acme", "event_id": 7}"#);
        let reading = read(&poison);
        assert_eq!(reading.tenant.map(|t| t.to_string()).as_deref(), Some("acme"));
        assert_eq!((reading.event_id, reading.readable), (None, false));
        for text in ["", "not JSON", "[]", "{\"tenant\": \"NOT AN ID\"}"] {
            let reading = read(&message(Queue::Whatsapp, text));
            assert!(reading.tenant.is_none() && !reading.readable, "{text}");
        }
    }

    #[test]
    fn neither_the_address_nor_the_words_of_a_delivery_are_kept() {
        let delivery = serde_json::json!({
            "id": "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-e",
            "event_id": "bbbbbbbbbbbbbbbbbbbbbbbbbb", "event_type": "t", "recipient_id": "u", "channel": "email",
            "category": "transactional", "priority": "normal", "state": "pending", "expires_at": 0, "rev": 1,
            "created_at": 0, "changed_at": 0
        });
        let work = DeliveryWork {
            tenant: "acme".parse().unwrap(),
            delivery: serde_json::from_value(delivery).unwrap(),
            to: Address::Email("ada@example.com".to_owned()),
            message: Rendered::Email {
                subject: "Secret".to_owned(),
                html: "Secret".to_owned(),
                text: "Secret".to_owned(),
            },
        };
        let body = serde_json::to_string(&work).unwrap();
        let kept = read(&message(Queue::Email, &body)).kept(&body);
        assert!(kept.contains("bbbbbbbbbbbb"), "{kept}");
        assert!(!kept.contains("Secret") && !kept.contains("ada@"), "{kept}");
    }
}
