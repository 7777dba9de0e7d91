//! A person's data, for themselves: who they are, what they want, their groups, and what they were told. Reads what lies
//! beside the person and renders again what was said; changes nothing.

use carillon_domain::{DeliveryId, Problem, RecipientId, RecipientKey, TenantId};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::ports::{Index, Query, StoreError};
use crate::store::keys;

/// How many of a person's items a page has.
const PAGE: usize = 100;

/// How many groups are named.
const GROUPS: usize = 1_000;

impl Pipeline {
    /// A page of a person's data, with where the next begins; none when there is nobody by that id.
    ///
    /// # Errors
    /// When the store cannot be reached, or the cursor is none.
    pub async fn export(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        cursor: Option<String>,
    ) -> Result<Option<Value>, Problem> {
        let Some(stored) = self.stored_recipient(tenant, id).await? else { return Ok(None) };
        let person = self.recipient_key(tenant, id);
        let page = self.table.query(&keys::everything_of(tenant, &person, PAGE, cursor)).await?;
        let told: Vec<DeliveryId> = page.items.iter().filter_map(|(key, _)| keys::delivery_id(key)).collect();
        let mut deliveries = Vec::with_capacity(told.len());
        for id in &told {
            deliveries.extend(self.delivery_view(tenant, id).await?);
        }
        let mut recipient = json!(stored.recipient);
        recipient["id"] = json!(id);
        Ok(Some(json!({
            "recipient": recipient,
            "preferences": stored.preferences,
            "groups": self.groups_of(tenant, &person).await?,
            "deliveries": deliveries,
            "next_cursor": page.next,
        })))
    }

    async fn groups_of(&self, tenant: &TenantId, person: &RecipientKey) -> Result<Vec<Value>, StoreError> {
        let partition = keys::partition(keys::memberships(tenant, person), GROUPS, None);
        let page = self.table.query(&Query { index: Index::ByParent, ..partition }).await?;
        let name = Index::ByParent.attributes().1;
        Ok(page.items.iter().filter_map(|(_, item)| item.get(name).cloned()).collect())
    }
}
