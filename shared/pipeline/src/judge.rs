//! What an answer makes of a delivery. Pure: deliver gives it the answer of a call, record-receipt the error that a
//! receipt brought, and both write what it says and carry out its remedies.

use carillon_domain::state::PlainReason;
use carillon_domain::{Attempt, Delivery, Form, HeldReason, Outcome, Reason, State, Timestamp};
use jiff::SignedDuration;

use crate::deliver::plus;
use crate::plan::bounded;
use crate::ports::{Answer, Refusal, RefusalClass, RefusalScope, Remedy};
use crate::retry_schedule::later;
use crate::store::settings::Settings;

/// How long a channel that cannot send is left alone before one message tries it again.
pub(crate) const HALTED: SignedDuration = SignedDuration::from_mins(5);

/// How long a provider's hold lasts when nobody says.
const PROVIDER_HOLD: SignedDuration = SignedDuration::from_hours(24);

/// After so many calls that were throttled a delivery waits at least [`THROTTLED_MS`].
const MOST_QUICK_CALLS: u32 = 3;

/// Longer than a worker sleeps, so that the sweep takes over.
const THROTTLED_MS: u64 = 60_000;

/// What judging needs to know besides the delivery and the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'a> {
    /// The tenant's policies.
    pub(crate) settings: &'a Settings,
    /// When the answer came.
    pub(crate) now: Timestamp,
    /// A random part of 2^32, for jitter.
    pub(crate) dice: u32,
}

/// What an answer comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// The delivery, in its next state.
    pub(crate) after: Delivery,
    /// What others have to wait for.
    pub(crate) pause: Option<Pause>,
    /// What else is done.
    pub(crate) remedy: Option<Remedy>,
    /// Whether a person has to hear of it.
    pub(crate) alert: bool,
}

/// That nothing is sent on a channel, or to one address of it, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Whether it concerns one recipient or all.
    pub(crate) scope: RefusalScope,
    /// What those wait for who meet it.
    pub(crate) reason: HeldReason,
    /// Until when.
    pub(crate) until: Timestamp,
}

