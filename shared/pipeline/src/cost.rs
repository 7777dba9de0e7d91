//! What a message is expected to cost: for preview before it is sent, for credits before its call, and on its attempt when
//! the provider has accepted it. record-receipt corrects that by what the provider says.

use carillon_domain::prices::estimate_micros;
use carillon_domain::{Address, Attempt, Cost, Delivery, Form, Rendered, Timestamp};

use crate::ports::Answer;

/// What a message is expected to cost, in millionths of a US dollar; none for one that costs nothing at any time.
pub(crate) fn expected_micros(
    delivery: &Delivery,
    to: &Address,
    message: &Rendered,
    at: Timestamp,
) -> Option<i64> {
    estimate_micros(delivery.channel, delivery.category, Form::of(message), to, at)
}

/// The same as an amount.
pub(crate) fn expected(delivery: &Delivery, to: &Address, message: &Rendered, at: Timestamp) -> Option<Cost> {
    expected_micros(delivery, to, message, at).map(Cost::estimate)
}

/// Whether the provider may bill a call with this answer.
pub(crate) fn may_be_billed(answer: &Answer) -> bool {
    matches!(answer, Answer::Accepted { .. } | Answer::Unknown { .. })
}

/// What a call is expected to cost. It is written on one that was accepted, and stored with the answer; of one that is in
/// doubt only a receipt says that it costs anything.
pub(crate) fn price_call(after: &mut Delivery, to: &Address, answer: &Answer) -> Option<i64> {
    let (channel, category, form) = (after.channel, after.category, after.form);
    let attempt = after.attempts.get_mut(&after.calls)?;
    let micros = estimate_micros(channel, category, form, to, attempt.started_at);
    if matches!(answer, Answer::Accepted { .. }) {
        attempt.price_micros = micros;
    }
    micros
}

/// An attempt with the price that a receipt has told already, which is more than an estimate.
pub(crate) fn with_known_price(attempt: &Attempt, known: Option<&Attempt>) -> Attempt {
    match known {
        Some(Attempt { price_micros, price_is_final: true, .. }) => {
            Attempt { price_micros: *price_micros, price_is_final: true, ..attempt.clone() }
        }
        _ => attempt.clone(),
    }
}
