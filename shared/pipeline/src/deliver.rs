//! deliver-whatsapp and deliver-email: claim a delivery, make one provider call, record what came of it. The claim
//! records attempt, lease and token before the call; receipts are matched by the token.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Attempt, Delivery, Form, HeldReason, Outcome, State, StateKind, TenantId, Timestamp, Token,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::context::Pipeline;
use crate::cost;
use crate::funds::Purse;
use crate::judge::{HALTED, Judge};
use crate::last_look::Look;
use crate::ports::{Account, Answer, Call, Provider, StoreError};
use crate::retry_schedule::SLEPT_MS;
use crate::store::deliveries::Saved;
use crate::work::{DeliveryWork, WorkError};

/// How long a worker may hold a delivery; longer than any call may take.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

const SLEPT: SignedDuration = SignedDuration::from_millis(SLEPT_MS.cast_signed());

/// What claiming came to.
enum Claim {
    /// The lease is ours and recorded.
    Ours(Box<Delivery>),
    /// Nothing is to be done, now or by this message.
    Done,
}

impl Pipeline {
    /// Works a batch side by side; an answer for each message, in order. `Ok` deletes the message.
    pub async fn deliver(
        &self,
        provider: &dyn Provider,
        batch: &[DeliveryWork],
    ) -> Vec<Result<(), WorkError>> {
        let mut looks = self.look(batch).await;
        let purse = match self.fund(batch, &mut looks).await {
            Ok(purse) => purse,
            Err(error) => return batch.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let paid_from = &purse;
        let each = batch.iter().zip(looks).map(|(work, look)| async move {
            // A panic over one message must not take its neighbours along.
            let worked = self.deliver_one(provider, work, look?, paid_from);
            let worked = AssertUnwindSafe(worked).catch_unwind().await;
            worked.unwrap_or_else(|_| Err(WorkError::Unreadable("delivering it panicked".to_owned())))
        });
        let worked = join_all(each).await;
        self.return_purse(purse).await;
        worked
    }

    async fn deliver_one(
        &self,
        provider: &dyn Provider,
        queued: &DeliveryWork,
        mut look: Look,
        purse: &Purse,
    ) -> Result<(), WorkError> {
        let tenant = &queued.tenant;
        let account = self.account(tenant, queued.delivery.channel).await?;
        let mut work = Cow::Borrowed(queued);
        if let Look::Send(_) = look
            && let Some(other) = self.await_slot(queued).await?
        {
            look = other;
        }
        loop {
            match look {
                Look::Send(None) => {}
                Look::Send(Some((to, message))) => {
                    let changed = work.to_mut();
                    (changed.to, changed.message) = (to, message);
                }
                Look::Hold(reason, until) => return self.hold(tenant, &work.delivery, reason, until).await,
                Look::End(state, note) => return self.end(tenant, &work.delivery, state, note).await,
            }
            let Some(account) = &account else {
                let until = Some(plus(self.now(), HALTED));
                return self.hold(tenant, &work.delivery, HeldReason::ChannelHalted, until).await;
            };
            let claimed = match self.claim(tenant, &work).await? {
                Claim::Ours(claimed) => claimed,
                Claim::Done => return Ok(()),
            };
            let settings = self.settings(tenant).await?;
            let answer = self.call(provider, account, &work, &claimed).await;
            let mut dice = [0; 4];
            self.entropy.fill(&mut dice);
            let judge = Judge { settings: &settings, now: self.now(), dice: u32::from_be_bytes(dice) };
            let verdict = judge.answered(&claimed, &answer);
            // Before the state is stored: whoever finds it has these done. What the provider answered is worth more.
            if let Err(error) = self.carry_out(tenant, &claimed, &work.to, &verdict).await {
                tracing::warn!(tenant.id = %tenant, delivery.id = %claimed.id, error = %error, "a remedy was not carried out");
            }
            let mut after = verdict.after;
            if cost::may_be_billed(&answer) {
                purse.spend(&work, cost::price_call(&mut after, &work.to, &answer));
            }
            self.owe_fallback(tenant, &claimed, &mut after).await?;
            let wait_ms = match (&after.state, after.retry_at) {
                (State::Retrying, Some(at)) => {
                    u64::try_from(at.as_millisecond() - self.now().as_millisecond()).unwrap_or(0)
                }
                _ => u64::MAX,
            };
            let saved = self.record(tenant, *claimed, after).await?;
            log_attempt(tenant, &saved);
            // A short wait is slept here; a longer one is the sweep's, with its time in the table.
            if wait_ms > SLEPT_MS || saved.state != State::Retrying {
                return Ok(());
            }
            self.clock.sleep(std::time::Duration::from_millis(wait_ms)).await;
            work.to_mut().delivery = saved;
            look = self.look_again(&work).await?;
        }
    }

    /// Waits for the slot of a message that was queued for one. Answers what has become of it meanwhile, if anything.
    async fn await_slot(&self, queued: &DeliveryWork) -> Result<Option<Look>, StoreError> {
        let (tenant, delivery) = (&queued.tenant, &queued.delivery);
        if let Some(slot) = delivery.held_until.filter(|slot| *slot > self.now()) {
            if slot > plus(self.now(), SLEPT) {
                return Ok(Some(Look::Hold(HeldReason::Pacing, Some(slot))));
            }
            self.clock.sleep_until(slot).await;
            if self.switches(tenant).await?.stop(delivery.into()).is_some() {
                return self.look_again(queued).await.map(Some);
            }
        }
        let until = self.pair_wait(tenant, delivery.channel, &queued.to).await?;
        Ok(until.map(|until| Look::Hold(HeldReason::Pacing, Some(until))))
    }

    /// Takes the lease and records the attempt, unless somebody else has it or there is nothing left to send.
    async fn claim(&self, tenant: &TenantId, work: &DeliveryWork) -> Result<Claim, WorkError> {
        let owner = self.random_owner();
        let form = Form::of(&work.message);
        let mut before = work.delivery.clone();
        loop {
            let now = self.now();
            let after = match before.state.kind() {
                StateKind::Pending | StateKind::Retrying if now >= before.expires_at => {
                    ended(&before, State::Expired(PlainReason::PastExpiry.into()), now)
                }
                // A message that was delivered twice must not cut the wait short that the first one asked for.
                StateKind::Retrying if before.retry_at.is_some_and(|at| at > plus(now, SLEPT)) => {
                    return Ok(Claim::Done);
                }
                StateKind::Pending | StateKind::Retrying => {
                    Delivery { form, ..claimed(&before, &owner, now) }
                }
                StateKind::Sending if before.owner.as_deref() == Some(&owner) => {
                    return Ok(Claim::Ours(Box::new(before)));
                }
                StateKind::Sending if self.lease_is_over(&before, now) => {
                    abandoned(&before, now, self.settings(tenant).await?.grace(before.channel))
                }
                StateKind::Sending => return Err(WorkError::Leased(before.lease_until.unwrap_or(now))),
                _ => return Ok(Claim::Done),
            };
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(saved) if saved.state == State::Sending => return Ok(Claim::Ours(saved)),
                Saved::Done(saved) => {
                    log_end(tenant, &saved);
                    return Ok(Claim::Done);
                }
                Saved::Overtaken(found) => before = *found,
            }
        }
    }

