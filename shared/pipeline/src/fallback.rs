//! Fallback between channels: when a route's channels did not reach a recipient, others of the same route are tried, once.
//! The delivery that owes it carries `fallback_at`, stored with the failure itself, so that no crash forgets it; sweep-due
//! comes here.

use carillon_domain::{
    Category, Channel, ChannelChoice, Delivery, DeliveryId, HeldReason, InDoubtPolicy, State, StateKind,
    TenantId,
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::due::LOOK_AGAIN;
use crate::fan_out::Told;
use crate::ports::{Check, StoreError, TransactError, Write};
use crate::store::deliveries::Saved;
use crate::store::{from_item, keys, to_item};
use crate::work::WorkError;

/// Which delivery's failure a recipient's fallback for an event follows.
#[derive(Serialize, Deserialize)]
struct FellBack {
    because: DeliveryId,
}

impl Pipeline {
    /// Notes on a delivery that has just failed that its route's fallback is owed.
    pub(crate) async fn owe_fallback(
        &self,
        tenant: &TenantId,
        before: &Delivery,
        after: &mut Delivery,
    ) -> Result<(), StoreError> {
        if before.state.kind() == StateKind::Failed || after.state.kind() != StateKind::Failed {
            return Ok(());
        }
        let route = self.route(tenant, &after.event_type).await?;
        let fallback = route.as_ref().and_then(|route| route.fallback.as_ref());
        let owed = fallback.is_some_and(|fallback| !fallback.channels.contains(&after.channel));
        after.fallback_at = owed.then(|| self.now());
        Ok(())
    }

    /// What becomes of a delivery in doubt when its grace is over.
    pub(crate) async fn in_doubt_policy(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<InDoubtPolicy, StoreError> {
        let route = self.route(tenant, &delivery.event_type).await?;
        let of_route = route.as_ref().and_then(|route| route.in_doubt);
        let category: Category = delivery.category;
        let policy = self.settings(tenant).await?.in_doubt.policy(of_route, category);
        let can_fall_back = route.is_some_and(|route| route.fallback.is_some());
        // What may have arrived already is not sent again for an event that was taken back.
        if self.taken_back(tenant, &delivery.event_id).await?.is_some() {
            return Ok(InDoubtPolicy::Park);
        }
        Ok(match policy {
            // A category's or a tenant's fallback on a route that has none: better left than doubled.
            InDoubtPolicy::Fallback if !can_fall_back => InDoubtPolicy::Park,
            policy => policy,
        })
    }

    /// Carries out the fallback that a delivery owes, if nothing has arrived by any channel, and notes that it is done.
    /// Answers whether other channels were tried.
    pub(crate) async fn fall_back(&self, tenant: &TenantId, owing: Delivery) -> Result<bool, WorkError> {
        // Counted with the event's plan: while fan-out is not complete it is owed a little longer.
        let now = self.now();
        // What still waits for its own time has not failed: both would go at once.
        let waits = matches!(
            owing.state,
            State::Held(HeldReason::Scheduled | HeldReason::QuietHours | HeldReason::Throttled)
        );
        let early =
            now < owing.expires_at && (waits || self.event_plan(tenant, &owing.event_id).await?.is_none());
        let from = owing.held_until.filter(|_| waits).map_or(now, |until| until.max(now));
        let next = early.then(|| plus(from, LOOK_AGAIN));
        let tried = !early && self.try_other_channels(tenant, &owing).await?;
        let mut before = owing;
        loop {
            let mut after = before.clone();
            after.fallback_at = next;
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(_) => return Ok(tried),
                Saved::Overtaken(found) if found.fallback_at.is_none() => return Ok(tried),
                Saved::Overtaken(found) => before = *found,
            }
        }
    }

    async fn try_other_channels(&self, tenant: &TenantId, owing: &Delivery) -> Result<bool, WorkError> {
        let route = self.route(tenant, &owing.event_type).await?;
        let (Some(route), Some(event)) = (route, self.event(tenant, &owing.event_id).await?) else {
            return Ok(false);
        };
        let Some(fallback) = &route.fallback else { return Ok(false) };
        if self.table.get(&keys::event_cancelled(tenant, &owing.event_id)).await?.is_some() {
            return Ok(false);
        }
        if self.now() >= owing.expires_at || self.has_arrived(tenant, owing).await? {
            return Ok(false);
        }
        let mut others = route.as_ref().clone();
        others.channels = ChannelChoice::FirstOf(fallback.channels.clone());
        let page = std::slice::from_ref(&owing.recipient_id);
        // Whoever is told once was told by the delivery that failed; that claim is this event's own.
        let told = Told::Known(std::collections::BTreeSet::new());
        let mut planned = self.plan_page(tenant, &event, Some(&others), page, &told).await?.planned;
        for one in &mut planned {
            one.delivery.spread = owing.spread;
            one.delivery.note.get_or_insert_with(|| format!("follows {}", owing.id));
            if one.send.is_some() && one.delivery.state == State::Pending {
                // What is owed can be forgotten meanwhile, by a receipt or a revival: the sweep queues what is not.
                one.delivery.retry_at = Some(plus(self.now(), LOOK_AGAIN));
            }
        }
        self.line_up(tenant, &event, Some(&others), &mut planned).await?;
        let tried = planned.iter().any(|one| one.send.is_some());
        let mut more = 0;
        for one in &planned {
            // Another run of fan-out may have planned it already.
            more += usize::from(self.delivery(tenant, &one.delivery.id).await?.is_none());
        }
        if !self.claim_fallback(tenant, owing, more).await? {
            return Ok(false);
        }
        self.store_and_queue(tenant, planned).await?;
        self.cancel_if_asked(tenant, &owing.event_id).await?;
        tracing::info!(tenant.id = %tenant, delivery.id = %owing.id, fallback.tried = tried, "fell back");
        Ok(tried)
    }

    /// Whether the recipient has had the event's message by any channel of its route.
    async fn has_arrived(&self, tenant: &TenantId, owing: &Delivery) -> Result<bool, StoreError> {
        let one = |channel: Channel| async move {
            let id = DeliveryId::new(owing.id.recipient().clone(), owing.event_id.clone(), channel);
            self.delivery(tenant, &id).await
        };
        let deliveries = try_join_all(Channel::ALL.map(one)).await?;
        let arrived = |d: &Delivery| matches!(d.state, State::Delivered | State::Read);
        // A failure is one whatever the other channels did.
        Ok(owing.state.kind() != StateKind::Failed && deliveries.iter().flatten().any(arrived))
    }

    /// Claims the one fallback of a recipient and event for the delivery that owes it. A repeat of the same is no other.
    /// The event's count of deliveries grows in the same transaction.
    async fn claim_fallback(
        &self,
        tenant: &TenantId,
        owing: &Delivery,
        more: usize,
    ) -> Result<bool, WorkError> {
        let claim = Write::Put {
            key: keys::fallback(tenant, owing.id.recipient(), &owing.event_id),
            item: to_item(&FellBack { because: owing.id.clone() })?,
            only_if: vec![Check::Absent],
        };
        let count = Write::Update {
            key: keys::event_plan(tenant, &owing.event_id),
            set: Vec::new(),
            add: vec![("planned".to_owned(), i64::try_from(more).unwrap_or(0))],
            remove: Vec::new(),
            only_if: vec![Check::Present],
        };
        match self.table.transact(vec![claim, count]).await {
            Ok(()) => Ok(true),
            Err(TransactError::Conflict { at: 0, found: Some(found) }) => {
                Ok(from_item::<FellBack>(found)?.because == owing.id)
            }
            // Its fan-out is not done: the next sweep comes again.
            Err(error) => Err(error.into()),
        }
    }
}
