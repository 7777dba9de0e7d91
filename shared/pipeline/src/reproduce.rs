//! What a delivery says, rendered again from the event, the recipient and the pinned template version. Nothing that was
//! rendered is stored, so the sweep and the log come here.

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
    /// It cannot be said any more; the reason, and a note in words.
    Impossible(Reason, Option<String>),
}

impl Pipeline {
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
        let Some(recipient) = self.recipient(tenant, &delivery.recipient_id).await? else {
            return Ok(Reproduced::Impossible(
                PlainReason::NoAddress.into(),
                Some("the recipient was removed".to_owned()),
            ));
        };
        let Some(address) = recipient.address(delivery.channel) else {
            return Ok(Reproduced::Impossible(PlainReason::NoAddress.into(), None));
        };
        let context = plan::context(&owner, &event, &delivery.recipient_id, &recipient, delivery.created_at);
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
