//! sweep-due: moves on what was waiting for a time: retries, holds, the grace of what is in doubt, and events that could
//! not be queued. Reads the due index; each item is checked again on its own key before it is moved.

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Address, Channel, Delivery, DeliveryId, EventId, HeldReason, InDoubtPolicy, Rendered, State, SwitchMode,
    TenantId, Timestamp,
};
use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::context::Pipeline;
use crate::deliver::{abandoned, ended, plus};
use crate::fan_out::queue_of;
use crate::inbound::expired_while_held;
use crate::pace::HANDED_AHEAD;
use crate::ports::Queue;
use crate::reproduce::Reproduced;
use crate::store::deliveries::Saved;
use crate::store::due::DueWork;
use crate::store::keys::DUE_SHARDS;
use crate::switches::LOOK_AGAIN_AT_SWITCH;
use crate::waits::Onward;
use crate::work::{DeliveryWork, EventWork, WorkError};

/// How many items of a shard one pass takes.
const PASS: usize = 100;

/// When the sweep looks again at what it has queued, in case the message was lost.
pub(crate) const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// How often what is in doubt is sent again before it is parked.
const MOST_RESENDS: u32 = 2;

/// How many pages of each shard a run looks at at most; the next minute's goes on.
const ROUNDS: usize = 30;

/// How many items are worked side by side.
const SIDE_BY_SIDE: usize = 20;

/// What a run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Put back on their queue.
    pub queued: u32,
    /// Ended: expired, or cannot be said any more.
    pub ended: u32,
    /// In doubt and left so by policy.
    pub parked: u32,
    /// Kept back by a kill switch, or waiting for a slot.
    pub held: u32,
}

/// Whether a delivery waits until the time that is written on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It does.
    AsWritten,
    /// What it waited for is over: it goes on now.
    IsOver,
}

impl Pipeline {
    /// Works what was due by now: one page of each shard in turn, so that nobody's backlog keeps another's waiting. An
    /// item that fails is left for the next run, and what stands behind it is worked all the same.
    ///
    /// # Errors
    /// When the due index cannot be read.
    pub async fn sweep_due(&self) -> Result<Swept, WorkError> {
        let mut swept = Swept::default();
        // Another first shard each minute: a run that is cut short has not always favoured the same ones.
        let first =
            u8::try_from(self.now().as_second().div_euclid(60).rem_euclid(DUE_SHARDS.into())).unwrap_or(0);
        let heads = || (0..DUE_SHARDS).map(|n| ((first + n) % DUE_SHARDS, None)).collect::<Vec<_>>();
        let (mut open, mut before) = (heads(), swept);
        for _ in 0..ROUNDS {
            let mut more = Vec::new();
            for (shard, after) in open {
                let (due, next) = self.due_work(shard, self.now(), PASS, after).await?;
                more.extend(next.map(|next| (shard, Some(next))));
                for some in due.chunks(SIDE_BY_SIDE) {
                    let worked =
                        join_all(some.iter().map(|(tenant, work)| self.sweep_one(tenant, work))).await;
                    for one in worked {
                        swept.queued += one.queued;
                        swept.ended += one.ended;
                        swept.parked += one.parked;
                        swept.held += one.held;
                    }
                }
            }
            open = more;
            if open.is_empty() {
                // Moving one thing on can make another due: once more, until nothing moves.
                if swept == before {
                    break;
                }
                (open, before) = (heads(), swept);
            }
        }
        Ok(swept)
    }

    async fn sweep_one(&self, tenant: &TenantId, work: &DueWork) -> Swept {
        let worked = match work {
            DueWork::Delivery(id) => self.sweep_delivery(tenant, id).await,
            DueWork::Event(id) => self.sweep_event(tenant, id).await,
            DueWork::Strays(id) => self.sweep_strays(tenant, id).await,
            DueWork::Step(event, number) => self.sweep_step(tenant, event, *number).await,
            DueWork::Window(number, address) => self.sweep_window(tenant, number, address).await,
        };
        worked.unwrap_or_else(|error| {
            tracing::warn!(tenant.id = %tenant, due = ?work, error = %error, "due work is left for the next run");
            Swept::default()
        })
    }

