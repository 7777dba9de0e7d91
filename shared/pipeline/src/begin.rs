//! The first state of a delivery that was decided: it goes, waits for something, or has ended. Pure; planning comes here for
//! each recipient and channel.

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Address, Channel, Delivery, Form, HeldReason, KeyKind, Rendered, State, SwitchMode, Timestamp,
};

use crate::cost;
use crate::deliver::plus;
use crate::plan::{Planned, Terms};
use crate::switches::LOOK_AGAIN_AT_SWITCH;
use crate::waits::{self, Waits};

/// Why nothing is sent: the state, and a note in words.
pub(crate) type Ended = (State, Option<String>);

/// Begins a delivery. `first_wait`: what its reader's messages wait for.
pub(crate) fn begin(
    terms: &Terms<'_>,
    first_wait: Option<Waits>,
    mut delivery: Delivery,
    decision: Result<(Address, Rendered), Ended>,
    now: Timestamp,
) -> Planned {
    let is_test = terms.event.key_kind == KeyKind::Test;
    let (to, message) = match decision {
        Ok(_) | Err((State::Held(_), _)) if is_test => {
            delivery.state = State::Skipped(PlainReason::TestKey.into());
            return Planned { delivery, send: None, later: None, cost: None };
        }
        Err((state, note)) => {
            delivery.state = state;
            delivery.note = note;
            return Planned { delivery, send: None, later: None, cost: None };
        }
        Ok(send) => send,
    };
    let cost = cost::expected(&delivery, &to, &message, now);
    // At its instant it is decided again whether it is stopped, paid for, and not too late at night.
    let scheduled = waits::scheduled(terms, now);
    if scheduled.is_none() && now >= terms.expires_at {
        delivery.state = State::Expired(PlainReason::PastExpiry.into());
        return Planned { delivery, send: None, later: None, cost: None };
    }
    if scheduled.is_none()
        && let Some(state) = stopped(terms, &delivery)
    {
        delivery.held_until = matches!(state, State::Held(_)).then(|| plus(now, LOOK_AGAIN_AT_SWITCH));
        delivery.state = state;
        return Planned { delivery, send: None, later: None, cost };
    }
    if let Some(waits) = scheduled.or(first_wait) {
        if let Some(until) = waits.until.filter(|_| scheduled.is_none() && terms.expires_by_default) {
            delivery.expires_at = plus(delivery.expires_at, until.duration_since(now));
        }
        waits.hold(&mut delivery);
        return Planned { delivery, send: None, later: Some(message), cost };
    }
    if delivery.channel == Channel::InApp {
        delivery.state = State::Delivered;
    }
    delivery.form = Form::of(&message);
    Planned { delivery, send: Some((to, message)), later: None, cost }
}

/// What a kill switch, or the lack of funds, makes of it. How long either lasts nobody knows.
fn stopped(terms: &Terms<'_>, delivery: &Delivery) -> Option<State> {
    match terms.switches.stop(delivery.into()) {
        Some(SwitchMode::Hold) => Some(State::Held(HeldReason::SwitchedOff)),
        Some(SwitchMode::Drop) => Some(State::Skipped(PlainReason::SwitchedOff.into())),
        None => terms.funds.hold(delivery.into()).map(State::Held),
    }
}