    pub(crate) fn lease_is_over(&self, delivery: &Delivery, now: Timestamp) -> bool {
        let taken_before_us = self.leases_void_before.is_some_and(|start| delivery.changed_at < start);
        taken_before_us || delivery.lease_until.is_none_or(|until| until <= now)
    }

    async fn call(
        &self,
        provider: &dyn Provider,
        account: &Account,
        work: &DeliveryWork,
        claimed: &Delivery,
    ) -> Answer {
        let token = Token { delivery: claimed.id.clone(), call: claimed.calls };
        let call = Call {
            tenant: work.tenant.as_str(),
            account,
            to: &work.to,
            message: &work.message,
            token: &token,
            unsubscribe: self.unsubscribe_token(&work.tenant, claimed),
        };
        provider.call(&call).await
    }

    /// Stores what came of a call. A receipt may have been faster: then what it said stays and the attempt is added.
    async fn record(
        &self,
        tenant: &TenantId,
        claimed: Delivery,
        after: Delivery,
    ) -> Result<Delivery, WorkError> {
        let (mut before, mut wanted) = (claimed, after);
        loop {
            match self.save_delivery(tenant, before, wanted.clone()).await? {
                Saved::Done(saved) => return Ok(*saved),
                Saved::Overtaken(found) => {
                    let mut merged = (*found).clone();
                    let call = wanted.calls;
                    if let Some(attempt) = wanted.attempts.get(&call) {
                        let priced = cost::with_known_price(attempt, merged.attempts.get(&call));
                        merged.attempts.insert(call, priced);
                    }
                    merged.provider_message_id =
                        wanted.provider_message_id.clone().or(merged.provider_message_id);
                    if found.state == State::Sending && found.calls == call {
                        merged.state = wanted.state.clone();
                        merged.retry_at = wanted.retry_at;
                        merged.held_until = wanted.held_until;
                        merged.tries = wanted.tries;
                        merged.form = wanted.form;
                        merged.fallback_at = wanted.fallback_at;
                        merged.note.clone_from(&wanted.note);
                    } else if found.state == State::InDoubt && wanted.state == State::Sent {
                        // Another worker saw our lease run out; the answer came after all.
                        merged.state = State::Sent;
                        merged.retry_at = None;
                    }
                    merged.owner = None;
                    merged.lease_until = None;
                    before = *found;
                    wanted = merged;
                }
            }
        }
    }

    /// Keeps a delivery back before its call.
    async fn hold(
        &self,
        tenant: &TenantId,
        queued: &Delivery,
        reason: HeldReason,
        until: Option<Timestamp>,
    ) -> Result<(), WorkError> {
        if reason == HeldReason::WindowClosed {
            self.note_waiting(tenant, queued).await?;
        }
        let held = |before: &Delivery, now: Timestamp| {
            let held_until = until.map(|until| until.max(now));
            Delivery { held_until, ..ended(before, State::Held(reason), now) }
        };
        if let Some(held) = self.settle(tenant, queued, held).await? {
            self.catch_open_window(tenant, held).await?;
        }
        Ok(())
    }

