//! deliver-whatsapp and deliver-email: claim a delivery, make one provider call, record what came of it. The claim
//! records attempt, lease and token before the call; receipts are matched by the token.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Attempt, Delivery, HeldReason, Outcome, Reason, State, StateKind, TenantId, Timestamp, Token,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::context::Pipeline;
use crate::plan::bounded;
use crate::ports::{Account, Answer, Call, Provider, Refusal, RefusalClass};
use crate::retry_schedule::{self, DEFAULT, SLEPT_MS, grace};
use crate::store::deliveries::Saved;
use crate::work::{DeliveryWork, WorkError};

/// How long a worker may hold a delivery; longer than any call may take.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// How long a delivery waits for a channel that cannot send.
const HALTED: SignedDuration = SignedDuration::from_mins(5);

/// How long a provider's hold lasts when it does not say.
const PROVIDER_HOLD: SignedDuration = SignedDuration::from_hours(24);

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
        let each = batch.iter().map(|work| async move {
            // A panic over one message must not take its neighbours along.
            let worked = AssertUnwindSafe(self.deliver_one(provider, work)).catch_unwind().await;
            worked.unwrap_or_else(|_| Err(WorkError::Unreadable("delivering it panicked".to_owned())))
        });
        join_all(each).await
    }

    async fn deliver_one(&self, provider: &dyn Provider, work: &DeliveryWork) -> Result<(), WorkError> {
        let tenant = &work.tenant;
        let account = self.account(tenant, work.delivery.channel).await?;
        let mut before = work.delivery.clone();
        loop {
            let Some(account) = &account else {
                return self.hold(tenant, before, HeldReason::ChannelHalted, HALTED).await;
            };
            let claimed = match self.claim(tenant, before).await? {
                Claim::Ours(claimed) => claimed,
                Claim::Done => return Ok(()),
            };
            let answer = self.call(provider, account, work, &claimed).await;
            let after = self.judged(&claimed, &answer);
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
            tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
            before = saved;
        }
    }

    /// Takes the lease and records the attempt, unless somebody else has it or there is nothing left to send.
    async fn claim(&self, tenant: &TenantId, mut before: Delivery) -> Result<Claim, WorkError> {
        let owner = self.random_owner();
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
                StateKind::Pending | StateKind::Retrying => claimed(&before, &owner, now),
                StateKind::Sending if before.owner.as_deref() == Some(&owner) => {
                    return Ok(Claim::Ours(Box::new(before)));
                }
                StateKind::Sending if self.lease_is_over(&before, now) => abandoned(&before, now),
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

    fn lease_is_over(&self, delivery: &Delivery, now: Timestamp) -> bool {
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
        };
        provider.call(&call).await
    }

    /// What an answer makes of a delivery.
    fn judged(&self, claimed: &Delivery, answer: &Answer) -> Delivery {
        let now = self.now();
        let mut after = claimed.clone();
        after.owner = None;
        after.lease_until = None;
        after.changed_at = now;
        let mut attempt =
            claimed.attempts.get(&claimed.calls).cloned().unwrap_or_else(|| Attempt::starting(now));
        attempt.ended_at = Some(now);
        match answer {
            Answer::Accepted { message_id } => {
                attempt.outcome = Some(Outcome::Succeeded);
                after.provider_message_id = Some(message_id.clone());
                after.state = State::Sent;
            }
            Answer::Unknown { detail } => {
                attempt.outcome = Some(Outcome::TimedOut);
                attempt.detail = Some(bounded(detail));
                doubt(&mut after, now);
            }
            Answer::Unreachable { detail } => {
                attempt.outcome = Some(Outcome::Unreachable);
                attempt.detail = Some(bounded(detail));
                self.try_again(&mut after, now, None, true);
            }
            Answer::Refused(refusal) => self.refused(&mut after, &mut attempt, refusal, now),
        }
        after.attempts.insert(claimed.calls, attempt);
        after
    }

    fn refused(&self, after: &mut Delivery, attempt: &mut Attempt, refusal: &Refusal, now: Timestamp) {
        attempt.outcome = Some(Outcome::Rejected);
        attempt.http_status = Some(refusal.http_status);
        attempt.code = Some(refusal.code.clone());
        attempt.trace_id.clone_from(&refusal.trace_id);
        attempt.detail = Some(bounded(&refusal.detail));
        match refusal.class {
            RefusalClass::Throttle => {
                attempt.outcome = Some(Outcome::Throttled);
                self.try_again(after, now, refusal.retry_after_s, false);
            }
            RefusalClass::Transient => self.try_again(after, now, refusal.retry_after_s, true),
            RefusalClass::Ambiguous => doubt(after, now),
            RefusalClass::Configuration | RefusalClass::AccountStop => {
                after.state = State::Held(HeldReason::ChannelHalted);
                after.held_until = Some(plus(now, HALTED));
            }
            RefusalClass::Hold => {
                after.state = State::Held(HeldReason::ProviderHold);
                after.held_until = Some(plus(now, PROVIDER_HOLD));
            }
            RefusalClass::Permanent | RefusalClass::OurBug => {
                after.state = State::Failed(Reason::Rejected(refusal.code.clone()));
            }
        }
    }

    /// Waits for another try, or gives up when every try that counts is used. A throttle counts as none.
    fn try_again(&self, after: &mut Delivery, now: Timestamp, asked_s: Option<u32>, counts: bool) {
        if counts {
            after.tries += 1;
            if after.tries >= DEFAULT.tries {
                after.state = State::Failed(PlainReason::AttemptsExhausted.into());
                return;
            }
        }
        let mut dice = [0; 4];
        self.entropy.fill(&mut dice);
        // A throttle waits as long as the calls already made suggest, so that it backs off although it costs no try.
        let nth = if counts { after.tries } else { after.calls.max(1) };
        let wait_ms =
            DEFAULT.wait_ms(nth, u32::from_be_bytes(dice)).max(u64::from(asked_s.unwrap_or(0)) * 1_000);
        after.state = State::Retrying;
        after.retry_at = Some(retry_schedule::later(now, wait_ms));
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
                        merged.attempts.insert(call, attempt.clone());
                    }
                    merged.provider_message_id =
                        wanted.provider_message_id.clone().or(merged.provider_message_id);
                    if found.state == State::Sending && found.calls == call {
                        merged.state = wanted.state.clone();
                        merged.retry_at = wanted.retry_at;
                        merged.held_until = wanted.held_until;
                        merged.tries = wanted.tries;
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

    async fn hold(
        &self,
        tenant: &TenantId,
        mut before: Delivery,
        reason: HeldReason,
        wait: SignedDuration,
    ) -> Result<(), WorkError> {
        loop {
            let now = self.now();
            if before.state == State::Sending && !self.lease_is_over(&before, now) {
                return Err(WorkError::Leased(before.lease_until.unwrap_or(now)));
            }
            if before.state == State::Sending {
                let doubtful = abandoned(&before, now);
                self.save_delivery(tenant, before, doubtful).await?;
                return Ok(());
            }
            if !before.state.kind().may_become(StateKind::Held) {
                return Ok(());
            }
            let mut after = before.clone();
            after.state = State::Held(reason);
            after.held_until = Some(plus(now, wait));
            after.changed_at = now;
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(_) => return Ok(()),
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
    after.attempts.insert(after.calls, Attempt::starting(now));
    after
}

fn kept(attempts: &BTreeMap<u32, Attempt>, next: u32) -> BTreeMap<u32, Attempt> {
    let oldest = (next + 1).saturating_sub(Delivery::KEPT_ATTEMPTS);
    // Only the latest failure keeps its words: they are what makes an item large.
    let shortened = |a: &Attempt| Attempt { detail: None, ..a.clone() };
    attempts.iter().filter(|(n, _)| **n >= oldest).map(|(n, a)| (*n, shortened(a))).collect()
}

fn doubt(after: &mut Delivery, now: Timestamp) {
    after.state = State::InDoubt;
    after.retry_at = Some(plus(now, grace(after.channel)));
}

/// The delivery of a worker that is gone: whether its call was accepted, nobody knows.
pub(crate) fn abandoned(before: &Delivery, now: Timestamp) -> Delivery {
    let mut after = before.clone();
    after.state = State::InDoubt;
    after.owner = None;
    after.lease_until = None;
    after.changed_at = now;
    after.retry_at = Some(plus(now, grace(before.channel)));
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