impl Judge<'_> {
    /// What the answer of the call under way makes of its delivery.
    pub(crate) fn answered(&self, claimed: &Delivery, answer: &Answer) -> Verdict {
        let mut after = claimed.clone();
        after.owner = None;
        after.lease_until = None;
        after.changed_at = self.now;
        let mut attempt =
            claimed.attempts.get(&claimed.calls).cloned().unwrap_or_else(|| Attempt::starting(self.now));
        attempt.ended_at = Some(self.now);
        let mut verdict = Verdict { after, pause: None, remedy: None, alert: false };
        match answer {
            Answer::Accepted { message_id } => {
                attempt.outcome = Some(Outcome::Succeeded);
                verdict.after.provider_message_id = Some(message_id.clone());
                verdict.after.state = State::Sent;
            }
            Answer::Unknown { detail } => {
                attempt.outcome = Some(Outcome::TimedOut);
                attempt.detail = Some(bounded(detail));
                self.doubt(&mut verdict.after);
            }
            Answer::Unreachable { detail } => {
                attempt.outcome = Some(Outcome::Unreachable);
                attempt.detail = Some(bounded(detail));
                self.try_again(&mut verdict.after, 0, Counts::Yes);
            }
            Answer::Refused(refusal) => {
                attempt.outcome = Some(match refusal.meaning.class {
                    RefusalClass::Throttle => Outcome::Throttled,
                    _ => Outcome::Rejected,
                });
                attempt.http_status = Some(refusal.http_status);
                attempt.code = Some(refusal.code.clone());
                attempt.trace_id.clone_from(&refusal.trace_id);
                attempt.detail = Some(bounded(&refusal.detail));
                self.refused(&mut verdict, refusal);
            }
        }
        verdict.after.attempts.insert(claimed.calls, attempt);
        verdict
    }

    /// What an error that came in a receipt makes of its delivery: the same as if it had been the answer, except that
    /// nothing is in doubt any more.
    pub(crate) fn refused_later(&self, before: &Delivery, refusal: &Refusal) -> Verdict {
        let mut after = before.clone();
        after.owner = None;
        after.lease_until = None;
        after.changed_at = self.now;
        after.retry_at = None;
        after.held_until = None;
        if let Some(attempt) = after.attempts.get_mut(&before.calls) {
            attempt.outcome = Some(Outcome::Rejected);
            attempt.code = Some(refusal.code.clone());
            attempt.detail = Some(bounded(&refusal.detail));
        }
        let mut verdict = Verdict { after, pause: None, remedy: None, alert: false };
        self.refused(&mut verdict, refusal);
        verdict
    }

    fn refused(&self, verdict: &mut Verdict, refusal: &Refusal) {
        let meaning = refusal.meaning;
        verdict.alert = meaning.alert;
        verdict.remedy = meaning.remedy;
        let after = &mut verdict.after;
        let asked_ms = 1_000 * u64::from(refusal.retry_after_s.max(meaning.wait_s).unwrap_or(0));
        match meaning.class {
            RefusalClass::Throttle => {
                let least_ms = match meaning.scope {
                    RefusalScope::Pair => pair_wait_ms(after.calls),
                    RefusalScope::Message | RefusalScope::Channel => 0,
                };
                self.try_again(after, asked_ms.max(least_ms), Counts::No);
                if let Some(until) = after.retry_at {
                    verdict.pause =
                        Some(Pause { scope: meaning.scope, reason: HeldReason::Throttled, until });
                }
            }
            RefusalClass::Transient => self.try_again(after, asked_ms, Counts::Yes),
            RefusalClass::Ambiguous => self.doubt(after),
            RefusalClass::Configuration | RefusalClass::AccountStop => {
                let until = later(self.now, asked_ms).max(plus(self.now, HALTED));
                hold(after, HeldReason::ChannelHalted, until);
                verdict.pause =
                    Some(Pause { scope: meaning.scope, reason: HeldReason::ChannelHalted, until });
            }
            RefusalClass::Hold => {
                let until =
                    if asked_ms > 0 { later(self.now, asked_ms) } else { plus(self.now, PROVIDER_HOLD) };
                let reason = match meaning.remedy {
                    Some(Remedy::TemplatePaused) => HeldReason::TemplatePaused,
                    _ => HeldReason::ProviderHold,
                };
                hold(after, reason, until);
            }
            // Once: a template that is refused for the same cause would be said again for ever.
            RefusalClass::Permanent if meaning.remedy == Some(Remedy::AsTemplate) && after.tries == 0 => {
                after.tries += 1;
                after.form = Some(Form::Template);
                after.state = State::Retrying;
                after.retry_at = Some(self.now);
            }
            RefusalClass::Permanent | RefusalClass::OurBug => {
                after.state = State::Failed(Reason::Rejected(refusal.code.clone()));
                after.note = Some(bounded(&refusal.detail)).filter(|text| !text.is_empty());
            }
        }
    }

    /// Waits for another try, or gives up when every try that counts is used.
    fn try_again(&self, after: &mut Delivery, mut asked_ms: u64, counts: Counts) {
        let schedule = self.settings.retry(after.channel);
        // What counts as no try waits as long as the calls already made suggest, so that it backs off all the same.
        let nth = match counts {
            Counts::Yes => {
                after.tries += 1;
                after.tries
            }
            Counts::No => {
                // A tenant's schedule need not grow; from a throttle one backs off all the same.
                if after.calls > MOST_QUICK_CALLS {
                    asked_ms = asked_ms.max(THROTTLED_MS);
                }
                after.calls.max(1)
            }
        };
        if counts == Counts::Yes && after.tries >= schedule.tries {
            after.state = State::Failed(PlainReason::AttemptsExhausted.into());
            return;
        }
        after.state = State::Retrying;
        after.retry_at = Some(later(self.now, schedule.wait_ms(nth, self.dice).max(asked_ms)));
    }

    fn doubt(&self, after: &mut Delivery) {
        after.state = State::InDoubt;
        after.retry_at = Some(plus(self.now, self.settings.grace(after.channel)));
    }
}

/// Meta: 4^n seconds, n from 0, before the same recipient is written to again ("Throughput", 2026); a quarter of an hour
/// at most.
fn pair_wait_ms(calls: u32) -> u64 {
    1_000 * 4_u64.pow(calls.clamp(1, 6) - 1)
}

/// Whether a failed call counts against the retry schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Yes,
    No,
}

fn hold(after: &mut Delivery, reason: HeldReason, until: Timestamp) {
    after.state = State::Held(reason);
    after.held_until = Some(until);
}
