//! The provider of a run: takes, refuses, loses and repeats, keeps its own log of what it accepted in
//! [`super::watch`], and says later what became of it.

use async_trait::async_trait;
use carillon_domain::{Address, Channel, DeliveryId, ReceiptKind, Rendered, Timestamp, Token};
use carillon_pipeline::ports::{Answer, Call, Meaning, Provider, Queue, Refusal, RefusalClass};
use carillon_pipeline::record_receipt::Receipt;

use super::asked;
use super::calls::Fate;
use super::core::{Core, Sim};
use super::faults::Fault;
use super::mailbox::Carried;
use super::mutation::Mutation;
use super::watch;

/// Why it refuses: class and a code of that class. Throttles and passing faults are the usual ones.
const REFUSALS: &[(RefusalClass, &str)] = &[
    (RefusalClass::Throttle, "130429"),
    (RefusalClass::Throttle, "80007"),
    (RefusalClass::Transient, "131000"),
    (RefusalClass::Transient, "131016"),
    (RefusalClass::Transient, "500"),
    (RefusalClass::Ambiguous, "2"),
    (RefusalClass::Permanent, "131026"),
    (RefusalClass::Configuration, "190"),
    (RefusalClass::AccountStop, "368"),
    (RefusalClass::Hold, "131049"),
    (RefusalClass::OurBug, "131008"),
];

const MINUTE_MS: i64 = 60_000;
const WEEK_MS: i64 = 7 * 24 * 60 * MINUTE_MS;

pub(super) struct SimProvider(pub(super) Sim);

#[async_trait]
impl Provider for SimProvider {
    async fn call(&self, call: &Call<'_>) -> Answer {
        if let (Rendered::WhatsappText { .. }, Address::Phone(phone)) = (call.message, call.to) {
            asked::speaks_freely(&mut self.0.core(), &call.token.delivery, phone);
        }
        let answer = self.request(call.token).await;
        let repeats = self.0.core().mutated(Mutation::ProviderRepeats);
        if repeats && matches!(answer, Answer::Unknown { .. }) {
            return self.request(call.token).await;
        }
        answer
    }
}

impl SimProvider {
    async fn request(&self, token: &Token) -> Answer {
        let sim = &self.0;
        let what = format!("call {token}");
        sim.turn((5, 100), &what).await;
        sim.may_be_killed(Fault::KilledBefore, &what).await;
        watch::called(&mut sim.core(), token);
        if sim.core().strikes_at(Fault::Unreachable, &what) {
            watch::fared(&mut sim.core(), token, Fate::NeverLeft);
            watch::answered(&mut sim.core(), token);
            return Answer::Unreachable { detail: "no connection".to_owned() };
        }
        if sim.core().strikes_at(Fault::RequestLost, &what) {
            watch::fared(&mut sim.core(), token, Fate::Lost);
            sim.turn((5_000, 10_000), &what).await;
            return Answer::Unknown { detail: "timed out".to_owned() };
        }
        if sim.core().strikes_at(Fault::Refused, &what) {
            let refusal = self.refusal(token);
            sim.turn((50, 800), &what).await;
            sim.may_be_killed(Fault::KilledAfter, &what).await;
            // What may have been sent is no answer.
            if refusal.meaning.class != RefusalClass::Ambiguous {
                watch::answered(&mut sim.core(), token);
            }
            return Answer::Refused(refusal);
        }
        let message_id = self.accept(token);
        sim.turn((50, 800), &what).await;
        sim.may_be_killed(Fault::KilledAfter, &what).await;
        if sim.core().strikes_at(Fault::AnswerLost, &what) {
            return Answer::Unknown { detail: "reset".to_owned() };
        }
        watch::answered(&mut sim.core(), token);
        Answer::Accepted { message_id }
    }

    fn refusal(&self, token: &Token) -> Refusal {
        let mut core = self.0.core();
        let (class, said) = *core.chance.one_of(REFUSALS).unwrap_or(&REFUSALS[0]);
        core.tell(|| format!("the provider refuses {token} with {said} ({class:?})"));
        // It says that it may have been sent, and means it half of the time.
        let accepted = class == RefusalClass::Ambiguous && core.chance.below(2) == 0;
        if accepted {
            promise(&mut core, token, "wamid.unsaid");
        }
        watch::fared(&mut core, token, if accepted { Fate::Accepted } else { Fate::Refused(class) });
        let waits = class == RefusalClass::Throttle && core.chance.below(2) == 0;
        let retry_after_s = waits.then(|| u32::try_from(core.chance.between(1, 120)).unwrap_or(1));
        Refusal {
            meaning: Meaning::of(class),
            http_status: 400,
            code: said.to_owned(),
            trace_id: None,
            detail: "simulated".to_owned(),
            retry_after_s,
        }
    }

    fn accept(&self, token: &Token) -> String {
        let mut core = self.0.core();
        core.tell(|| format!("the provider accepts {token}"));
        watch::fared(&mut core, token, Fate::Accepted);
        let message_id = format!("wamid.{token}");
        promise(&mut core, token, &message_id);
        message_id
    }
}

/// Puts the receipts of an accepted message on their way.
fn promise(core: &mut Core, token: &Token, message_id: &str) {
    let fails = core.strikes(Fault::ReceiptOfFailure);
    let last = if fails { failure_of(token.delivery.channel()) } else { ReceiptKind::Delivered };
    let mut kinds = vec![ReceiptKind::Sent, last];
    if !fails && core.chance.below(2) == 0 {
        kinds.push(ReceiptKind::Read);
    }
    let mut happened_ms = core.now_ms;
    for kind in kinds {
        happened_ms += core.chance.between(1, 20_000);
        if core.strikes(Fault::ReceiptNever) {
            continue;
        }
        let copies = if core.strikes(Fault::ReceiptTwice) { 2 } else { 1 };
        for _ in 0..copies {
            // At once, so that it can be faster than the answer; or late.
            let late = core.strikes(Fault::ReceiptLate);
            let under_way_ms = core.chance.between(1, if late { WEEK_MS } else { MINUTE_MS / 6 });
            let at_ms = if core.chance.below(3) == 0 { core.now_ms + 1 } else { happened_ms + under_way_ms };
            let receipt = receipt(core, token, kind, happened_ms, message_id);
            core.mailbox.put(Queue::Receipts, Carried::Receipt(Box::new(receipt)), at_ms);
        }
    }
}

fn failure_of(channel: Channel) -> ReceiptKind {
    if channel == Channel::Email { ReceiptKind::Bounced } else { ReceiptKind::Failed }
}

/// What a failure that comes later may mean; most say nothing that helps.
const LATER: &[RefusalClass] = &[
    RefusalClass::Permanent,
    RefusalClass::Permanent,
    RefusalClass::Transient,
    RefusalClass::Throttle,
    RefusalClass::Hold,
];

fn receipt(core: &mut Core, token: &Token, kind: ReceiptKind, at_ms: i64, message_id: &str) -> Receipt {
    let mut token = token.clone();
    if core.mutated(Mutation::ReceiptsUnmatched) {
        let id = &token.delivery;
        token.delivery = DeliveryId::new(id.recipient().clone(), id.event().clone(), Channel::InApp);
    }
    let later = core.chance.one_of(LATER);
    let failed = matches!(kind, ReceiptKind::Failed | ReceiptKind::Bounced);
    Receipt {
        token,
        kind,
        at: Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX),
        provider_message_id: Some(message_id.to_owned()),
        code: failed.then(|| "131026".to_owned()),
        meaning: later.filter(|_| failed).map(|class| Meaning::of(*class)),
        detail: None,
        address: None,
        pricing: None,
    }
}
