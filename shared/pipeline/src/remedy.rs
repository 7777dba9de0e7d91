//! What an error asks for beyond moving its delivery: others wait, a recipient is not written to any more, a person
//! hears of it. Everything here may be repeated. Called by deliver and record-receipt before they store the state.

use carillon_domain::{Address, Category, Channel, Delivery, TenantId};

use crate::context::Pipeline;
use crate::judge::Verdict;
use crate::ports::{RefusalScope, Remedy, StoreError};

/// After so many messages that met nobody an address is suppressed.
const UNREACHABLE_TIMES: u32 = 3;

impl Pipeline {
    /// Carries out what a verdict asks for.
    pub(crate) async fn carry_out(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        to: &Address,
        verdict: &Verdict,
    ) -> Result<(), StoreError> {
        let channel = delivery.channel;
        if let Some(pause) = verdict.pause {
            let whom = (pause.scope == RefusalScope::Pair).then_some(to);
            self.put_pause(tenant, channel, whom, pause.reason, pause.until).await?;
            if whom.is_none() {
                self.pace_from(tenant, channel, pause.until).await?;
            }
        }
        match verdict.remedy {
            Some(Remedy::NoMoreMarketing) => self.no_more_marketing(tenant, delivery).await?,
            Some(Remedy::CountUnreachable) => self.count_unreachable(tenant, delivery, to).await?,
            // Said by the delivery's own state.
            Some(Remedy::AsTemplate | Remedy::TemplatePaused) | None => {}
        }
        if verdict.alert {
            let attempt = verdict.after.attempts.get(&delivery.calls);
            // The alarm of the same name counts these lines.
            tracing::error!(
                tenant.id = %tenant,
                delivery.id = %delivery.id,
                channel = channel.as_str(),
                provider.code = attempt.and_then(|a| a.code.as_deref()),
                alert = "provider_refused",
                "the provider refuses for a reason that a person has to look at"
            );
        }
        Ok(())
    }

    async fn no_more_marketing(&self, tenant: &TenantId, delivery: &Delivery) -> Result<(), StoreError> {
        let id = &delivery.recipient_id;
        let Some(stored) = self.stored_recipient(tenant, id).await? else { return Ok(()) };
        let mut preferences = stored.preferences;
        preferences.refuse(Category::Marketing, delivery.channel);
        self.put_preferences(tenant, id, &preferences).await.map(drop)
    }

    async fn count_unreachable(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        to: &Address,
    ) -> Result<(), StoreError> {
        let channel: Channel = delivery.channel;
        if self.add_unreachable(tenant, channel, to, &delivery.id).await? >= UNREACHABLE_TIMES {
            self.suppress(tenant, channel, to, "unreachable").await?;
        }
        Ok(())
    }
}