    async fn sweep_event(&self, tenant: &TenantId, id: &EventId) -> Result<Swept, WorkError> {
        let work = EventWork { tenant: tenant.clone(), event_id: id.clone(), part: None };
        self.queues.send(Queue::Events, vec![work.message(carillon_domain::Priority::default())]).await?;
        self.delete_unqueued_event(tenant, id).await?;
        Ok(Swept { queued: 1, ..Swept::default() })
    }

    /// Looks once more at an event that several runs of fan-out were at. One that has no plan is its message's: whoever
    /// works that makes the same note.
    async fn sweep_strays(&self, tenant: &TenantId, id: &EventId) -> Result<Swept, WorkError> {
        let (plan, cut, _) = self.event_progress(tenant, id).await?;
        if plan.is_some() && cut.is_none() {
            self.look_for_strays(tenant, id).await?;
        }
        self.delete_strays(tenant, id).await?;
        Ok(Swept { queued: 1, ..Swept::default() })
    }

    async fn sweep_delivery(&self, tenant: &TenantId, id: &DeliveryId) -> Result<Swept, WorkError> {
        let Some(before) = self.delivery(tenant, id).await? else { return Ok(Swept::default()) };
        // On the heap: it is large, and many are worked side by side.
        Box::pin(self.move_on(tenant, before, Wait::AsWritten)).await
    }

    /// Moves a delivery on whose wait is over.
    pub(crate) async fn move_on(
        &self,
        tenant: &TenantId,
        before: Delivery,
        wait: Wait,
    ) -> Result<Swept, WorkError> {
        let now = self.now();
        if before.fallback_at.is_some_and(|at| at <= now) {
            let tried = self.fall_back(tenant, before).await?;
            return Ok(if tried {
                Swept { queued: 1, ..Swept::default() }
            } else {
                Swept { ended: 1, ..Swept::default() }
            });
        }
        if before.state == State::Sending {
            if !self.lease_is_over(&before, now) {
                return Ok(Swept::default());
            }
            let grace = self.settings(tenant).await?.grace(before.channel);
            let doubtful = abandoned(&before, now, grace);
            let moved = self.moved(tenant, before, doubtful, Swept::default()).await?;
            return Ok(moved.map_or_else(Swept::default, |(_, swept)| swept));
        }
        let policy = match before.state {
            State::InDoubt => self.in_doubt_policy(tenant, &before).await?,
            _ => InDoubtPolicy::Resend,
        };
        let Some(mut next) = next_form(&before, policy, now, wait) else { return Ok(Swept::default()) };
        self.owe_fallback(tenant, &before, &mut next).await?;
        if next.state != State::Pending {
            let swept = if next.state == State::Parked {
                Swept { parked: 1, ..Swept::default() }
            } else {
                Swept { ended: 1, ..Swept::default() }
            };
            return Ok(self
                .moved(tenant, before, next, swept)
                .await?
                .map_or_else(Swept::default, |(_, swept)| swept));
        }
        if self.is_not_owed(tenant, &before).await? {
            let closed = State::Cancelled(PlainReason::DeadlineClosed.into());
            // What may have been sent already has not been cancelled.
            let state = if before.state == State::InDoubt { State::Parked } else { closed };
            let gone = ended(&before, state, now);
            let moved = self.moved(tenant, before, gone, Swept { ended: 1, ..Swept::default() }).await?;
            return Ok(moved.map_or_else(Swept::default, |(_, swept)| swept));
        }
        // The others are asked at the last look before their call.
        if before.channel == Channel::InApp
            && !before.tells_of_others()
            && before.revived.is_none()
            && let Some(reason) = self.taken_back(tenant, &before.event_id).await?
        {
            let gone = ended(&before, State::Cancelled(reason.into()), now);
            return self.kept_back(tenant, before, gone).await;
        }
        if let Some(mode) = self.switches(tenant).await?.stop((&before).into()) {
            let (mut stopped, swept) = stopped(&before, &next, mode, now);
            self.owe_fallback(tenant, &before, &mut stopped).await?;
            let moved = self.moved(tenant, before, stopped, swept).await?;
            return Ok(moved.map_or_else(Swept::default, |(_, swept)| swept));
        }
        if let Some(reason) = self.funds(tenant).await?.hold((&before).into()) {
            let held_until = Some(plus(now, LOOK_AGAIN_AT_SWITCH));
            let held = Delivery { held_until, ..ended(&next, State::Held(reason), now) };
            let moved = self.moved(tenant, before, held, Swept { held: 1, ..Swept::default() }).await?;
            return Ok(moved.map_or_else(Swept::default, |(_, swept)| swept));
        }
        match self.gather(tenant, &before, &mut next).await? {
            Onward::Goes => {}
            Onward::Becomes => return self.kept_back(tenant, before, next).await,
            Onward::Stays => return Ok(Swept::default()),
        }
        match self.reproduce_to_send(tenant, &next).await? {
            Reproduced::Unwanted(reason) => {
                // What may have been sent already is neither skipped nor failed: a receipt can still say what it is.
                let (state, swept) = match before.state {
                    State::InDoubt => (State::Parked, Swept { parked: 1, ..Swept::default() }),
                    _ => (State::Skipped(reason), Swept { ended: 1, ..Swept::default() }),
                };
                let gone = ended(&before, state, now);
                Ok(self
                    .moved(tenant, before, gone, swept)
                    .await?
                    .map_or_else(Swept::default, |(_, swept)| swept))
            }
            Reproduced::Impossible(reason, note) => {
                let mut gone = ended(&before, State::Failed(reason), now);
                gone.note = note;
                self.owe_fallback(tenant, &before, &mut gone).await?;
                let swept = Swept { ended: 1, ..Swept::default() };
                Ok(self
                    .moved(tenant, before, gone, swept)
                    .await?
                    .map_or_else(Swept::default, |(_, swept)| swept))
            }
            Reproduced::Message(to, message) => match self.wait_on(tenant, &before, &mut next).await? {
                Onward::Goes => self.hand_over(tenant, before, next, to, message).await,
                Onward::Becomes => self.kept_back(tenant, before, next).await,
                Onward::Stays => Ok(Swept::default()),
            },
        }
    }

