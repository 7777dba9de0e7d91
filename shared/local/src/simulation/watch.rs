//! What must be true at every step. Sees each write of a delivery that was made and each call that reached the
//! provider's door, and keeps the first breach. [`super::end`] looks again when everything is quiet.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::state::{FORCED_REVIVALS, REVIVALS};
use carillon_domain::{Channel, Delivery, DeliveryId, EventId, ReceiptKind, State, StateKind, Token};
use carillon_pipeline::ports::{Item, Key};
use serde_json::Value;

use super::asked::Asked;
use super::calls::{Fate, Made};
use super::core::{Core, SKEW_MS};
use super::scenario;

/// How late a worker may be that looked in time and was not frozen: a lease, and two clocks.
pub(super) const LATE_MS: i64 = 30_000 + 2 * SKEW_MS;

/// Tries that count, by the default schedule.
const MOST_TRIES: u32 = 3;

/// How often what is in doubt is sent again.
const MOST_RESENDS: u32 = 2;

/// What is known of one delivery.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) now: Delivery,
    pub(super) calls: Vec<Made>,
    /// Kinds of receipts that were recorded.
    pub(super) receipts: BTreeSet<ReceiptKind>,
    /// The calls that had been made when it was last taken back: its tries begin anew.
    before_revival: u32,
}

impl Seen {
    /// Whether the provider ever took it.
    pub(super) fn was_taken(&self) -> bool {
        self.calls.iter().any(|made| made.fate == Fate::Accepted)
    }

    /// How many copies the provider has, as far as it has said.
    pub(super) fn copies(&self) -> usize {
        self.calls.iter().filter(|made| made.fate == Fate::Accepted && !made.taken_back).count()
    }

    /// How many copies may be more than one: each is marked.
    pub(super) fn marked(&self) -> u32 {
        self.now.resends + self.now.revived.as_ref().map_or(0, |revival| revival.nth)
    }
}

/// What a run has seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) deliveries: BTreeMap<DeliveryId, Seen>,
    /// Accepted events and which posting each was.
    pub(super) accepted: BTreeMap<EventId, usize>,
    /// Events whose message died, and that is recorded.
    pub(super) dead: BTreeSet<EventId>,
    /// Events that have their plan.
    pub(super) planned: BTreeSet<EventId>,
    /// What was asked for that forbids something.
    pub(super) asked: Asked,
    /// When the table next has something due, by the item it belongs to.
    pub(super) due: BTreeMap<Key, i64>,
    /// The states that deliveries were in.
    pub(super) states: BTreeSet<String>,
    breach: Option<String>,
}

impl Watch {
    pub(super) fn breach(&self) -> Option<&str> {
        self.breach.as_deref()
    }

    /// A delivery that an operator could take back, if need be by force: the one at this place of those that there are.
    pub(super) fn revivable(&self, nth: usize, force: bool) -> Option<DeliveryId> {
        let ended = |seen: &&Seen| {
            let kind = seen.now.state.kind();
            let taken_back = REVIVALS.contains(&kind) || (force && FORCED_REVIVALS.contains(&kind));
            taken_back && seen.now.channel != Channel::InApp
        };
        let ended: Vec<&Seen> = self.deliveries.values().filter(ended).collect();
        let place = nth.checked_rem(ended.len())?;
        ended.get(place).map(|seen| seen.now.id.clone())
    }

    /// Keeps the first thing that must not be.
    pub(super) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds && self.breach.is_none() {
            self.breach = Some(otherwise());
        }
    }

    /// When the earliest due work is due.
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.due.values().min().copied()
    }
}

/// A write was made.
pub(super) fn written(core: &mut Core, key: &Key, before: Option<&Item>, after: Option<&Item>) {
    let due_ms = after.and_then(|item| {
        let text = |name: &str| item.get(name)?.as_str();
        text("attention_pk").filter(|pk| pk.starts_with("DUE#"))?;
        text("attention_sk")?.get(..13)?.parse().ok()
    });
    match due_ms {
        Some(due_ms) => drop(core.watch.due.insert(key.clone(), due_ms)),
        None => drop(core.watch.due.remove(key)),
    }
    if key.sk() == "PLAN"
        && let Some(event) =
            key.pk().rsplit_once("#E#").and_then(|(_, id)| EventId::try_from(id.to_owned()).ok())
    {
        core.tell(|| format!("event {event} has its plan"));
        core.watch.planned.insert(event);
    }
    if !key.sk().starts_with("D#") {
        return;
    }
    let read = |item: Option<&Item>| {
        item.map(|item| serde_json::from_value(Value::Object(item.clone()))).transpose()
    };
    match (read(before), read(after)) {
        (Ok(before), Ok(Some(after))) => delivery_written(core, before, after),
        (Ok(_), Ok(None)) => core.watch.must(false, || format!("a delivery was deleted: {}", key.sk())),
        (Err(error), _) | (_, Err(error)) => {
            core.watch.must(false, || format!("a stored delivery cannot be read: {error}"));
        }
    }
}

