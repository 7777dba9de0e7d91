//! fan-out: reads an accepted event, decides who is told what, writes the deliveries and puts each on its channel's
//! queue; the in-app feed is settled here. Repeating it changes nothing: ids are deterministic and writes conditional.
//! deliver-whatsapp and deliver-email come next.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Channel, Delivery, DeliveryId, Event, EventId, HeldReason, Recipient, RecipientId, RecipientKey, Route,
    State, Tenant, TenantId,
};

use crate::context::Pipeline;
use crate::deliver::{ended, plus};
use crate::due::LOOK_AGAIN;
use crate::forms::Forms;
use crate::plan::{self, Planned, Reader, Terms};
use crate::ports::{Message, Queue, StoreError};
use crate::reproduce::Reproduced;
use crate::store::directory::StoredRecipient;
use crate::store::events::EventPlan;
use crate::store::keys;
use crate::work::{DeliveryWork, EventWork, WorkError};

/// How many recipients are read, decided, written and queued at a time: what bounds the memory of a large audience.
pub(crate) const PAGE: usize = 100;

impl Pipeline {
    /// Fans out one event.
    ///
    /// # Errors
    /// When the table or a queue cannot be reached; the queue repeats the message, and what is done stays done.
    pub async fn fan_out(&self, work: &EventWork) -> Result<(), WorkError> {
        let tenant = &work.tenant;
        let (plan, cut, cancelled) = self.event_progress(tenant, &work.event_id).await?;
        // Planned, or cut into parts whose messages are all in the queue.
        if plan.is_some() || (cut.is_some() && work.part.is_none()) {
            if cut.is_none() {
                self.look_for_strays(tenant, &work.event_id).await?;
            }
            return Ok(());
        }
        let Some(event) = self.event(tenant, &work.event_id).await? else {
            return Err(WorkError::Unreadable(format!("there is no event {}", work.event_id)));
        };
        // What was read above may be a moment old; of an escalation nothing is told after an acknowledgement.
        let cancelled =
            cancelled || (event.escalates.is_some() && self.taken_back(tenant, &event.id).await?.is_some());
        let route = self.route(tenant, &event.input.event_type).await?;
        if let Some(part) = &work.part {
            let route = route.as_deref();
            return self.fan_out_part(tenant, &event, route, part, cancelled).await;
        }
        if cancelled {
            return self.plan_nothing_more(tenant, &event.id).await;
        }
        if !self.put_begun(tenant, &event.id).await? {
            // Another run may still be at it, and write what this one does not plan after this one is done.
            self.put_strays(tenant, &event.id, plus(self.now(), LOOK_AGAIN)).await?;
        }
        self.put_steps(tenant, &event, route.as_deref()).await?;
        let addressed = self.addressed(tenant, &event, route.as_ref().map(|r| &r.audience)).await?;
        let mut unknown = addressed.unknown;
        if let Some(owner) = self.tenant(tenant).await? {
            // Stored first: a retry or the log finds the person by the id alone.
            for (id, person) in brought_people(&owner, &event) {
                self.put_one_off(tenant, &id, &person).await?;
            }
        }
        let ids: Vec<RecipientId> = addressed.recipients.iter().cloned().collect();
        let spread = !addressed.large.is_empty();
        let mut own = BTreeSet::new();
        for page in ids.chunks(PAGE) {
            own.extend(
                self.fan_out_page(tenant, &event, route.as_deref(), page, spread, &mut unknown).await?,
            );
        }
        for name in &unknown {
            tracing::warn!(tenant.id = %tenant, event.id = %event.id, missing = %name, "the audience names what does not exist");
        }
        if spread {
            let priority = event.input.priority.or(route.map(|r| r.priority)).unwrap_or_default();
            return self.cut(tenant, &event, &addressed.large, priority, unknown).await;
        }
        // A first run finds no others here.
        let others = self.queue_strays(tenant, &event.id, &own).await?;
        let planned = u32::try_from(own.len()).unwrap_or(u32::MAX).saturating_add(others);
        let plan = EventPlan { planned_at: self.now(), planned, unknown };
        self.put_event_plan(tenant, &event.id, &plan).await?;
        self.cancel_if_asked(tenant, &event.id).await?;
        self.take_back_if_not_owed(tenant, &event).await?;
        tracing::info!(tenant.id = %tenant, event.id = %event.id, deliveries.planned = planned, "event planned");
        Ok(())
    }

