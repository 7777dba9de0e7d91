//! What a tenant has settled for everybody: the preferences of those who said nothing, and the policies of sending.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_domain::health::Thresholds;
use carillon_domain::pacing::ChannelPace;
use carillon_domain::window::WindowReminder;
use carillon_domain::{Channel, InDoubtSettings, Preferences, Retention, RetrySchedule, TenantId};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{StoreError, Write};
use crate::retry_schedule::grace;

/// A tenant's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What those want who said nothing.
    #[serde(default)]
    pub preferences: Preferences,
    /// What becomes of deliveries in doubt.
    #[serde(default)]
    pub in_doubt: InDoubtSettings,
    /// How failed calls are repeated, by channel; the default schedule for those that are not named.
    #[serde(default)]
    pub retry: BTreeMap<Channel, RetrySchedule>,
    /// How fast each channel sends, where the deployment paces; the provider's default for those that are not named.
    #[serde(default)]
    pub pacing: BTreeMap<Channel, ChannelPace>,
    /// The web origins whose pages may read feeds and preferences from a browser.
    #[serde(default)]
    pub inbox_origins: Vec<String>,
    /// How many days what was sent is kept, by category.
    #[serde(default)]
    pub retention_days: Retention,
    /// From when on admins are told that something does not go well.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Who is told before a WhatsApp window closes, by which event; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_reminder: Option<WindowReminder>,
}

impl Settings {
    /// How a channel's failed calls are repeated.
    #[must_use]
    pub fn retry(&self, channel: Channel) -> RetrySchedule {
        self.retry.get(&channel).copied().unwrap_or(RetrySchedule::DEFAULT)
    }

    /// How long a delivery in doubt waits for a receipt.
    #[must_use]
    pub fn grace(&self, channel: Channel) -> SignedDuration {
        let set = self.in_doubt.grace_s.get(&channel).map(|s| SignedDuration::from_secs((*s).into()));
        set.unwrap_or_else(|| grace(channel))
    }
}

impl Pipeline {
    /// A tenant's settings, at most a moment old.
    pub async fn settings(&self, tenant: &TenantId) -> Result<Arc<Settings>, StoreError> {
        if let Some(settings) = self.remembered.settings.get(tenant, self.now()) {
            return Ok(settings);
        }
        let stored = self.table.get(&keys::settings(tenant)).await?.map(from_item).transpose()?;
        Ok(self.remembered.settings.put(tenant.clone(), stored.unwrap_or_default(), self.now()))
    }

    /// Stores a tenant's settings.
    pub async fn put_settings(&self, tenant: &TenantId, settings: &Settings) -> Result<(), StoreError> {
        let write = Write::Put { key: keys::settings(tenant), item: to_item(settings)?, only_if: Vec::new() };
        self.table.write(write).await?;
        self.remembered.settings.forget(tenant);
        Ok(())
    }
}
