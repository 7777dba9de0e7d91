//! The throttle of a route: how many notifications of a category a recipient has been given room for. One item for each
//! recipient and category names the latest instants with the events that took them, so that whoever asks again for the same
//! event is answered the same. Routes without a throttle cost nothing.

use std::collections::BTreeMap;

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Category, Delivery, Event, EventId, HeldReason, RecipientKey, State, TenantId, Throttle, ThrottleMode,
    Timestamp,
};
use futures_util::future::try_join_all;

use crate::context::Pipeline;
use crate::plan::Planned;
use crate::ports::StoreError;
use crate::store::throttles::{KEPT, PutRoom, Room};
use crate::waits::Waits;

/// How often a reservation is repeated that others came before.
const REPEATS: u32 = 20;

impl Pipeline {
    /// Takes room for an event, unless it has some. Answers when the room is, if that is later; with
    /// [`ThrottleMode::Drop`] nothing is taken then.
    pub(crate) async fn take_room(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        category: Category,
        event: &EventId,
        throttle: Throttle,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut found = self.room(tenant, person, category).await?;
        for _ in 0..REPEATS {
            let now = self.now();
            let before = found.unwrap_or_default();
            let at = match before.taken_by(event) {
                Some(at) => return Ok((at > now).then_some(at)),
                None => throttle.room(&before.instants(), now),
            };
            let ahead = before.taken.iter().filter(|one| one.at > now).count();
            // No more slots ahead than are remembered beside those that count: one that is forgotten is given twice.
            let full = ahead >= KEPT - Throttle::MOST as usize;
            if at > now && (throttle.mode == ThrottleMode::Drop || full) {
                return Ok(Some(at));
            }
            let after = before.with(event, at);
            match self.put_room(tenant, person, category, &before, &after).await? {
                PutRoom::Done => return Ok((at > now).then_some(at)),
                PutRoom::Overtaken(others) => found = others,
            }
        }
        Err(StoreError::Unavailable("too many count one recipient's notifications at once".to_owned()))
    }

    /// When an event has room, or would have it; none when that is now. Takes none.
    async fn look_for_room(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        category: Category,
        event: &EventId,
        throttle: Throttle,
    ) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now();
        let found = self.room(tenant, person, category).await?.unwrap_or_default();
        let at = found.taken_by(event).unwrap_or_else(|| throttle.room(&found.instants(), now));
        Ok((at > now).then_some(at))
    }

    /// Takes room for the recipients of a page who are told now; who gets none waits, or is not told. What an
    /// earlier run of the same fan-out has decided stays; a preview takes nothing.
    pub(crate) async fn throttle_planned(
        &self,
        tenant: &TenantId,
        event: &Event,
        throttle: Throttle,
        made: Made<'_>,
        planned: &mut [Planned],
    ) -> Result<(), StoreError> {
        let ready = |one: &&Planned| one.send.is_some() && one.delivery.category != Category::Critical;
        let people: BTreeMap<&RecipientKey, Category> = planned
            .iter()
            .filter(ready)
            .map(|one| (one.delivery.id.recipient(), one.delivery.category))
            .collect();
        let each = people.into_iter().map(|(person, category)| async move {
            let room = match made {
                Made::Earlier(made) => {
                    let earlier = made.iter().filter(|d| d.id.recipient() == person);
                    if let Some(decided) = decided_before(&earlier.collect::<Vec<_>>()) {
                        return Ok((person.clone(), decided));
                    }
                    self.take_room(tenant, person, category, &event.id, throttle).await?
                }
                Made::Preview => self.look_for_room(tenant, person, category, &event.id, throttle).await?,
            };
            let decided = room.map_or(Decided::Goes, |at| match throttle.mode {
                ThrottleMode::Defer => Decided::Waits(at),
                ThrottleMode::Drop => Decided::Dropped,
            });
            Ok::<_, StoreError>((person.clone(), decided))
        });
        let decided: BTreeMap<RecipientKey, Decided> = try_join_all(each).await?.into_iter().collect();
        for one in planned.iter_mut().filter(|one| ready(&&**one)) {
            match decided.get(one.delivery.id.recipient()) {
                Some(Decided::Waits(at)) => {
                    Waits { reason: HeldReason::Throttled, until: Some(*at) }.hold(&mut one.delivery);
                    one.later = one.send.take().map(|(_, message)| message);
                }
                Some(Decided::Dropped) => {
                    one.delivery.state = State::Skipped(PlainReason::Throttled.into());
                    one.delivery.fallback_at = None;
                    one.send = None;
                }
                Some(Decided::Goes) | None => {}
            }
        }
        Ok(())
    }
}

/// What is known of deliveries of the event that are there already.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Made<'a> {
    /// These, made by an earlier run.
    Earlier(&'a [Delivery]),
    /// None, and none will be made.
    Preview,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decided {
    Goes,
    Waits(Timestamp),
    Dropped,
}

/// What an earlier run decided for a recipient, as far as their deliveries show it.
fn decided_before(earlier: &[&Delivery]) -> Option<Decided> {
    let dropped = State::Skipped(PlainReason::Throttled.into());
    if earlier.iter().any(|d| d.state == dropped) {
        return Some(Decided::Dropped);
    }
    let waits = earlier.iter().find(|d| d.state == State::Held(HeldReason::Throttled));
    if let Some(at) = waits.and_then(|d| d.held_until) {
        return Some(Decided::Waits(at));
    }
    // Skipped for a reason of its own says nothing about the others.
    earlier.iter().any(|d| !matches!(d.state, State::Skipped(_))).then_some(Decided::Goes)
}

impl Room {
    /// The instants that are taken, in order.
    fn instants(&self) -> Vec<Timestamp> {
        self.taken.iter().map(|one| one.at).collect()
    }

    /// When an event has room, if it has taken some.
    fn taken_by(&self, event: &EventId) -> Option<Timestamp> {
        self.taken.iter().find(|one| one.event_id == *event).map(|one| one.at)
    }
}
