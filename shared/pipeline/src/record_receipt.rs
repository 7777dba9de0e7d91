//! receipts: what a provider says later moves a delivery forward. Matched by the token; every kind is kept with its first
//! time, whatever the order they come in, and a state never goes back.

use carillon_domain::delivery::ReceiptAt;
use carillon_domain::prices::{Pricing, email_micros, whatsapp_micros};
use carillon_domain::state::PlainReason;
use carillon_domain::{
    Address, Channel, Delivery, Outcome, Reason, ReceiptKind, State, StateKind, TenantId, Timestamp, Token,
};

use crate::context::Pipeline;
use crate::judge::{Judge, Verdict};
use crate::ports::{Meaning, Refusal, RefusalClass, StoreError};
use crate::store::deliveries::Saved;

/// One thing that a provider said about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which provider call it is about.
    pub token: Token,
    /// What is said.
    pub kind: ReceiptKind,
    /// When it happened.
    pub at: Timestamp,
    /// The provider's name for the message.
    pub provider_message_id: Option<String>,
    /// The provider's code, for failures.
    pub code: Option<String>,
    /// In words, without personal data.
    pub detail: Option<String>,
    /// What the code means, for failures whose code says that something can be done.
    pub meaning: Option<Meaning>,
    /// Where the message went, if the provider says it. Its debug form hides it.
    pub address: Option<Address>,
    /// Whether the provider bills the message, if it says so.
    pub pricing: Option<Pricing>,
}

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is kept.
    New,
    /// It was known.
    Known,
    /// It is about a delivery that this tenant does not have.
    Unmatched,
}

impl Pipeline {
    /// Records a receipt. Repeating it changes nothing.
    pub async fn record_receipt(&self, tenant: &TenantId, receipt: &Receipt) -> Result<Recorded, StoreError> {
        let Some(mut before) = self.delivery(tenant, &receipt.token.delivery).await? else {
            return Ok(Recorded::Unmatched);
        };
        // Before the receipt is recorded: one that is known has done this, and whoever was taken off the list since
        // stays off it.
        if let Some(address) = &receipt.address
            && forbids_the_address(receipt)
            && !before.receipts.contains_key(&receipt.kind)
        {
            self.suppress(tenant, before.channel, address, receipt.kind.as_str()).await?;
        }
        let settings = self.settings(tenant).await?;
        let mut dice = [0; 4];
        self.entropy.fill(&mut dice);
        loop {
            let judge = Judge { settings: &settings, now: self.now(), dice: u32::from_be_bytes(dice) };
            let Some(mut verdict) = received(&before, receipt, &judge) else { return Ok(Recorded::Known) };
            if let Some(to) = self.address_reached(tenant, &before, receipt).await? {
                self.carry_out(tenant, &before, &to, &verdict).await?;
            }
            self.owe_fallback(tenant, &before, &mut verdict.after).await?;
            let after = verdict.after;
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(saved) => {
                    tracing::info!(
                        tenant.id = %tenant,
                        delivery.id = %saved.id,
                        delivery.state = %saved.state.kind(),
                        delivery.reason = saved.state.reason(),
                        receipt.kind = receipt.kind.as_str(),
                        receipt.code = receipt.code.as_deref(),
                        "receipt recorded"
                    );
                    return Ok(Recorded::New);
                }
                Saved::Overtaken(found) => before = *found,
            }
        }
    }
}

impl Pipeline {
    /// Where a message went: as the receipt says, else where its recipient is reached.
    async fn address_reached(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        receipt: &Receipt,
    ) -> Result<Option<Address>, StoreError> {
        if receipt.meaning.is_none() || receipt.address.is_some() {
            return Ok(receipt.address.clone());
        }
        let stored = self.stored_recipient(tenant, &delivery.recipient_id).await?;
        Ok(stored.and_then(|stored| stored.recipient.address(delivery.channel)))
    }
}

/// A mailbox that is not there, or a reader who complained: mail to that address harms everybody else's.
fn forbids_the_address(receipt: &Receipt) -> bool {
    match receipt.kind {
        ReceiptKind::Bounced => receipt.code.as_deref().is_some_and(|code| code.starts_with("Permanent")),
        ReceiptKind::Complained => true,
        _ => false,
    }
}

