//! Takes an ended delivery back to `pending`, because somebody said so: its message is rendered again, who and when is
//! recorded on it, and it is queued. redrive comes here; so does whatever else retries by hand.

use carillon_domain::state::{FORCED_REVIVALS, REVIVALS};
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

/// How a delivery is taken back.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The id of the key that asks.
    pub by: &'a str,
    /// Whether it is sent although it is late.
    pub expiry: Expiry,
    /// Also one that may have arrived: the copy is counted.
    pub force: bool,
    /// In the template, version and locale of this one, which was decided today; as it was planned otherwise.
    pub today: Option<&'a Delivery>,
}

impl Pipeline {
    /// Takes a delivery back, if it has ended in a way that may be taken back.
    ///
    /// # Errors
    /// When the table or the queue cannot be reached; a delivery that is `pending` then is looked at again by the sweep.
    pub async fn revive(
        &self,
        tenant: &TenantId,
        before: Delivery,
        asked: Asked<'_>,
    ) -> Result<Revived, WorkError> {
        let Asked { by, expiry, force, today } = asked;
        let now = self.now();
        let from = before.state.kind();
        let may_be_forced = force && FORCED_REVIVALS.contains(&from);
        let may_be_taken_back = REVIVALS.contains(&from) || may_be_forced;
        let Some(queue) = queue_of(before.channel).filter(|_| may_be_taken_back) else {
            return Ok(Revived::NotEnded(Box::new(before)));
        };
        let mut after = ended(&before, State::Pending, now);
        after.resends += u32::from(may_be_forced);
        if let Some(today) = today {
            after.template.clone_from(&today.template);
            after.version = today.version;
            after.locale.clone_from(&today.locale);
        }
        if now >= before.expires_at {
            match expiry {
                Expiry::Keep => return Ok(Revived::TooLate),
                Expiry::Extend => after.expires_at = plus(now, ASKED_FOR),
            }
        }
        after.tries = 0;
        // What others told of is told by itself; what told of others does so again.
        after.digest = after.digest.filter(|mark| !mark.is_open());
        after.carried_by = None;
        after.note = None;
        // The sweep looks again, in case the message is lost.
        after.retry_at = Some(plus(now, LOOK_AGAIN));
        after.revived = Some(Revival {
            at: now,
            by: by.to_owned(),
            from: before.state.to_string(),
            nth: before.revived.as_ref().map_or(0, |earlier| earlier.nth) + 1,
        });
        let (to, message) = match self.reproduce_to_send(tenant, &after).await? {
            Reproduced::Message(to, message) => (to, message),
            Reproduced::Unwanted(reason) => return Ok(Revived::Unwanted(reason)),
            Reproduced::Impossible(reason, note) => return Ok(Revived::Impossible(reason, note)),
        };
        let queued = (after.state.clone(), after.retry_at);
        self.pace(tenant, [&mut after]).await?;
        // Who asked for it is recorded with `pending` only: a worker holds it when its slot is far away.
        (after.state, after.retry_at) = queued;
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
                self.queues.send(queue, vec![self.queued(&work)]).await?;
                Ok(Revived::Queued(Box::new(work.delivery)))
            }
        }
    }
}
