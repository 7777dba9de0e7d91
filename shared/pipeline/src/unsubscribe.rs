//! Unsubscribe links (RFC 8058): deliver puts one into the headers of every email that is not critical; whoever posts to
//! it gets no more email of that category. Reads and writes the recipient's preferences.

use carillon_domain::unsubscribe::UnsubscribeToken;
use carillon_domain::{Address, Category, Channel, Delivery, TenantId};

use crate::context::Pipeline;
use crate::ports::StoreError;

/// The reason of the suppression of a one-off address, for which no preferences are kept.
const UNSUBSCRIBED: &str = "unsubscribed";

impl Pipeline {
    /// The token of an email's unsubscribe link; none for what goes out whatever its reader prefers.
    pub(crate) fn unsubscribe_token(&self, tenant: &TenantId, delivery: &Delivery) -> Option<String> {
        if delivery.channel != Channel::Email || delivery.category == Category::Critical {
            return None;
        }
        let recipient = delivery.id.recipient().clone();
        let token = UnsubscribeToken { tenant: tenant.clone(), recipient, category: delivery.category };
        Some(token.text(&self.hash_key))
    }

    /// What a token stands for; none when it is not one of this deployment.
    #[must_use]
    pub fn read_unsubscribe_token(&self, text: &str) -> Option<UnsubscribeToken> {
        UnsubscribeToken::read(text, &self.hash_key)
    }

    /// Sends a recipient no more email of a category. Repeating it changes nothing; who is gone gets nothing anyway.
    pub async fn unsubscribe(&self, token: &UnsubscribeToken) -> Result<(), StoreError> {
        let UnsubscribeToken { tenant, recipient, category } = token;
        let refuse = |p: &mut carillon_domain::Preferences| p.refuse(*category, Channel::Email);
        let stored = self.change_preferences(tenant, recipient, refuse).await?;
        // A one-off person has preferences for one event only: their address is what has to be remembered.
        if let Some(email) = stored.filter(|s| s.one_off).and_then(|s| s.recipient.email) {
            self.suppress(tenant, Channel::Email, &Address::Email(email), UNSUBSCRIBED).await?;
        }
        tracing::info!(tenant.id = %tenant, recipient.key = %recipient, category = category.as_str(), "unsubscribed");
        Ok(())
    }
}