/// The delivery with a receipt added; none when it is known already.
fn received(before: &Delivery, receipt: &Receipt, judge: &Judge<'_>) -> Option<Verdict> {
    let mut verdict = match refusal(before, receipt) {
        Some(refusal) => judge.refused_later(before, &refusal),
        None => Verdict { after: moved(before, receipt, judge.now), pause: None, remedy: None, alert: false },
    };
    let after = &mut verdict.after;
    // The first time of each kind is kept; a later call's receipt of the same kind still moves the delivery.
    after.receipts.entry(receipt.kind).or_insert(ReceiptAt(receipt.at));
    if after.provider_message_id.is_none() {
        after.provider_message_id.clone_from(&receipt.provider_message_id);
    }
    if matches!(after.state, State::Delivered | State::Read) {
        after.fallback_at = None;
    }
    price(after, receipt);
    (*after != *before).then_some(verdict)
}

/// Corrects the price of the call that a receipt is about by what the receipt says.
fn price(after: &mut Delivery, receipt: &Receipt) {
    let channel = after.channel;
    let Some(attempt) = after.attempts.get_mut(&receipt.token.call) else { return };
    let arrived = matches!(receipt.kind, ReceiptKind::Sent | ReceiptKind::Delivered | ReceiptKind::Read);
    match (channel, receipt.pricing) {
        (_, Some(pricing)) => {
            attempt.price_is_final = true;
            match pricing {
                Pricing { billable: false, .. } => attempt.price_micros = Some(0),
                Pricing { category: Some(category), calling_code: Some(code), .. } => {
                    let micros = whatsapp_micros(category, Some(code), attempt.started_at);
                    attempt.price_micros = Some(micros);
                }
                Pricing { .. } => {}
            }
        }
        // Meta bills what is delivered.
        (Channel::Whatsapp, None)
            if receipt.kind == ReceiptKind::Failed && attempt.price_micros.is_some() =>
        {
            (attempt.price_micros, attempt.price_is_final) = (Some(0), true);
        }
        // Nobody had known that it was accepted.
        (Channel::Email, None) if arrived && attempt.price_micros.is_none() => {
            attempt.price_micros = Some(email_micros(attempt.started_at));
        }
        _ => {}
    }
}

/// The delivery in the state that a receipt says, where it may move there.
fn moved(before: &Delivery, receipt: &Receipt, now: Timestamp) -> Delivery {
    let mut after = before.clone();
    if let Some(state) = state_after(before, receipt)
        && before.state.kind().may_become(state.kind())
    {
        if matches!(state, State::Failed(_)) {
            after.note.clone_from(&receipt.detail);
        }
        after.state = state;
        after.changed_at = now;
        after.retry_at = None;
        after.held_until = None;
    }
    after
}

/// A failure of the latest call that comes as a receipt and is worth more than an end: judged like an answer. A failure
/// that is known already, or that a delivery is past, is not judged again.
fn refusal(before: &Delivery, receipt: &Receipt) -> Option<Refusal> {
    let meaning = receipt.meaning?;
    let open = matches!(before.state, State::Sending | State::InDoubt | State::Parked | State::Sent);
    if receipt.kind != ReceiptKind::Failed || receipt.token.call != before.calls || !open {
        return None;
    }
    // What the channel's configuration ends is not sent again by itself hours later, when nobody expects it any more.
    let meaning = match meaning.class {
        RefusalClass::OurBug | RefusalClass::Ambiguous => {
            Meaning { class: RefusalClass::Permanent, ..meaning }
        }
        _ => meaning,
    };
    Some(Refusal {
        meaning,
        http_status: 0,
        code: receipt.code.clone().unwrap_or_else(|| "unknown".to_owned()),
        trace_id: None,
        detail: receipt.detail.clone().unwrap_or_default(),
        retry_after_s: None,
    })
}