    /// Decides, writes and queues a page of recipients. Answers which deliveries there are. `spread`: the event's
    /// list of deliveries is kept in several partitions.
    pub(crate) async fn fan_out_page(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
        page: &[RecipientId],
        spread: bool,
        unknown: &mut Vec<String>,
    ) -> Result<Vec<DeliveryId>, WorkError> {
        let Planning { mut planned, unknown: missing } =
            self.plan_owed_page(tenant, event, route, page, &Told::Ask).await?;
        unknown.extend(missing);
        if let Some(about) = route.and_then(|r| event.once_per(&r.once_per)) {
            // Only who is really told uses up their once: who has no address today can be told tomorrow.
            let told: BTreeSet<_> =
                planned.iter().filter(|p| p.is_told()).map(|p| p.delivery.id.recipient().clone()).collect();
            let told: Vec<_> = told.into_iter().collect();
            let lost = self.claim_told(tenant, &event.id, &about, &told).await?;
            let mut lost: BTreeSet<_> =
                told.into_iter().zip(lost).filter(|(_, lost)| *lost).map(|(key, _)| key).collect();
            if !lost.is_empty() {
                // Those whom the first planning found told already stay so.
                let known = State::Skipped(PlainReason::AlreadyTold.into());
                let before = planned.iter().filter(|p| p.delivery.state == known);
                lost.extend(before.map(|p| p.delivery.id.recipient().clone()));
                planned = self.plan_owed_page(tenant, event, route, page, &Told::Known(lost)).await?.planned;
            }
        }
        for one in &mut planned {
            one.delivery.spread = spread;
        }
        self.line_up(tenant, event, route, &mut planned).await?;
        let ids = planned.iter().map(|one| one.delivery.id.clone()).collect();
        self.store_and_queue(tenant, planned).await?;
        Ok(ids)
    }

    /// Writes what was decided: the feed's is settled by it, the others' goes to their queues.
    pub(crate) async fn store_and_queue(
        &self,
        tenant: &TenantId,
        planned: Vec<Planned>,
    ) -> Result<(), WorkError> {
        let (in_app, queued): (Vec<_>, Vec<_>) =
            planned.into_iter().partition(|one| one.send.is_some() && one.delivery.channel == Channel::InApp);
        let readers = in_app.iter().map(|one| one.delivery.id.recipient());
        let heads = self.inbox_heads(tenant, readers).await?;
        let stored = in_app.iter().zip(&heads).filter_map(|(one, head)| {
            let (_, message) = one.send.as_ref()?;
            Some(self.put_in_app(tenant, &one.delivery, message, head))
        });
        futures_util::future::try_join_all(stored).await?;
        self.create_and_queue(tenant, queued).await
    }