    /// Ends a delivery before its call.
    async fn end(
        &self,
        tenant: &TenantId,
        queued: &Delivery,
        state: State,
        note: Option<String>,
    ) -> Result<(), WorkError> {
        let gone = |before: &Delivery, now: Timestamp| {
            let note = note.clone().or_else(|| before.note.clone());
            Delivery { note, ..ended(before, state.clone(), now) }
        };
        self.settle(tenant, queued, gone).await.map(drop)
    }

    /// Moves a delivery that is not under way to a state without a call. None when it is somewhere else by now.
    async fn settle(
        &self,
        tenant: &TenantId,
        queued: &Delivery,
        next: impl Fn(&Delivery, Timestamp) -> Delivery,
    ) -> Result<Option<Delivery>, WorkError> {
        let mut before = queued.clone();
        loop {
            let now = self.now();
            if before.state == State::Sending && !self.lease_is_over(&before, now) {
                return Err(WorkError::Leased(before.lease_until.unwrap_or(now)));
            }
            if before.state == State::Sending {
                let grace = self.settings(tenant).await?.grace(before.channel);
                let doubtful = abandoned(&before, now, grace);
                self.save_delivery(tenant, before, doubtful).await?;
                return Ok(None);
            }
            if !matches!(before.state.kind(), StateKind::Pending | StateKind::Retrying) {
                return Ok(None);
            }
            let mut after = next(&before, now);
            self.owe_fallback(tenant, &before, &mut after).await?;
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(saved) => {
                    log_end(tenant, &saved);
                    return Ok(Some(*saved));
                }
                Saved::Overtaken(found) => before = *found,
            }
        }
    }
}

/// The delivery with the lease taken and its next attempt recorded.
fn claimed(before: &Delivery, owner: &str, now: Timestamp) -> Delivery {
    let mut after = before.clone();
    after.state = State::Sending;
    after.retry_at = None;
    after.held_until = None;
    after.calls += 1;
    after.owner = Some(owner.to_owned());
    after.lease_until = Some(plus(now, LEASE));
    after.changed_at = now;
    after.attempts = kept(&before.attempts, after.calls);
    let of_earlier = |a: &BTreeMap<u32, Attempt>| a.values().filter_map(|a| a.price_micros).sum::<i64>();
    after.earlier_micros += of_earlier(&before.attempts) - of_earlier(&after.attempts);
    after.attempts.insert(after.calls, Attempt::starting(now));
    after
}

fn kept(attempts: &BTreeMap<u32, Attempt>, next: u32) -> BTreeMap<u32, Attempt> {
    let oldest = (next + 1).saturating_sub(Delivery::KEPT_ATTEMPTS);
    // Only the latest failure keeps its words: they are what makes an item large.
    let shortened = |a: &Attempt| Attempt { detail: None, ..a.clone() };
    attempts.iter().filter(|(n, _)| **n >= oldest).map(|(n, a)| (*n, shortened(a))).collect()
}

/// The delivery of a worker that is gone: whether its call was accepted, nobody knows.
pub(crate) fn abandoned(before: &Delivery, now: Timestamp, grace: SignedDuration) -> Delivery {
    let mut after = before.clone();
    after.state = State::InDoubt;
    after.owner = None;
    after.lease_until = None;
    after.changed_at = now;
    after.retry_at = Some(plus(now, grace));
    if let Some(attempt) = after.attempts.get_mut(&before.calls) {
        attempt.outcome = Some(Outcome::TimedOut);
        attempt.detail = Some("the worker stopped before it recorded an answer".to_owned());
    }
    after
}

/// The delivery in an end.
pub(crate) fn ended(before: &Delivery, state: State, now: Timestamp) -> Delivery {
    let mut after = before.clone();
    after.state = state;
    after.owner = None;
    after.lease_until = None;
    after.held_until = None;
    after.retry_at = None;
    after.changed_at = now;
    after
}

pub(crate) fn plus(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn log_attempt(tenant: &TenantId, delivery: &Delivery) {
    let attempt = delivery.attempts.get(&delivery.calls);
    let outcome = attempt.and_then(|a| a.outcome).map(Outcome::as_str);
    let code = attempt.and_then(|a| a.code.as_deref());
    tracing::info!(
        tenant.id = %tenant,
        delivery.id = %delivery.id,
        delivery.state = %delivery.state.kind(),
        delivery.reason = delivery.state.reason(),
        attempt.number = delivery.calls,
        attempt.outcome = outcome,
        attempt.code = code,
        "provider called"
    );
}

fn log_end(tenant: &TenantId, delivery: &Delivery) {
    tracing::info!(
        tenant.id = %tenant,
        delivery.id = %delivery.id,
        delivery.state = %delivery.state.kind(),
        delivery.reason = delivery.state.reason(),
        "not sent"
    );
}