    /// Stores what waits for something else now, or is not sent at all.
    async fn kept_back(
        &self,
        tenant: &TenantId,
        before: Delivery,
        next: Delivery,
    ) -> Result<Swept, WorkError> {
        let swept = match next.state {
            State::Held(_) => Swept { held: 1, ..Swept::default() },
            _ => Swept { ended: 1, ..Swept::default() },
        };
        let moved = self.moved(tenant, before, next, swept).await?;
        Ok(moved.map_or_else(Swept::default, |(_, swept)| swept))
    }

    /// Puts a message into the feed, or on its queue when it has a slot.
    async fn hand_over(
        &self,
        tenant: &TenantId,
        before: Delivery,
        mut next: Delivery,
        to: Address,
        message: Rendered,
    ) -> Result<Swept, WorkError> {
        if before.channel == Channel::InApp {
            let stored = self.put_held_in_app(tenant, &before, &next, &message).await?;
            return Ok(Swept { queued: u32::from(stored), ..Swept::default() });
        }
        self.pace_again(tenant, &before, &mut next).await?;
        let swept = match next.state {
            State::Pending => Swept { queued: 1, ..Swept::default() },
            _ => Swept { held: 1, ..Swept::default() },
        };
        let Some((delivery, swept)) = self.moved(tenant, before, next, swept).await? else {
            return Ok(Swept::default());
        };
        if let Some(queue) = queue_of(delivery.channel).filter(|_| delivery.state == State::Pending) {
            let work = DeliveryWork { tenant: tenant.clone(), delivery, to, message };
            self.queues.send(queue, vec![self.queued(&work)]).await?;
        }
        Ok(swept)
    }