    /// Decides for a page of recipients. Changes nothing.
    pub(crate) async fn plan_page(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
        page: &[RecipientId],
        told: &Told,
    ) -> Result<Planning, WorkError> {
        let now = self.now();
        let owner = self.tenant(tenant).await?;
        let owner = owner.ok_or_else(|| WorkError::Unreadable(format!("there is no tenant {tenant}")))?;
        let (name, channels) = match (event.direct(), route) {
            (Some(direct), _) => direct,
            (None, Some(route)) => (&route.template, &route.channels),
            (None, None) => {
                return Err(WorkError::Unreadable(format!(
                    "there is no route for {}",
                    event.input.event_type
                )));
            }
        };
        let template = self.published_template(tenant, name).await?;
        let template = template
            .ok_or_else(|| WorkError::Unreadable(format!("there is no published template {name}")))?;
        let settings = self.settings(tenant).await?;
        let terms = Terms {
            switches: self.switches(tenant).await?,
            funds: self.funds(tenant).await?,
            ..Terms::new(&owner, event, route, &template, channels, &settings.preferences)
        };
        let brought = brought_people(&owner, event);
        let mut people = self.recipients(tenant, page).await?;
        for (id, (_, person)) in page.iter().zip(&mut people) {
            if person.is_none() {
                *person = brought.get(id).map(|r| StoredRecipient::one_off(id.clone(), r.clone()));
            }
        }
        let suppressed = self.suppressed_channels(tenant, channels.channels(), &people).await?;
        let told_before = match (told, route.and_then(|r| event.once_per(&r.once_per))) {
            (Told::Known(lost), _) => people.iter().map(|(key, _)| lost.contains(key)).collect(),
            (Told::Ask, Some(about)) => {
                let keys: Vec<_> = people.iter().map(|(key, _)| key.clone()).collect();
                self.was_told(tenant, &event.id, &about, &keys).await?
            }
            (Told::Ask, None) => vec![false; people.len()],
        };
        let windows = self.open_windows(tenant, &template, &people).await?;
        let forms = Forms::of(event, &owner, &people);
        let mut planning = Planning::default();
        for ((((id, (key, person)), suppressed), told_before), window_open) in
            page.iter().zip(&people).zip(&suppressed).zip(told_before).zip(windows)
        {
            let Some(person) = person else {
                planning.unknown.push(format!("recipient {key}"));
                continue;
            };
            let (person, preferences) = (&person.recipient, &person.preferences);
            let Some(event) = forms.form_for(event, person) else { continue };
            let terms = Terms {
                event,
                expires_at: event.input.expires_at.unwrap_or(terms.expires_at),
                ..terms.clone()
            };
            let acknowledge_url = &self.acknowledge_url(tenant, event, key);
            let reader = Reader {
                id,
                key,
                person,
                preferences,
                suppressed,
                told_before,
                window_open,
                acknowledge_url,
            };
            planning.planned.extend(plan::plan(&terms, self.renderer.as_ref(), &reader, now));
        }
        Ok(planning)
    }

    /// For each of these people the channels on which their address is suppressed.
    async fn suppressed_channels(
        &self,
        tenant: &TenantId,
        channels: &[Channel],
        people: &[(RecipientKey, Option<StoredRecipient>)],
    ) -> Result<Vec<Vec<Channel>>, StoreError> {
        let mut addresses = Vec::new();
        let mut whose = Vec::new();
        for (i, (_, person)) in people.iter().enumerate() {
            for channel in channels.iter().filter(|c| **c != Channel::InApp) {
                if let Some(address) = person.as_ref().and_then(|p| p.recipient.address(*channel)) {
                    addresses.push((*channel, address));
                    whose.push(i);
                }
            }
        }
        let mut suppressed = vec![Vec::new(); people.len()];
        let found = self.suppressed(tenant, &addresses).await?;
        for ((i, (channel, _)), _) in whose.into_iter().zip(addresses).zip(found).filter(|(_, found)| *found)
        {
            suppressed[i].push(channel);
        }
        Ok(suppressed)
    }

    /// Writes deliveries and queues those that are to be sent, also those that an earlier run wrote but did not queue.
    async fn create_and_queue(&self, tenant: &TenantId, mut planned: Vec<Planned>) -> Result<(), WorkError> {
        self.pace(tenant, planned.iter_mut().filter(|p| p.send.is_some()).map(|p| &mut p.delivery)).await?;
        for one in planned.iter_mut().filter(|p| p.delivery.state == State::Held(HeldReason::Pacing)) {
            one.send = None;
        }
        let waits = |d: &Delivery| d.state == State::Held(HeldReason::WindowClosed);
        for one in planned.iter().filter(|p| waits(&p.delivery)) {
            self.note_waiting(tenant, &one.delivery).await?;
        }
        let deliveries: Vec<&Delivery> = planned.iter().map(|p| &p.delivery).collect();
        let existing = self.create_deliveries(tenant, &deliveries).await?;
        let mut messages: BTreeMap<Queue, Vec<Message>> = BTreeMap::new();
        for (one, existing) in planned.into_iter().zip(existing) {
            let work = match (existing, one.send) {
                (None, Some((to, message))) => {
                    Some(DeliveryWork { tenant: tenant.clone(), delivery: one.delivery, to, message })
                }
                (None, None) => {
                    self.catch_open_window(tenant, one.delivery).await?;
                    None
                }
                (Some(existing), _) if waits(&existing) => {
                    self.catch_open_window(tenant, existing).await?;
                    None
                }
                (Some(existing), _) => self.stray(tenant, existing).await?,
            };
            if let Some(work) = work
                && let Some(queue) = queue_of(work.delivery.channel)
            {
                messages.entry(queue).or_default().push(self.queued(&work));
            }
        }
        for (queue, messages) in messages {
            self.queues.send(queue, messages).await?;
        }
        Ok(())
    }

