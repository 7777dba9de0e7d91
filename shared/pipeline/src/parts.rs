//! A large audience in parts: fan-out cuts each group into ranges of members, queues a message for each, and works them
//! side by side. Memory does not grow with the audience; a part that is worked twice repeats nothing; the last one to
//! finish completes the event.

use carillon_domain::{Event, EventId, GroupName, Priority, Route, TenantId};
use serde::{Deserialize, Serialize};

use crate::context::Pipeline;
use crate::fan_out::PAGE;
use crate::ports::{Message, Queue, StoreError};
use crate::store::events::EventPlan;
use crate::work::{EventWork, WorkError};

/// How many members a part has when it is cut.
const MEMBERS_A_PART: usize = 500;

/// How many messages are sent at a time while a group is cut.
const SENT_AT_ONCE: usize = 50;

/// A range of a group's members: everybody above `after`, up to and with `to`. A range, not a count: who joins while
/// the event is planned falls into some part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The cutting that it comes from; a cutting that was interrupted is made again under another name.
    pub cutting: String,
    /// Its number in the cutting, from 0.
    pub number: u32,
    /// The group.
    pub group: GroupName,
    /// Above this member; from the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Up to this member; to the last when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Pipeline {
    /// Cuts the groups of a large audience, queues the parts, and notes how many there are.
    pub(crate) async fn cut(
        &self,
        tenant: &TenantId,
        event: &Event,
        groups: &[GroupName],
        priority: Priority,
        unknown: Vec<String>,
    ) -> Result<(), WorkError> {
        let cutting = self.random_owner();
        let mut messages: Vec<Message> = Vec::new();
        let mut number = 0;
        for group in groups {
            let mut walk = self.walk_members(tenant, group, None, None, MEMBERS_A_PART);
            let mut after: Option<String> = None;
            loop {
                let last = walk.next_page().await?.pop();
                let to = if walk.has_more().await? { last.map(String::from) } else { None };
                let part =
                    Part { cutting: cutting.clone(), number, group: group.clone(), after, to: to.clone() };
                let work = EventWork { tenant: tenant.clone(), event_id: event.id.clone(), part: Some(part) };
                messages.push(work.message(priority));
                number += 1;
                if messages.len() >= SENT_AT_ONCE {
                    self.queues.send(Queue::Events, std::mem::take(&mut messages)).await?;
                }
                after = to;
                if after.is_none() {
                    break;
                }
            }
        }
        if !messages.is_empty() {
            self.queues.send(Queue::Events, messages).await?;
        }
        // Only now: who finds this note knows that every part is in the queue.
        self.put_cut(tenant, &event.id, &Cut { cutting, parts: number, unknown }).await?;
        self.complete_if_all_done(tenant, event).await
    }

    /// Works one part.
    pub(crate) async fn fan_out_part(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
        part: &Part,
        cancelled: bool,
    ) -> Result<(), WorkError> {
        if cancelled {
            self.put_part_done(tenant, &event.id, part).await?;
        } else if !self.part_is_done(tenant, &event.id, part).await? {
            let (after, to) = (part.after.as_deref(), part.to.as_deref());
            let mut walk = self.walk_members(tenant, &part.group, after, to, MEMBERS_A_PART);
            loop {
                let members = walk.next_page().await?;
                for page in members.chunks(PAGE) {
                    // Members who do not exist were checked when they were added; one who is gone since is nobody.
                    self.fan_out_page(tenant, event, route, page, true, &mut Vec::new()).await?;
                }
                if members.is_empty() {
                    break;
                }
            }
            self.put_part_done(tenant, &event.id, part).await?;
        }
        self.complete_if_all_done(tenant, event).await
    }

    async fn complete_if_all_done(&self, tenant: &TenantId, event: &Event) -> Result<(), WorkError> {
        let id = &event.id;
        let Some(cut) = self.cut_of(tenant, id).await? else { return Ok(()) };
        let done = self.parts_done(tenant, id, &cut.cutting).await?;
        if done < cut.parts {
            return Ok(());
        }
        // Before it is complete: a run that is cut short goes on.
        self.take_back_if_not_owed(tenant, event).await?;
        let planned = self.count_deliveries_of(tenant, id).await?;
        let plan = EventPlan { planned_at: self.now(), planned, unknown: cut.unknown };
        self.put_event_plan(tenant, id, &plan).await?;
        self.cancel_if_asked(tenant, id).await?;
        tracing::info!(tenant.id = %tenant, event.id = %id, deliveries.planned = planned, parts = cut.parts, "event planned");
        Ok(())
    }

    /// How far a large event is: parts done, and parts in all.
    pub(crate) async fn progress_of(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Option<(u32, u32)>, StoreError> {
        let Some(cut) = self.cut_of(tenant, id).await? else { return Ok(None) };
        Ok(Some((self.parts_done(tenant, id, &cut.cutting).await?, cut.parts)))
    }
}

/// That an event's audience was cut, and into how many parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// The cutting that counts.
    pub(crate) cutting: String,
    /// How many parts it has.
    pub(crate) parts: u32,
    /// What was wrong with the audience.
    #[serde(default)]
    pub(crate) unknown: Vec<String>,
}
