//! Digests: events about the same thing become one message to each recipient and channel. Each event has its own delivery,
//! `held(digest)` until the window ends. Then one of them carries all: the first that has not ended meanwhile. What it
//! carries is listed before it moves on, in a list that never changes, so that a crash, a repeat or another worker comes to
//! the same; only when the carrier has moved on do the others end as `skipped(digested)`.

use carillon_domain::{
    Carried, Delivery, DeliveryId, DigestMark, DigestRule, Event, EventId, HeldReason, State, StateKind,
    TenantId, Timestamp, sha256_hex,
};
use futures_util::future::try_join_all;
use jiff::SignedDuration;

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::plan::Planned;
use crate::ports::StoreError;
use crate::store::digests::Head;
use crate::waits::Waits;

/// How many events one message tells of; a window with more has more messages.
const MOST_CARRIED: usize = 100;

/// What a delivery whose digest is over has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// It tells of these, as long as any of them is worth it.
    Carries { carried: Carried, expires_at: Timestamp },
    /// This one tells of it.
    CarriedBy(DeliveryId),
    /// The one that carries has to move on first.
    NotYet,
}

/// What stands for what a digest is about.
fn group_of(event: &Event, rule: &DigestRule, delivery: &Delivery) -> Option<String> {
    let value = event.text_at(&rule.key)?;
    let about =
        serde_json::to_string(&(event.input.event_type.as_str(), delivery.channel.as_str(), value)).ok()?;
    Some(sha256_hex(&about)[..24].to_owned())
}

impl Pipeline {
    /// Lets the planned deliveries of an event into their digests, except those that an earlier run has made.
    pub(crate) async fn join_digests(
        &self,
        tenant: &TenantId,
        event: &Event,
        rule: &DigestRule,
        made: &[Delivery],
        planned: &mut [Planned],
    ) -> Result<(), StoreError> {
        let waits = |one: &&mut Planned| {
            let delivery = &one.delivery;
            delivery.state == State::Held(HeldReason::Digest) && made.iter().all(|d| d.id != delivery.id)
        };
        let each = planned.iter_mut().filter(waits);
        try_join_all(each.map(|one| self.join_digest(tenant, event, rule, &mut one.delivery))).await.map(drop)
    }

    /// Lets one delivery into its digest: the open one, or a new one from now on. Answers false for an event that has no
    /// value to be gathered by.
    pub(crate) async fn join_digest(
        &self,
        tenant: &TenantId,
        event: &Event,
        rule: &DigestRule,
        delivery: &mut Delivery,
    ) -> Result<bool, StoreError> {
        let Some(group) = group_of(event, rule, delivery) else { return Ok(false) };
        let (now, person) = (self.now(), delivery.id.recipient().clone());
        let else_at = plus(now, SignedDuration::from_secs(rule.window_s.into()));
        let Head { ends_at, joined } = self.enter_digest(tenant, &person, &group, now, else_at).await?;
        let mark = DigestMark { group, ends_at, carries: None };
        self.put_digest_member(tenant, &person, &mark, (event.accepted_at, joined), &event.id).await?;
        Waits { reason: HeldReason::Digest, until: Some(ends_at) }.hold(delivery);
        if event.input.expires_at.is_none() {
            // It is due when the window ends, and expiry counts from when it is due.
            delivery.expires_at = plus(delivery.expires_at, ends_at.duration_since(now));
        }
        delivery.digest = Some(mark);
        Ok(true)
    }

    /// Says what a delivery whose digest is over has to do. Asked again, it answers the same, or what is true since.
    pub(crate) async fn close_digest(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        mark: &DigestMark,
    ) -> Result<Gathered, StoreError> {
        let person = delivery.id.recipient();
        let mut closed = Vec::new();
        for number in 0.. {
            let events = if let Some(events) = self.digest_closing(tenant, person, mark, number).await? {
                events
            } else {
                let events = self.still_open(tenant, delivery, mark, &closed).await?;
                self.put_digest_closing(tenant, person, mark, number, events).await?
            };
            if let Some(at) = events.iter().position(|id| *id == delivery.event_id) {
                return self.carrier(tenant, delivery, &events, at, number).await;
            }
            closed.extend(events);
        }
        // Each round closes some, and nothing joins a window for ever.
        Ok(Gathered::NotYet)
    }

    /// The next events of a digest that no closing has, and whose deliveries still wait for it.
    async fn still_open(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        mark: &DigestMark,
        closed: &[EventId],
    ) -> Result<Vec<EventId>, StoreError> {
        let person = delivery.id.recipient();
        let (mut open, mut after) = (Vec::new(), None);
        while open.len() < MOST_CARRIED {
            let (members, next) = self.digest_members(tenant, person, mark, after).await?;
            let members = members.into_iter().filter(|id| !closed.contains(id));
            let ids: Vec<DeliveryId> =
                members.map(|event| DeliveryId::new(person.clone(), event, delivery.id.channel())).collect();
            let waiting = self.deliveries(tenant, &ids).await?;
            for waiting in waiting.into_iter().filter(|d| waits_for(d, mark)) {
                // An event that joined twice, because its fan-out came again, is told once.
                if !open.contains(&waiting.event_id) {
                    open.push(waiting.event_id);
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        // Reads of many things may be a moment old; this one is known to wait.
        if !open.contains(&delivery.event_id) {
            open.insert(0, delivery.event_id.clone());
        }
        open.truncate(MOST_CARRIED);
        Ok(open)
    }

    /// Who tells of the events of a closing: the first that still waits. `at`: where the delivery's own event stands.
    async fn carrier(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        events: &[EventId],
        at: usize,
        number: u32,
    ) -> Result<Gathered, StoreError> {
        let others = |events: &[EventId]| -> Vec<DeliveryId> {
            let id = |event: &EventId| {
                DeliveryId::new(delivery.id.recipient().clone(), event.clone(), delivery.id.channel())
            };
            events.iter().map(id).collect()
        };
        for id in others(&events[..at]) {
            match self.delivery(tenant, &id).await? {
                Some(other) if other.digest.as_ref().is_some_and(|mark| !mark.is_open()) => {
                    return Ok(Gathered::CarriedBy(id));
                }
                Some(other) if other.state.kind() == StateKind::Held => return Ok(Gathered::NotYet),
                // Taken back, expired or not wanted before the digest was over.
                _ => {}
            }
        }
        let carried =
            Carried { closing: number, events: u32::try_from(events.len() - at).unwrap_or(u32::MAX) };
        let after = self.deliveries(tenant, &others(&events[at + 1..])).await?;
        let expires_at = after.iter().map(|d| d.expires_at).fold(delivery.expires_at, Timestamp::max);
        Ok(Gathered::Carries { carried, expires_at })
    }

    /// The events that a delivery tells of, in order; its own alone when it is in no digest.
    pub(crate) async fn told_events(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<Vec<EventId>, StoreError> {
        let own = || vec![delivery.event_id.clone()];
        let Some((mark, carried)) = delivery.digest.as_ref().and_then(|mark| Some((mark, mark.carries?)))
        else {
            return Ok(own());
        };
        let person = delivery.id.recipient();
        let Some(mut events) = self.digest_closing(tenant, person, mark, carried.closing).await? else {
            return Ok(own());
        };
        let at = events.iter().position(|id| *id == delivery.event_id).unwrap_or_default();
        Ok(events.split_off(at))
    }
}

/// Whether a delivery still waits for this digest.
fn waits_for(delivery: &Delivery, mark: &DigestMark) -> bool {
    delivery.state.kind() == StateKind::Held && delivery.digest.as_ref() == Some(mark)
}