    /// A delivery that an earlier run wrote and may not have queued: to be sent as it was planned, or ended if it is not
    /// wanted any more. None when there is nothing left to send.
    async fn stray(&self, tenant: &TenantId, existing: Delivery) -> Result<Option<DeliveryWork>, WorkError> {
        if existing.state != State::Pending || existing.calls > 0 {
            return Ok(None);
        }
        let state = match self.reproduce_to_send(tenant, &existing).await? {
            Reproduced::Message(to, message) => {
                return Ok(Some(DeliveryWork { tenant: tenant.clone(), delivery: existing, to, message }));
            }
            Reproduced::Unwanted(reason) => State::Skipped(reason),
            Reproduced::Impossible(reason, _) => State::Failed(reason),
        };
        let mut gone = ended(&existing, state, self.now());
        self.owe_fallback(tenant, &existing, &mut gone).await?;
        // Overtaken means that a worker has it after all.
        self.save_delivery(tenant, existing, gone).await?;
        Ok(None)
    }

    /// Looks after a planned event: who planned it may not have seen what another worker wrote and did not queue before it
    /// died.
    pub(crate) async fn look_for_strays(&self, tenant: &TenantId, id: &EventId) -> Result<(), WorkError> {
        if self.table.get(&keys::event_cancelled(tenant, id)).await?.is_some() {
            return self.cancel_if_asked(tenant, id).await;
        }
        self.queue_strays(tenant, id, &BTreeSet::new()).await.map(drop)
    }

    /// Queues what other runs of the same event wrote and may not have queued: for people who are not in its audience any
    /// more, or on channels that are not chosen any more. Answers how many deliveries are not this run's own.
    async fn queue_strays(
        &self,
        tenant: &TenantId,
        event: &EventId,
        own: &BTreeSet<DeliveryId>,
    ) -> Result<u32, WorkError> {
        let (mut after, mut others) = (None, 0);
        loop {
            let (page, next) = self.deliveries_of(tenant, event, PAGE, after).await?;
            for delivery in page.into_iter().filter(|d| !own.contains(&d.id)) {
                others += 1;
                if let Some(work) = self.stray(tenant, delivery).await?
                    && let Some(queue) = queue_of(work.delivery.channel)
                {
                    self.queues.send(queue, vec![self.queued(&work)]).await?;
                }
            }
            after = next;
            if after.is_none() {
                return Ok(others);
            }
        }
    }
}

/// What was decided for a page of recipients.
#[derive(Debug, Default)]
pub(crate) struct Planning {
    /// Deliveries, and what is to be sent.
    pub(crate) planned: Vec<Planned>,
    /// Ids that nobody goes by.
    pub(crate) unknown: Vec<String>,
}

/// Where planning learns who was told before.
pub(crate) enum Told {
    /// From the store.
    Ask,
    /// These were; the claims are made.
    Known(BTreeSet<RecipientKey>),
}

/// The people whom an event brings itself, by the ids that they have for its sake.
pub(crate) fn brought_people(owner: &Tenant, event: &Event) -> BTreeMap<RecipientId, Recipient> {
    let people = event.input.recipients.addresses.iter().enumerate().filter_map(|(i, address)| {
        // Checked at intake; an address that cannot be read now would be a fault of ours, and nobody can be told.
        Some((event.brought_id(i)?, address.recipient(Some(&owner.region)).ok()?))
    });
    people.collect()
}

/// The queue of a channel's worker; the feed has none.
#[must_use]
pub fn queue_of(channel: Channel) -> Option<Queue> {
    match channel {
        Channel::Whatsapp => Some(Queue::Whatsapp),
        Channel::Email => Some(Queue::Email),
        Channel::InApp => None,
    }
}

impl From<WorkError> for carillon_domain::Problem {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Store(store) => store.into(),
            WorkError::Unreadable(what) => Self::new(carillon_domain::ProblemKind::Invalid, what),
            WorkError::Queue(_) | WorkError::Leased(_) => StoreError::Unavailable(String::new()).into(),
        }
    }
}
