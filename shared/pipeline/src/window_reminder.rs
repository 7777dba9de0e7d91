//! Tells somebody before a WhatsApp window closes, where a tenant's settings say so: sweep-due comes here when it is time,
//! and one event of the tenant's own type is accepted for each window. Its route says who is told. accept comes next.

use carillon_domain::{ProblemKind, RecipientId, TenantId, Timestamp};
use serde_json::json;

use crate::context::Pipeline;
use crate::due::Swept;
use crate::failure_notices::{SOURCE, ourselves};
use crate::ports::StoreError;
use crate::store::windows::{Window, addresses};
use crate::work::WorkError;

impl Pipeline {
    /// Notes on a window that has just been opened, or kept open, when somebody is to be told that it closes, and whose
    /// it is. Nobody can be told of somebody who is in no directory.
    pub(crate) async fn to_be_reminded(
        &self,
        tenant: &TenantId,
        from: &[carillon_domain::Address],
        mut window: Window,
    ) -> Result<Window, StoreError> {
        let settings = self.settings(tenant).await?;
        window.owner = match &settings.window_reminder {
            Some(_) => self.owner_of(tenant, from).await?,
            None => None,
        };
        let due_at = settings.window_reminder.as_ref().map(|reminder| reminder.due_at(window.until));
        window.remind_at = due_at.filter(|_| window.owner.is_some());
        Ok(window)
    }

    /// Tells of a window that is about to close. Done again, late or by two at a time, it makes the same event.
    pub(crate) async fn sweep_window(
        &self,
        tenant: &TenantId,
        number: &str,
        address_hash: &str,
    ) -> Result<Swept, WorkError> {
        let Some(before) = self.window_of(tenant, number, address_hash).await? else {
            return Ok(Swept::default());
        };
        let (Some(_), Some(owner)) = (before.remind_at, before.owner.clone()) else {
            return Ok(Swept::default());
        };
        let settings = self.settings(tenant).await?;
        let now = self.now();
        let due_at = settings.window_reminder.as_ref().map(|reminder| reminder.due_at(before.until));
        // The settings, or a message since, may have moved it.
        let later = due_at.filter(|at| *at > now);
        let mut swept = Swept { ended: 1, ..Swept::default() };
        if let (Some(reminder), None) = (&settings.window_reminder, later)
            && before.until > now
            && self.closes_at(tenant, number, &owner).await? == Some(before.until)
        {
            self.accept_reminder(tenant, &owner, number, reminder.event_type.as_str(), before.until).await?;
            swept = Swept { queued: 1, ..Swept::default() };
        }
        let mut after = before.clone();
        after.remind_at = later;
        // Overtaken by a message that moved it: it stands in the index with its new time.
        self.replace_window(tenant, number, address_hash, Some(&before), after).await?;
        Ok(swept)
    }

    /// When the window between a number and a person closes, whichever of their addresses they wrote from.
    async fn closes_at(
        &self,
        tenant: &TenantId,
        number: &str,
        owner: &RecipientId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Some(person) = self.recipient(tenant, owner).await? else { return Ok(None) };
        self.window_until(tenant, number, &addresses(&person)).await
    }

    async fn accept_reminder(
        &self,
        tenant: &TenantId,
        owner: &RecipientId,
        number: &str,
        event_type: &str,
        closes_at: Timestamp,
    ) -> Result<(), StoreError> {
        let name = self.recipient(tenant, owner).await?.map(|person| person.name);
        // One event for each window: somebody may have written from two addresses at once.
        let id =
            format!("window-{number}-{}-{}", self.recipient_key(tenant, owner), closes_at.as_millisecond());
        let body = json!({
            "type": event_type, "source": SOURCE, "id": id, "subject": owner, "expires_at": closes_at,
            "data": {"contact_id": owner, "contact_name": name, "closes_at": closes_at},
        });
        match self.accept(&ourselves(tenant), body, None).await {
            Ok(accepted) => {
                tracing::info!(tenant.id = %tenant, event.id = %accepted.event_id, "a window is about to close");
                Ok(())
            }
            Err(problem) if problem.kind == ProblemKind::Unavailable => {
                Err(StoreError::Unavailable(problem.detail))
            }
            Err(problem) => {
                // Such as a type without a route: trying again helps nobody.
                tracing::error!(tenant.id = %tenant, problem = %problem.detail, "nobody could be told that a window closes");
                Ok(())
            }
        }
    }
}