fn delivery_written(core: &mut Core, before: Option<Delivery>, after: Delivery) {
    let task = core.current;
    if before.as_ref().is_none_or(|before| before.state != after.state) {
        core.story.mark(after.state.kind().as_str().as_bytes());
        let named = |delivery: &Delivery| named(&delivery.state);
        core.tell(|| {
            let was = before.as_ref().map_or_else(String::new, |before| format!("{} -> ", named(before)));
            let (calls, resends) = (after.calls, after.resends);
            format!(
                "[{task}] {}: {was}{} (calls {calls}, resends {resends})",
                short(&after.id),
                named(&after)
            )
        });
    }
    let watch = &mut core.watch;
    watch.states.insert(named(&after.state));
    let id = after.id.clone();
    let seen = watch.deliveries.remove(&id);
    match (&before, &seen) {
        (Some(before), Some(seen)) => {
            watch.must(*before == seen.now, || format!("{} changed unseen", short(&id)));
            moved(watch, before, &after);
        }
        (Some(_), None) => watch.must(false, || format!("{} was there unseen", short(&id))),
        (None, Some(_)) => watch.must(false, || format!("{} was made twice", short(&id))),
        (None, None) => watch.must(after.rev == 1, || format!("{} begins with a later write", short(&id))),
    }
    let (calls, receipts, mut before_revival) =
        seen.map_or_else(Default::default, |seen| (seen.calls, seen.receipts, seen.before_revival));
    if before.is_some_and(|before| before.revived != after.revived) {
        before_revival = after.calls;
    }
    let seen = Seen { now: after, calls, receipts, before_revival };
    let claims_to_be_sent =
        matches!(seen.now.state.kind(), StateKind::Sent | StateKind::Delivered | StateKind::Read);
    if claims_to_be_sent && seen.now.channel != Channel::InApp {
        watch.must(seen.was_taken(), || {
            format!("{} is {} and the provider never took it", short(&id), named(&seen.now.state))
        });
    }
    watch.deliveries.insert(id, seen);
}

/// What holds between a form of a delivery and the next.
fn moved(watch: &mut Watch, before: &Delivery, after: &Delivery) {
    let id = short(&after.id);
    let (from, to) = (before.state.kind(), after.state.kind());
    if before == after {
        return;
    }
    watch.must(after.rev == before.rev + 1, || {
        format!(
            "a write of {id} follows rev {} and makes rev {}: another write is lost",
            before.rev, after.rev
        )
    });
    let may_be_revived = REVIVALS.contains(&from) || FORCED_REVIVALS.contains(&from);
    let revived = after.revived != before.revived && may_be_revived && to == StateKind::Pending;
    watch.must(from == to || from.may_become(to) || revived, || {
        format!("{id} went from {from} to {to}, which is not legal")
    });
    let parked_again = before.state == State::Parked && after.state == State::Pending;
    watch.must(!parked_again || revived, || format!("{id} was parked and is to be sent again"));
    watch.must(after.resends >= before.resends, || format!("{id} forgot that it was sent again"));
    let resent = before.state == State::InDoubt && after.state == State::Pending && !revived;
    watch.must(!resent || after.resends == before.resends + 1, || {
        format!("{id} was in doubt and is to be sent again, and that is not counted")
    });
    let claimed = to == StateKind::Sending && from != StateKind::Sending;
    watch.must(after.calls == before.calls + u32::from(claimed), || {
        format!("{id} counts {} calls after {}", after.calls, before.calls)
    });
    let recorded =
        after.owner.is_some() && after.lease_until.is_some() && after.attempts.contains_key(&after.calls);
    watch.must(!claimed || recorded, || format!("{id} was claimed without a record of the attempt"));
    let most = MOST_RESENDS + after.revived.as_ref().map_or(0, |revival| revival.nth);
    watch.must(after.resends <= most, || format!("{id} was sent again {} times", after.resends));
    watch.must(after.tries <= MOST_TRIES, || format!("{id} was tried {} times", after.tries));
    let kept = before.receipts.keys().all(|kind| after.receipts.contains_key(kind));
    watch.must(kept, || format!("{id} lost a receipt"));
}

