//! What a delivery says, rendered again from the event, the recipient and the pinned template version. Nothing that was
//! rendered is stored, so the sweep and the log come here.

use carillon_domain::preferences::{Kind, is_wanted};
use carillon_domain::state::PlainReason;
use carillon_domain::{Address, Delivery, Reason, Rendered, TenantId};

use crate::context::Pipeline;
use crate::plan::{self, bounded};
use crate::ports::{RenderJob, StoreError};

/// A message again, or why it cannot be made any more.
#[derive(Debug)]
pub enum Reproduced {
    /// Where it goes and what is said.
    Message(Address, Rendered),
    /// It is not wanted any more, or its address is suppressed since.
    Unwanted(Reason),
    /// It cannot be said any more; the reason, and a note in words.
    Impossible(Reason, Option<String>),
}

impl Pipeline {
    /// A delivery's message again, for sending: unless its recipient has taken back their consent since.
    pub(crate) async fn reproduce_to_send(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<Reproduced, StoreError> {
        if let Some(stored) = self.stored_recipient(tenant, &delivery.recipient_id).await? {
            if !stored.recipient.active {
                return Ok(Reproduced::Unwanted(PlainReason::Inactive.into()));
            }
            let kind = Kind { category: delivery.category, channel: delivery.channel, reminder: None };
            if !is_wanted(&stored.preferences, &self.settings(tenant).await?.preferences, &kind) {
                return Ok(Reproduced::Unwanted(PlainReason::OptedOut.into()));
            }
            if let Some(address) = stored.recipient.address(delivery.channel)
                && self.suppressed(tenant, &[(delivery.channel, address)]).await?.contains(&true)
            {
                return Ok(Reproduced::Unwanted(PlainReason::Suppressed.into()));
            }
        }
        self.reproduce(tenant, delivery).await
    }

    /// Renders a delivery's message again.
    pub async fn reproduce(&self, tenant: &TenantId, delivery: &Delivery) -> Result<Reproduced, StoreError> {
        let gone = |what: &str| {
            Reproduced::Impossible(
                Reason::Rejected("template".to_owned()),
                Some(format!("{what} is not there any more")),
            )
        };
        let Some(owner) = self.tenant(tenant).await? else { return Ok(gone("the tenant")) };
        let Some(event) = self.event(tenant, &delivery.event_id).await? else { return Ok(gone("the event")) };
        let (Some(name), Some(version)) = (&delivery.template, delivery.version) else {
            return Ok(gone("the template"));
        };
        let Some(template) = self.template_version(tenant, name, version).await? else {
            return Ok(gone("the template version"));
        };
        let Some(stored) = self.stored_recipient(tenant, &delivery.recipient_id).await? else {
            return Ok(Reproduced::Impossible(
                PlainReason::NoAddress.into(),
                Some("the recipient was removed".to_owned()),
            ));
        };
        let recipient = &stored.recipient;
        let Some(address) = recipient.address(delivery.channel) else {
            return Ok(Reproduced::Impossible(PlainReason::NoAddress.into(), None));
        };
        let context = plan::context(&owner, &event, &delivery.recipient_id, recipient, delivery.created_at);
        let job = RenderJob {
            tenant: tenant.as_str(),
            template: &template,
            locale: delivery.locale.as_deref().unwrap_or_default(),
            channel: delivery.channel,
            window_open: false,
            context: &context,
        };
        Ok(match self.renderer.render(&job) {
            Ok(message) => Reproduced::Message(address, message),
            Err(error) => Reproduced::Impossible(
                Reason::Rejected("template".to_owned()),
                Some(bounded(&error.to_string())),
            ),
        })
    }
}