    async fn moved(
        &self,
        tenant: &TenantId,
        before: Delivery,
        after: Delivery,
        swept: Swept,
    ) -> Result<Option<(Delivery, Swept)>, WorkError> {
        let from = before.state.kind();
        match self.save_delivery(tenant, before, after).await? {
            Saved::Done(saved) => {
                tracing::info!(
                    tenant.id = %tenant,
                    delivery.id = %saved.id,
                    delivery.state = %saved.state.kind(),
                    delivery.reason = saved.state.reason(),
                    delivery.was = %from,
                    "due delivery moved"
                );
                Ok(Some((*saved, swept)))
            }
            // Somebody else moved it: whoever it was decided on what is true now.
            Saved::Overtaken(_) => Ok(None),
        }
    }
}

/// The note of a delivery that may have been sent and that a kill switch keeps from being sent again.
const DROPPED: &str = "a kill switch stopped it before it could be sent again";

/// What becomes of a delivery that would go on as `next` and is stopped by a kill switch.
fn stopped(before: &Delivery, next: &Delivery, mode: SwitchMode, now: Timestamp) -> (Delivery, Swept) {
    let state = match mode {
        SwitchMode::Hold => {
            let held_until = Some(plus(now, LOOK_AGAIN_AT_SWITCH));
            let held = Delivery { held_until, ..ended(next, State::Held(HeldReason::SwitchedOff), now) };
            return (held, Swept { held: 1, ..Swept::default() });
        }
        // What may have been sent already has neither been skipped nor is it known to have failed.
        SwitchMode::Drop if before.state == State::InDoubt => {
            State::Failed(PlainReason::UnknownOutcome.into())
        }
        SwitchMode::Drop => State::Skipped(PlainReason::SwitchedOff.into()),
    };
    let doubtful = before.state == State::InDoubt;
    let note = doubtful.then(|| DROPPED.to_owned()).or_else(|| before.note.clone());
    (Delivery { note, ..ended(before, state, now) }, Swept { ended: 1, ..Swept::default() })
}

/// Whether a wait is part of what was asked for, and not of how long sending takes.
fn was_wanted(reason: HeldReason) -> bool {
    use HeldReason as H;
    match reason {
        H::Scheduled | H::Digest | H::Throttled | H::QuietHours | H::SwitchedOff | H::Credits | H::Budget => {
            true
        }
        H::WindowClosed | H::ChannelHalted | H::TemplatePaused | H::Pacing | H::ProviderHold => false,
    }
}

/// What a due delivery becomes; none when it is not due any more.
fn next_form(before: &Delivery, policy: InDoubtPolicy, now: Timestamp, wait: Wait) -> Option<Delivery> {
    let expired = now >= before.expires_at;
    let due = |at: Option<Timestamp>| wait == Wait::IsOver || at.is_none_or(|at| at <= now);
    let waiting = match before.state {
        State::Held(HeldReason::Pacing) => before.held_until.map(|slot| plus(slot, -HANDED_AHEAD)),
        State::Held(_) => before.held_until,
        State::Retrying | State::InDoubt | State::Pending => before.retry_at,
        _ => return None,
    };
    if before.state == State::Pending && before.retry_at.is_none() {
        return None;
    }
    if expired {
        let state = match before.state {
            State::InDoubt => State::Failed(PlainReason::UnknownOutcome.into()),
            State::Held(reason) => State::Expired(expired_while_held(reason).into()),
            _ => State::Expired(PlainReason::PastExpiry.into()),
        };
        return Some(ended(before, state, now));
    }
    if !due(waiting) {
        return None;
    }
    let mut after = ended(before, State::Pending, now);
    if matches!(before.state, State::Held(reason) if was_wanted(reason)) {
        after.due_at = Some(before.held_until.map_or(now, |until| until.min(now)));
    }
    if before.state == State::InDoubt {
        match policy {
            InDoubtPolicy::Fallback => {
                return Some(ended(before, State::Failed(PlainReason::UnknownOutcome.into()), now));
            }
            // Nothing is worth copies without end: whoever answers too late each time would get one every few minutes.
            InDoubtPolicy::Resend if before.resends < MOST_RESENDS => after.resends += 1,
            InDoubtPolicy::Park | InDoubtPolicy::Resend => {
                after.state = State::Parked;
                return Some(after);
            }
        }
    }
    after.retry_at = Some(plus(now, LOOK_AGAIN));
    Some(after)
}