/// A call is about to be made: it can only be stopped before here.
pub(super) fn called(core: &mut Core, token: &Token) {
    let (task, now_ms) = (core.current, core.now_ms);
    core.story.mark(&token.call.to_le_bytes());
    core.tell(|| format!("[{task}] calls the provider: {} call {}", short(&token.delivery), token.call));
    let (frozen, held_up) = (core.was_frozen(task), core.was_held_up(task));
    let known: BTreeSet<u32> =
        core.watch.deliveries.get(&token.delivery).map_or_else(BTreeSet::new, |seen| {
            let known = |made: &&Made| made.answered && !core.is_disturbed(made.task);
            seen.calls.iter().filter(known).map(|made| made.number).collect()
        });
    let watch = &mut core.watch;
    let Some(mut seen) = watch.deliveries.remove(&token.delivery) else {
        watch.must(false, || format!("{} was sent and is not stored", short(&token.delivery)));
        return;
    };
    let id = short(&token.delivery);
    watch.must(seen.now.calls >= token.call, || {
        format!("{id}: call {} is made and not recorded before", token.call)
    });
    again(watch, &seen, token, &known);
    if !frozen {
        still_to_be_sent(watch, &seen, token, now_ms);
        let forbidden = watch.asked.forbids(&seen.now, now_ms, held_up);
        watch.must(forbidden.is_none(), || {
            format!("{id}: call {} is made {}", token.call, forbidden.unwrap_or_default())
        });
    }
    seen.calls.push(Made { number: token.call, fate: Fate::Open, task, answered: false, taken_back: false });
    watch.deliveries.insert(token.delivery.clone(), seen);
}

/// What must be true of earlier calls. `known`: those whose answer the worker had and could record.
fn again(watch: &mut Watch, seen: &Seen, token: &Token, known: &BTreeSet<u32>) {
    let id = short(&token.delivery);
    let (mut doubtful, mut tries) = (0_u32, 0_u32);
    for made in &seen.calls {
        watch.must(made.number != token.call, || format!("{id}: call {} is made twice", token.call));
        // A worker that was frozen before its own call knows nothing of a later one.
        let knew = made.number < token.call && known.contains(&made.number) && !made.taken_back;
        // An operator who forces it knows as well.
        let knew = knew && made.number > seen.before_revival;
        watch.must(!(made.fate == Fate::Accepted && knew), || {
            format!(
                "{id}: call {} is made although call {} was accepted, answered and recorded",
                token.call, made.number
            )
        });
        doubtful += u32::from(made.is_doubtful());
        let counts = made.number > seen.before_revival && known.contains(&made.number) && made.was_a_try();
        tries += u32::from(counts);
    }
    watch.must(tries < MOST_TRIES, || {
        format!("{id}: call {} is made after {tries} tries that failed", token.call)
    });
    let marked = seen.marked();
    watch.must(doubtful <= marked, || {
        format!(
            "{id}: call {} may be a further copy: {doubtful} before it may have arrived, {marked} are marked",
            token.call
        )
    });
    let again = seen.now.revived.is_some() || may_be_sent_again(seen.now.event_type.as_str());
    watch.must(again || doubtful == 0, || {
        format!("{id}: call {} is made under a policy that forbids it", token.call)
    });
}

/// What must be true of a delivery that a worker sends who was not held up.
fn still_to_be_sent(watch: &mut Watch, seen: &Seen, token: &Token, now_ms: i64) {
    let (id, delivery) = (short(&token.delivery), &seen.now);
    let ours = delivery.state == State::Sending && delivery.calls == token.call;
    let answered = !delivery.receipts.is_empty();
    watch.must(ours || answered, || {
        format!(
            "{id}: call {} is made while it is {}, call {}",
            token.call,
            named(&delivery.state),
            delivery.calls
        )
    });
    let late_ms = now_ms - delivery.expires_at.as_millisecond();
    watch.must(late_ms <= LATE_MS, || {
        format!("{id}: call {} is made {late_ms} ms after it expired", token.call)
    });
}

fn may_be_sent_again(event_type: &str) -> bool {
    scenario::routes().iter().any(|told| told.event_type == event_type && told.again)
}

/// The provider says that an accepted message failed.
pub(super) fn taken_back(core: &mut Core, token: &Token) {
    let Some(seen) = core.watch.deliveries.get_mut(&token.delivery) else { return };
    seen.calls.iter_mut().filter(|made| made.number == token.call).for_each(|made| made.taken_back = true);
}

/// What became of a call.
pub(super) fn fared(core: &mut Core, token: &Token, fate: Fate) {
    change(core, token, |made| made.fate = fate);
}

/// The worker has the provider's answer.
pub(super) fn answered(core: &mut Core, token: &Token) {
    change(core, token, |made| made.answered = true);
}

fn change(core: &mut Core, token: &Token, change: impl FnOnce(&mut Made)) {
    let task = core.current;
    let Some(seen) = core.watch.deliveries.get_mut(&token.delivery) else { return };
    let made = seen.calls.iter_mut().rev().find(|made| made.number == token.call && made.task == task);
    if let Some(made) = made {
        change(made);
    }
}

/// A delivery's name in the story.
pub(super) fn short(id: &DeliveryId) -> String {
    let (recipient, event) = (id.recipient().as_str(), id.event().as_str());
    format!(
        "delivery {}-{}-{}",
        recipient.get(..4).unwrap_or(recipient),
        event.get(..4).unwrap_or(event),
        id.channel()
    )
}

fn named(state: &State) -> String {
    state.reason().map_or_else(|| state.kind().to_string(), |reason| format!("{}({reason})", state.kind()))
}
