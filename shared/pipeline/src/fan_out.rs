//! fan-out: reads an accepted event, decides who is told what, writes the deliveries and puts each on its channel's
//! queue; the in-app feed is settled here. Repeating it changes nothing: ids are deterministic and writes conditional.
//! deliver-whatsapp and deliver-email come next.

use std::collections::BTreeMap;

use carillon_domain::{Channel, Delivery, Event, RecipientId, Route, State, TenantId};

use crate::context::Pipeline;
use crate::plan::{self, Planned, Terms};
use crate::ports::{Message, Queue, StoreError};
use crate::store::events::EventPlan;
use crate::work::{DeliveryWork, EventWork, WorkError};

/// How many recipients are read, decided, written and queued at a time: what bounds the memory of a large audience.
const PAGE: usize = 100;

impl Pipeline {
    /// Fans out one event.
    ///
    /// # Errors
    /// When the table or a queue cannot be reached; the queue repeats the message, and what is done stays done.
    pub async fn fan_out(&self, work: &EventWork) -> Result<(), WorkError> {
        let tenant = &work.tenant;
        if self.event_plan(tenant, &work.event_id).await?.is_some() {
            return Ok(());
        }
        let Some(event) = self.event(tenant, &work.event_id).await? else {
            return Err(WorkError::Unreadable(format!("there is no event {}", work.event_id)));
        };
        let route = self.route(tenant, &event.input.event_type).await?;
        let addressed = self.addressed(tenant, &event, route.as_ref().map(|r| &r.audience)).await?;
        let mut unknown = addressed.unknown;
        let ids: Vec<RecipientId> = addressed.recipients.into_iter().collect();
        let mut planned = 0;
        for page in ids.chunks(PAGE) {
            planned += self.fan_out_page(tenant, &event, route.as_deref(), page, &mut unknown).await?;
        }
        for name in &unknown {
            tracing::warn!(tenant.id = %tenant, event.id = %event.id, missing = %name, "the audience names what does not exist");
        }
        let plan = EventPlan { planned_at: self.now(), planned, unknown };
        self.put_event_plan(tenant, &event.id, &plan).await?;
        tracing::info!(tenant.id = %tenant, event.id = %event.id, deliveries.planned = planned, "event planned");
        Ok(())
    }

    async fn fan_out_page(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
        page: &[RecipientId],
        unknown: &mut Vec<String>,
    ) -> Result<u32, WorkError> {
        let (planned, missing) = self.plan_page(tenant, event, route, page).await?;
        unknown.extend(missing);
        let count = u32::try_from(planned.len()).unwrap_or(u32::MAX);
        let mut in_app = Vec::new();
        let mut queued = Vec::new();
        for one in planned {
            match (&one.send, one.delivery.channel) {
                (Some((_, message)), Channel::InApp) => in_app.push((one.delivery.clone(), message.clone())),
                _ => queued.push(one),
            }
        }
        for written in
            futures_util::future::join_all(in_app.iter().map(|(d, m)| self.put_in_app(tenant, d, m))).await
        {
            written?;
        }
        self.create_and_queue(tenant, queued).await?;
        Ok(count)
    }

    /// Decides for a page of recipients. Answers the deliveries and the ids that nobody goes by.
    pub(crate) async fn plan_page(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
        page: &[RecipientId],
    ) -> Result<(Vec<Planned>, Vec<String>), WorkError> {
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
        let terms = Terms::new(&owner, event, route, &template, channels);
        let mut planned = Vec::new();
        let mut missing = Vec::new();
        for (id, (key, recipient)) in page.iter().zip(self.recipients(tenant, page).await?) {
            match recipient {
                Some(recipient) => {
                    planned.extend(plan::plan(&terms, self.renderer.as_ref(), id, &key, &recipient, now));
                }
                None => missing.push(format!("recipient {key}")),
            }
        }
        Ok((planned, missing))
    }

    /// Writes deliveries and queues those that are to be sent, also those that an earlier run wrote but did not queue.
    async fn create_and_queue(&self, tenant: &TenantId, planned: Vec<Planned>) -> Result<(), WorkError> {
        let deliveries: Vec<&Delivery> = planned.iter().map(|p| &p.delivery).collect();
        let existing = self.create_deliveries(tenant, &deliveries).await?;
        let mut messages: BTreeMap<Queue, Vec<Message>> = BTreeMap::new();
        for (one, existing) in planned.into_iter().zip(existing) {
            let delivery = existing.unwrap_or(one.delivery);
            let Some((to, message)) = one.send else { continue };
            if delivery.state != State::Pending {
                continue;
            }
            if let Some(queue) = queue_of(delivery.channel) {
                let work = DeliveryWork { tenant: tenant.clone(), delivery, to, message };
                messages.entry(queue).or_default().push(work.message());
            }
        }
        for (queue, messages) in messages {
            self.queues.send(queue, messages).await?;
        }
        Ok(())
    }
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
