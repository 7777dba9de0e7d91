//! Takes an ended delivery back to `pending`, because somebody said so: its message is rendered again, who and when is
//! recorded on it, and it is queued. redrive comes here; so does whatever else retries by hand.

use carillon_domain::state::REVIVALS;
use carillon_domain::{Delivery, Reason, Revival, State, TenantId};
use jiff::SignedDuration;

use crate::context::Pipeline;
use crate::deliver::{ended, plus};
use crate::due::LOOK_AGAIN;
use crate::fan_out::queue_of;
use crate::reproduce::Reproduced;
use crate::store::deliveries::Saved;
use crate::work::{DeliveryWork, WorkError};

/// How long a delivery is worth sending that somebody asked for after it had expired.
const ASKED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Whether a delivery that is past its expiry is sent all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// No: it is as late as it was.
    Keep,
    /// Yes, within a day from now: somebody asked for this very delivery.
    Extend,
}

/// What became of taking a delivery back.
#[derive(Debug)]
pub enum Revived {
    /// It is `pending` and queued.
    Queued(Box<Delivery>),
    /// It has not ended, or somebody else moved it meanwhile; this is how it is.
    NotEnded(Box<Delivery>),
    /// Its time ran out.
    TooLate,
    /// Its recipient does not want it any more.
    Unwanted(Reason),
    /// It cannot be said any more; the reason, and a note in words.
    Impossible(Reason, Option<String>),
}

impl Pipeline {
    /// Takes a delivery back, if it has ended in a way that may be taken back. `by` is the id of the key that asks.
    ///
    /// # Errors
    /// When the table or the queue cannot be reached; a delivery that is `pending` then is looked at again by the sweep.
    pub async fn revive(
        &self,
        tenant: &TenantId,
        before: Delivery,
        by: &str,
        expiry: Expiry,
    ) -> Result<Revived, WorkError> {
        let now = self.now();
        let Some(queue) = queue_of(before.channel).filter(|_| REVIVALS.contains(&before.state.kind())) else {
            return Ok(Revived::NotEnded(Box::new(before)));
        };
        let mut after = ended(&before, State::Pending, now);
        if now >= before.expires_at {
            match expiry {
                Expiry::Keep => return Ok(Revived::TooLate),
                Expiry::Extend => after.expires_at = plus(now, ASKED_FOR),
            }
        }
        after.tries = 0;
        after.note = None;
        // The sweep looks again, in case the message is lost.
        after.retry_at = Some(plus(now, LOOK_AGAIN));
        after.revived = Some(Revival {
            at: now,
            by: by.to_owned(),
            from: before.state.to_string(),
            nth: before.revived.as_ref().map_or(0, |earlier| earlier.nth) + 1,
        });
        let (to, message) = match self.reproduce_to_send(tenant, &before).await? {
            Reproduced::Message(to, message) => (to, message),
            Reproduced::Unwanted(reason) => return Ok(Revived::Unwanted(reason)),
            Reproduced::Impossible(reason, note) => return Ok(Revived::Impossible(reason, note)),
        };
        match self.save_delivery(tenant, before, after).await? {
            Saved::Overtaken(found) => Ok(Revived::NotEnded(found)),
            Saved::Done(delivery) => {
                tracing::info!(
                    tenant.id = %tenant,
                    delivery.id = %delivery.id,
                    delivery.was = delivery.revived.as_ref().map(|r| r.from.as_str()),
                    key.id = by,
                    "delivery taken back"
                );
                let work = DeliveryWork { tenant: tenant.clone(), delivery: *delivery, to, message };
                self.queues.send(queue, vec![work.message()]).await?;
                Ok(Revived::Queued(Box::new(work.delivery)))
            }
        }
    }
}
