//! What must be true when everything is quiet: nothing accepted is lost, everything is settled, and what is stored and
//! the provider's own log say the same.

use std::collections::BTreeMap;

use carillon_domain::{Channel, ReceiptKind, Route, State, StateKind};

use super::calls::Fate;
use super::core::Core;
use super::scenario::{self, Posting};
use super::watch::{Seen, short};

/// Looks at a run that has ended.
pub(super) fn examine(core: &mut Core, postings: &[Posting]) {
    let empty = core.mailbox.is_empty();
    core.watch.must(empty, || "a queue still holds messages".to_owned());
    nothing_accepted_is_lost(core, postings);
    let deliveries = std::mem::take(&mut core.watch.deliveries);
    for seen in deliveries.values() {
        settled(core, seen);
        ledger(core, seen);
        receipts(core, seen);
    }
    core.watch.deliveries = deliveries;
}

fn nothing_accepted_is_lost(core: &mut Core, postings: &[Posting]) {
    let accepted: BTreeMap<_, _> = core.watch.accepted.clone();
    for (event, number) in accepted {
        let planned = core.watch.planned.contains(&event);
        core.watch.must(planned, || format!("event {event} was accepted and never planned"));
        let Some(posting) = postings.get(number) else { continue };
        if core.watch.asked.may_be_unplanned(&event) {
            continue;
        }
        for (recipient, channels) in expected(posting.event_type) {
            let of = core
                .watch
                .deliveries
                .values()
                .filter(|seen| seen.now.event_id == event && seen.now.recipient_id.as_str() == recipient);
            let found: Vec<Channel> = of.map(|seen| seen.now.channel).collect();
            let told = match &channels {
                Told::OnAll(channels) => channels.iter().all(|channel| found.contains(channel)),
                Told::OnOne => !found.is_empty(),
            };
            core.watch
                .must(told, || format!("event {event} was accepted and {recipient} has no delivery of it"));
        }
    }
}

enum Told {
    OnAll(Vec<Channel>),
    OnOne,
}

/// Who must have a delivery of an event, read from its route.
fn expected(event_type: &str) -> Vec<(String, Told)> {
    let Some(told) = scenario::routes().into_iter().find(|told| told.event_type == event_type) else {
        return Vec::new();
    };
    let Ok(route) = serde_json::from_value::<Route>(told.route) else { return Vec::new() };
    let members = route.audience.groups.iter().flat_map(|group| {
        let members =
            scenario::GROUPS.iter().find(|(name, _)| *name == group.as_str()).map(|(_, members)| *members);
        members.unwrap_or_default().iter().map(|id| (*id).to_owned())
    });
    let ids = route.audience.ids.iter().map(|id| id.as_str().to_owned());
    let told = || match &route.channels {
        carillon_domain::ChannelChoice::All(channels) => Told::OnAll(channels.clone()),
        carillon_domain::ChannelChoice::FirstOf(_) => Told::OnOne,
    };
    ids.chain(members).map(|id| (id, told())).collect()
}

fn settled(core: &mut Core, seen: &Seen) {
    let state = &seen.now.state;
    core.watch.must(seen.now.is_settled(), || format!("{} stays {}", short(&seen.now.id), state.kind()));
}

/// What is stored against what the provider has.
fn ledger(core: &mut Core, seen: &Seen) {
    let (id, delivery, copies) = (short(&seen.now.id), &seen.now, seen.copies());
    if delivery.channel == Channel::InApp {
        return;
    }
    let state = delivery.state.kind();
    let sent = matches!(state, StateKind::Sent | StateKind::Delivered | StateKind::Read);
    core.watch.must(!sent || seen.was_taken(), || format!("{id} is {state} and the provider never took it"));
    let marked = usize::try_from(seen.marked()).unwrap_or(usize::MAX);
    core.watch.must(copies <= 1 + marked, || {
        format!("{id}: the provider took it {copies} times, and {marked} further copies are marked")
    });
    // What the provider has is never told as something that was not sent, unless there is a mark.
    let doubtful = matches!(delivery.state, State::Parked) || unknown(&delivery.state);
    core.watch.must(copies == 0 || sent || doubtful || marked > 0, || {
        format!("{id} is {state} and the provider took it")
    });
    let open = seen.calls.iter().any(|made| made.fate == Fate::Open && delivery.calls < made.number);
    core.watch.must(!open, || format!("{id}: a call was made that is not recorded"));
}

fn unknown(state: &State) -> bool {
    state.reason().is_some_and(|reason| reason == "unknown_outcome" || reason == "parked")
}

/// What the provider said and was recorded is kept, and a delivery is at least as far as it said.
fn receipts(core: &mut Core, seen: &Seen) {
    let (id, delivery) = (short(&seen.now.id), &seen.now);
    for kind in &seen.receipts {
        let kept = delivery.receipts.contains_key(kind);
        core.watch.must(kept, || format!("{id}: the receipt {} was recorded and is lost", kind.as_str()));
    }
    let arrived =
        seen.receipts.contains(&ReceiptKind::Delivered) || seen.receipts.contains(&ReceiptKind::Read);
    let ended = matches!(delivery.state.kind(), StateKind::Failed | StateKind::Expired | StateKind::Skipped);
    let shown = matches!(delivery.state.kind(), StateKind::Delivered | StateKind::Read);
    core.watch.must(!arrived || shown || ended, || format!("{id} arrived and is {}", delivery.state.kind()));
}
