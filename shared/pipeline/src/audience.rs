//! Who hears of an event: the ids and groups of the route and of the event, each recipient once. A small audience is
//! read whole; a large one is left in its groups, which fan-out works in parts.

use std::collections::BTreeSet;

use carillon_domain::{Audience, Event, GroupName, RecipientId, TenantId};

use crate::context::Pipeline;
use crate::ports::StoreError;

/// Up to so many recipients an event is fanned out at once; above it, in parts.
pub(crate) const SMALL_AUDIENCE: usize = 1_000;

/// The people an event is for, and the names that lead to nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressed {
    /// Each once, by id. For a large audience only those who are named one by one.
    pub recipients: BTreeSet<RecipientId>,
    /// The groups of a large audience, whose members are not read.
    pub large: Vec<GroupName>,
    /// Groups and event fields that a route names and that do not exist: `group Sales`, `field data.customer_id`.
    pub unknown: Vec<String>,
}

impl Pipeline {
    /// Resolves an event's audience.
    pub async fn addressed(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Audience>,
    ) -> Result<Addressed, StoreError> {
        let targets = &event.input.recipients;
        let mut addressed = Addressed::default();
        let mut groups: BTreeSet<&GroupName> = targets.groups.iter().collect();
        addressed.recipients.extend(targets.ids.iter().cloned());
        addressed.recipients.extend((0..targets.addresses.len()).filter_map(|n| event.brought_id(n)));
        // A step of an escalation tells its own people.
        let route = event.escalates.as_ref().map(|escalates| &escalates.audience).or(route);
        if let Some(audience) = route.filter(|_| !targets.replace) {
            addressed.recipients.extend(audience.ids.iter().cloned());
            groups.extend(&audience.groups);
            for path in &audience.from_event {
                match event.text_at(path).and_then(|text| RecipientId::try_from(text).ok()) {
                    Some(id) => drop(addressed.recipients.insert(id)),
                    None => addressed.unknown.push(format!("field {path}")),
                }
            }
        }
        let names: Vec<GroupName> = groups.iter().map(|group| (*group).clone()).collect();
        for group in self.unknown_groups(tenant, &names).await? {
            addressed.unknown.push(format!("group {group}"));
            groups.retain(|known| **known != group);
        }
        let mut members = BTreeSet::new();
        for group in &groups {
            let few = self.few_members(tenant, group, SMALL_AUDIENCE).await?;
            let large = few.is_none();
            members.extend(few.unwrap_or_default());
            if large || members.len() + addressed.recipients.len() > SMALL_AUDIENCE {
                addressed.large = groups.into_iter().cloned().collect();
                return Ok(addressed);
            }
        }
        addressed.recipients.extend(members);
        Ok(addressed)
    }

    /// Whether somebody is among the people an event is for.
    pub(crate) async fn is_addressed(
        &self,
        tenant: &TenantId,
        addressed: &Addressed,
        id: &RecipientId,
    ) -> Result<bool, StoreError> {
        if addressed.recipients.contains(id) {
            return Ok(true);
        }
        for group in &addressed.large {
            if self.is_member(tenant, group, id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Some of the people an event is for, in the order of their ids: all of a small audience.
    pub(crate) async fn some_addressed(
        &self,
        tenant: &TenantId,
        addressed: &Addressed,
        at_most: usize,
    ) -> Result<Vec<RecipientId>, StoreError> {
        let mut some = addressed.recipients.clone();
        for group in &addressed.large {
            if some.len() < at_most {
                some.extend(self.members(tenant, group, at_most, None).await?.0);
            }
        }
        Ok(some.into_iter().take(at_most).collect())
    }
}
