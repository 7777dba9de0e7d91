//! What readers and operators ask for in a run, and what may not happen after it: nothing is sent that is not wanted any
//! more, that was taken back or that is stopped, and free text only within a day after its reader wrote.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::{Delivery, EventId, Switch, SwitchSetting, Timestamp, switch};

use super::core::Core;
use super::scenario::{Act, DAY_MS, Wish};
use super::watch::{LATE_MS, short};

/// No call is made later than this after a stop, by a worker that nothing held up.
const STOPPED_MS: i64 = 5_000;

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// What is not wanted any more, and since when.
    wishes: Vec<(Wish, i64)>,
    /// What is stopped, and since when.
    stop: Option<(Switch, i64)>,
    /// Somebody has begun to lift the stop: from then on nobody knows whether it holds.
    lifting: bool,
    /// Events that were taken back, and since when.
    cancelled: BTreeMap<EventId, i64>,
    /// Events that somebody has begun to take back.
    cancelling: BTreeSet<EventId>,
    /// Until when the window of a phone number may be open.
    windows: BTreeMap<String, i64>,
}

impl Asked {
    pub(super) fn wished(&mut self, wish: Wish, now_ms: i64) {
        self.wishes.push((wish, now_ms));
    }

    pub(super) fn stopped(&mut self, setting: SwitchSetting, now_ms: i64) {
        if !self.lifting {
            let at = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::MAX);
            self.stop = Some((Switch { setting, by: String::new(), at }, now_ms));
        }
    }

    pub(super) fn cancelled(&mut self, event: EventId, now_ms: i64) {
        self.cancelled.entry(event).or_insert(now_ms);
    }

    /// Whether somebody has begun to lift the stop.
    pub(super) fn is_lifting(&self) -> bool {
        self.lifting
    }

    /// Whether an event may have been taken back before it was planned.
    pub(super) fn may_be_unplanned(&self, event: &EventId) -> bool {
        self.cancelling.contains(event)
    }

    /// What may not be sent now is forbidden by this. `held_up`: the worker that is about to call waited for seconds.
    pub(super) fn forbids(&self, delivery: &Delivery, now_ms: i64, held_up: bool) -> Option<String> {
        let after = |since_ms: &i64, what: &str| format!("{} ms after {what}", now_ms - since_ms);
        let unwanted = self.wishes.iter().find(|(wish, since_ms)| {
            wish.forbids(delivery.recipient_id.as_str(), delivery.channel, delivery.category)
                && now_ms > since_ms + LATE_MS
        });
        if let Some((_, since_ms)) = unwanted {
            return Some(after(since_ms, "its reader opted out"));
        }
        let cancelled =
            self.cancelled.get(&delivery.event_id).filter(|since_ms| now_ms > *since_ms + LATE_MS);
        if let (Some(since_ms), None) = (cancelled, &delivery.revived) {
            return Some(after(since_ms, "its event was taken back"));
        }
        let (stop, since_ms) = self.stop.as_ref().filter(|_| !self.lifting && !held_up)?;
        let stopped = switch::stop([stop], delivery.into()).is_some();
        (stopped && now_ms > since_ms + STOPPED_MS).then(|| after(since_ms, "it was stopped"))
    }
}

/// Somebody begins to ask for something: from now on it may be so.
pub(super) fn begins(core: &mut Core, act: &Act) {
    let accepted = &core.watch.accepted;
    match act {
        Act::Lift => core.watch.asked.lifting = true,
        Act::Cancel(number) => {
            let of =
                accepted.iter().filter(|(_, posting)| *posting == number).map(|(event, _)| event.clone());
            core.watch.asked.cancelling.extend(of.collect::<Vec<_>>());
        }
        Act::Write { phone, at_ms } => {
            let until_ms = core.watch.asked.windows.entry((*phone).to_owned()).or_default();
            *until_ms = (*until_ms).max(at_ms + DAY_MS);
        }
        Act::Post(_) | Act::Wish(_) | Act::Stop(_) | Act::Revive | Act::Redrive { .. } => {}
    }
}

/// Free text is about to be sent to a number.
pub(super) fn speaks_freely(core: &mut Core, delivery: &carillon_domain::DeliveryId, phone: &str) {
    let (now_ms, frozen) = (core.now_ms, core.was_frozen(core.current));
    let until_ms = core.watch.asked.windows.get(phone).copied().unwrap_or(0);
    core.watch.must(frozen || now_ms <= until_ms + LATE_MS, || {
        format!("{}: free text is sent and its reader's window is closed", short(delivery))
    });
}
