//! Who hears of an event: the ids and groups of the route and of the event, each recipient once.

use std::collections::BTreeSet;

use carillon_domain::{Audience, Event, GroupName, RecipientId, TenantId};

use crate::context::Pipeline;
use crate::ports::StoreError;

/// The people an event is for, and the names that lead to nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressed {
    /// Each once, by id.
    pub recipients: BTreeSet<RecipientId>,
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
        let mut groups: Vec<&GroupName> = targets.groups.iter().collect();
        addressed.recipients.extend(targets.ids.iter().cloned());
        addressed.recipients.extend((0..targets.addresses.len()).filter_map(|n| event.brought_id(n)));
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
        for group in groups {
            let members = self.all_members(tenant, group).await?;
            if members.is_empty() && self.group(tenant, group).await?.is_none() {
                addressed.unknown.push(format!("group {group}"));
            }
            addressed.recipients.extend(members);
        }
        Ok(addressed)
    }
}
