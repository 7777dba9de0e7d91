//! Who has been told about what they are told once (`once_per` of a route).

use carillon_domain::{EventId, RecipientKey, TenantId};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, Write};

#[derive(Serialize, Deserialize)]
struct Told {
    event_id: EventId,
}

impl Pipeline {
    /// Claims for an event that these recipients are told. Answers for each whether another event was first.
    pub(crate) async fn claim_told(
        &self,
        tenant: &TenantId,
        event: &EventId,
        about: &str,
        recipients: &[RecipientKey],
    ) -> Result<Vec<bool>, StoreError> {
        let item = to_item(&Told { event_id: event.clone() })?;
        let claim = |recipient| Write::Put {
            key: keys::told(tenant, recipient, about),
            item: item.clone(),
            only_if: vec![Check::Absent],
        };
        let answers = self.table.write_each(recipients.iter().map(claim).collect()).await;
        answers
            .into_iter()
            .map(|answer| match answer {
                Ok(_) => Ok(false),
                Err(StoreError::Conflict(Some(found))) => Ok(from_item::<Told>(found)?.event_id != *event),
                Err(error) => Err(error),
            })
            .collect()
    }

    /// Which of these recipients another event has told already.
    pub(crate) async fn was_told(
        &self,
        tenant: &TenantId,
        event: &EventId,
        about: &str,
        recipients: &[RecipientKey],
    ) -> Result<Vec<bool>, StoreError> {
        let keys: Vec<_> = recipients.iter().map(|recipient| keys::told(tenant, recipient, about)).collect();
        let items = self.table.get_many(&keys).await?;
        let other = |item: Option<_>| item.map(from_item::<Told>).transpose();
        items.into_iter().map(|item| Ok(other(item)?.is_some_and(|told| told.event_id != *event))).collect()
    }
}