/// The state that a receipt says a delivery is in.
fn state_after(before: &Delivery, receipt: &Receipt) -> Option<State> {
    let code = || receipt.code.clone().unwrap_or_else(|| "unknown".to_owned());
    // Of an earlier call: it proves that the message arrived, and says nothing about the call under way.
    let taken_back = before.revived.is_some() && before.state == State::Pending;
    // The latest call is decided and something else is to come: only proof of arrival is news.
    let outcome = before.attempts.get(&before.calls).and_then(|attempt| attempt.outcome);
    let decided = match before.state.kind() {
        StateKind::Retrying => true,
        StateKind::Held | StateKind::Pending => {
            before.resends == 0 && outcome.is_some_and(|outcome| outcome != Outcome::TimedOut)
        }
        _ => false,
    };
    let earlier = receipt.token.call < before.calls || taken_back || decided;
    match receipt.kind {
        ReceiptKind::Delayed => None,
        ReceiptKind::Delivered => Some(State::Delivered),
        ReceiptKind::Read => Some(State::Read),
        _ if earlier => None,
        ReceiptKind::Sent => Some(State::Sent),
        ReceiptKind::Failed => Some(State::Failed(Reason::Rejected(code()))),
        ReceiptKind::Bounced => Some(State::Failed(PlainReason::Bounced.into())),
        ReceiptKind::Complained => Some(State::Failed(PlainReason::Complained.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::settings::Settings;

    fn delivery(state: State) -> Delivery {
        let json = serde_json::json!({
            "id": "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w",
            "event_id": "bbbbbbbbbbbbbbbbbbbbbbbbbb", "event_type": "t", "recipient_id": "u", "channel": "whatsapp",
            "category": "transactional", "priority": "normal", "state": "pending", "expires_at": 9_000_000_000_000_i64,
            "rev": 1, "calls": 1, "created_at": 0, "changed_at": 0
        });
        let mut delivery: Delivery = serde_json::from_value(json).unwrap();
        delivery.state = state;
        delivery
    }

    fn receipt(kind: ReceiptKind, call: u32) -> Receipt {
        let token = Token { delivery: delivery(State::Sent).id, call };
        let at = Timestamp::UNIX_EPOCH;
        Receipt {
            token,
            kind,
            at,
            provider_message_id: None,
            code: Some("131026".to_owned()),
            detail: None,
            meaning: None,
            address: None,
            pricing: None,
        }
    }

    fn received(before: &Delivery, receipt: &Receipt, now: Timestamp) -> Option<Delivery> {
        let settings = Settings::default();
        super::received(before, receipt, &Judge { settings: &settings, now, dice: 0 }).map(|v| v.after)
    }

    #[test]
    fn receipts_in_any_order_end_in_the_furthest_state_and_are_all_kept() {
        use ReceiptKind::{Delivered, Read, Sent};
        for order in [[Sent, Delivered, Read], [Read, Sent, Delivered], [Delivered, Read, Sent]] {
            for start in [State::Sending, State::InDoubt, State::Sent] {
                let mut it = delivery(start);
                for kind in order {
                    it = received(&it, &receipt(kind, 1), Timestamp::UNIX_EPOCH).unwrap();
                }
                assert_eq!(it.state, State::Read, "{order:?}");
                assert_eq!(it.receipts.len(), 3);
                assert!(received(&it, &receipt(Sent, 1), Timestamp::UNIX_EPOCH).is_none());
            }
        }
    }

    #[test]
    fn a_receipt_says_what_a_call_costs() {
        use carillon_domain::prices::MetaCategory::{Marketing, Utility};
        let now: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
        let mut sent = delivery(State::Sent);
        sent.attempts.insert(
            1,
            carillon_domain::Attempt {
                price_micros: Some(25_000),
                ..carillon_domain::Attempt::starting(now)
            },
        );
        assert_eq!(sent.cost(), Some(carillon_domain::Cost::estimate(25_000)));
        let billed =
            |billable, category| Some(Pricing { billable, category: Some(category), calling_code: Some(1) });
        for (pricing, kind, micros) in [
            (billed(true, Utility), ReceiptKind::Sent, 3_400),
            (billed(true, Marketing), ReceiptKind::Delivered, 25_000),
            (billed(false, Utility), ReceiptKind::Delivered, 0),
            (None, ReceiptKind::Failed, 0),
        ] {
            let receipt = Receipt { pricing, ..receipt(kind, 1) };
            let cost = received(&sent, &receipt, now).unwrap().cost().unwrap();
            assert_eq!((cost.amount_micros, cost.estimated), (micros, false), "{kind:?} {pricing:?}");
        }
        let silent = received(&sent, &receipt(ReceiptKind::Delivered, 1), now).unwrap();
        assert_eq!(silent.cost(), Some(carillon_domain::Cost::estimate(25_000)));
    }

    #[test]
    fn a_bounce_after_sent_fails_and_after_delivered_is_only_a_fact() {
        let sent = received(&delivery(State::Sent), &receipt(ReceiptKind::Bounced, 1), Timestamp::UNIX_EPOCH)
            .unwrap();
        assert_eq!(sent.state, State::Failed(PlainReason::Bounced.into()));
        let arrived = delivery(State::Delivered);
        let arrived = received(&arrived, &receipt(ReceiptKind::Bounced, 1), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(arrived.state, State::Delivered);
        assert!(arrived.receipts.contains_key(&ReceiptKind::Bounced));
    }

    #[test]
    fn a_failure_of_an_earlier_call_does_not_end_the_one_under_way() {
        let mut it = delivery(State::Sending);
        it.calls = 2;
        let it = received(&it, &receipt(ReceiptKind::Failed, 1), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(it.state, State::Sending);
    }
}
