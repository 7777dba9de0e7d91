//! What a delivery says, rendered again from the event, the recipient and the pinned template version. Nothing that was
//! rendered is stored, so the sweep and the log come here.

use carillon_domain::preferences::Kind;
use carillon_domain::state::PlainReason;
use carillon_domain::{Address, Channel, Delivery, Event, Form, LocaleParts, Reason, Rendered, TenantId};

use crate::consent::objection;
use crate::context::Pipeline;
use crate::plan::bounded;
use crate::ports::{RenderJob, StoreError};
use crate::variables;

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
        let Some(stored) = self.stored_recipient(tenant, &delivery.recipient_id).await? else {
            return self.reproduce(tenant, delivery).await;
        };
        let person = &stored.recipient;
        let address = person.address(delivery.channel);
        let suppressed = match &address {
            Some(address) => {
                self.suppressed(tenant, &[(delivery.channel, address.clone())]).await?.contains(&true)
            }
            None => false,
        };
        let settings = self.settings(tenant).await?;
        let kind = kind_of(delivery);
        match objection(person, &stored.preferences, &settings.preferences, suppressed, &kind) {
            None => {}
            Some(PlainReason::NoAddress) => {
                return Ok(Reproduced::Impossible(PlainReason::NoAddress.into(), None));
            }
            Some(reason) => return Ok(Reproduced::Unwanted(reason.into())),
        }
        let open = delivery.channel == Channel::Whatsapp
            && delivery.form != Some(Form::Template)
            && self.window_is_open(tenant, person).await?;
        self.reproduce_as(tenant, delivery, open).await
    }

    /// A delivery's message as it was said, or would be said if its window were as it was at the last call.
    pub async fn reproduce(&self, tenant: &TenantId, delivery: &Delivery) -> Result<Reproduced, StoreError> {
        self.reproduce_as(tenant, delivery, delivery.form == Some(Form::Text)).await
    }

    /// Renders a delivery's message again, for an open or a closed WhatsApp window. A text that has no approved template
    /// beside it is answered all the same: the last look before the call keeps it back.
    pub(crate) async fn reproduce_as(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        window_open: bool,
    ) -> Result<Reproduced, StoreError> {
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
        let told = self.told_events(tenant, delivery).await?;
        let others = if told.len() > 1 { self.events(tenant, &told).await? } else { Vec::new() };
        let mut events: Vec<&Event> = others.iter().flatten().collect();
        if events.is_empty() {
            events.push(&event);
        }
        // A digest is told by its last event, and when its window has ended.
        let last = events.last().copied().unwrap_or(&event);
        let window_end = delivery.digest.as_ref().filter(|mark| !mark.is_open()).map(|mark| mark.ends_at);
        let said_at = window_end.unwrap_or_else(|| variables::said_at(&event, delivery.created_at));
        let mut context = variables::context(&owner, last, &delivery.recipient_id, recipient, said_at);
        variables::tell_of(&mut context, &events);
        context["acknowledge_url"] = self.acknowledge_url(tenant, &event, delivery.id.recipient()).into();
        let locale = delivery.locale.as_deref().unwrap_or_default();
        let text_only = template.template.locales.get(locale).is_some_and(LocaleParts::needs_window);
        let job = RenderJob {
            tenant: tenant.as_str(),
            template: &template,
            locale,
            channel: delivery.channel,
            window_open: window_open || text_only,
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

/// What a delivery is, as preferences see it.
pub(crate) fn kind_of(delivery: &Delivery) -> Kind<'_> {
    Kind { category: delivery.category, channel: delivery.channel, reminder: delivery.reminder.as_deref() }
}
