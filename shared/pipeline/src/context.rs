//! Everything a use case works with: the ports, the deployment's hash key, and what is remembered of the configuration.

use std::sync::Arc;

use carillon_domain::ids::HashKey;
use carillon_domain::{
    ApiKey, Channel, EventId, PolicyName, RecipientId, RecipientKey, ReminderPolicy, Route, TemplateName,
    TemplateVersion, Tenant, TenantId, Timestamp,
};

use crate::cache::Cache;
use crate::funds::SpentSince;
use crate::pace::Pace;
use crate::ports::{Account, Clock, Entropy, Queues, Renderer, Schedules, SecretValues, Secrets, Table};
use crate::store::credits::Bounds;
use crate::store::settings::Settings;
use crate::store::switches::SwitchList;
use crate::store::templates::TemplateHead;

/// How long changed configuration may go unnoticed by a function that has read it before.
pub const CONFIGURATION_TTL_MS: i64 = 2_000;

/// How long a revoked key may still be taken.
const KEY_TTL_MS: i64 = 5_000;

/// How long a changed secret may go unnoticed. Two values are live during a rotation, so an old one does no harm; the
/// secret store takes few reads a second.
pub const SECRET_TTL_MS: i64 = 30_000;

/// How long a web origin that a tenant has dropped may still read: what it reads still needs a token or a key.
const WEB_ORIGIN_TTL_MS: i64 = 300_000;

/// How long what was spent may be old, on top of what the counters are behind.
const SPENT_TTL_MS: i64 = 30_000;

/// A published version never changes; the limit only bounds memory.
const VERSION_TTL_MS: i64 = 3_600_000;

/// The ports and caches that every use case is given.
pub struct Pipeline {
    /// The one table.
    pub table: Arc<dyn Table>,
    /// The queues.
    pub queues: Arc<dyn Queues>,
    /// Provider tokens and other secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Templates to messages.
    pub renderer: Arc<dyn Renderer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What starts the sweeps of tenants' own schedules.
    pub schedules: Arc<dyn Schedules>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
    /// The secret of keyed hashes.
    pub hash_key: HashKey,
    /// Leases taken before this instant are over: set by a process that knows that every earlier worker is gone.
    pub leases_void_before: Option<Timestamp>,
    /// Whether channels are paced.
    pub pace: Pace,
    /// Where people reach this deployment without a key, for the links in messages.
    pub public_url: Option<String>,
    /// What was read a moment ago.
    pub remembered: Remembered,
}

/// The configuration that functions keep for [`CONFIGURATION_TTL_MS`].
pub struct Remembered {
    pub(crate) keys: Cache<String, ApiKey>,
    pub(crate) tenants: Cache<TenantId, Tenant>,
    pub(crate) routes: Cache<(TenantId, String), Route>,
    pub(crate) heads: Cache<(TenantId, TemplateName), TemplateHead>,
    pub(crate) versions: Cache<(TenantId, TemplateName, u32), TemplateVersion>,
    pub(crate) accounts: Cache<(TenantId, Channel), Account>,
    pub(crate) secrets: Cache<String, SecretValues>,
    pub(crate) settings: Cache<TenantId, Settings>,
    pub(crate) switches: Cache<Option<TenantId>, SwitchList>,
    pub(crate) bounds: Cache<TenantId, Bounds>,
    pub(crate) out_of_credits: Cache<TenantId, bool>,
    pub(crate) spent: Cache<TenantId, SpentSince>,
    pub(crate) phone_numbers: Cache<String, TenantId>,
    pub(crate) business_accounts: Cache<(TenantId, String), ()>,
    pub(crate) policies: Cache<(TenantId, PolicyName, u32), ReminderPolicy>,
    pub(crate) web_origins: Cache<(Option<TenantId>, String), ()>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            keys: Cache::new(KEY_TTL_MS),
            tenants: Cache::new(CONFIGURATION_TTL_MS),
            routes: Cache::new(CONFIGURATION_TTL_MS),
            heads: Cache::new(CONFIGURATION_TTL_MS),
            versions: Cache::new(VERSION_TTL_MS),
            accounts: Cache::new(CONFIGURATION_TTL_MS),
            secrets: Cache::new(SECRET_TTL_MS),
            settings: Cache::new(CONFIGURATION_TTL_MS),
            switches: Cache::new(CONFIGURATION_TTL_MS),
            bounds: Cache::new(CONFIGURATION_TTL_MS),
            out_of_credits: Cache::new(CONFIGURATION_TTL_MS),
            spent: Cache::new(SPENT_TTL_MS),
            phone_numbers: Cache::new(CONFIGURATION_TTL_MS),
            business_accounts: Cache::new(VERSION_TTL_MS),
            policies: Cache::new(VERSION_TTL_MS),
            web_origins: Cache::new(WEB_ORIGIN_TTL_MS),
        }
    }
}

impl Pipeline {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // Stored times are milliseconds: a value and what is read back of it must be equal.
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// The key that stands for a recipient of a tenant.
    #[must_use]
    pub fn recipient_key(&self, tenant: &TenantId, recipient: &RecipientId) -> RecipientKey {
        RecipientKey::of(&self.hash_key, tenant, recipient)
    }

    /// An id for an event without an idempotency key.
    #[must_use]
    pub fn random_event_id(&self) -> EventId {
        let mut bits = [0; 16];
        self.entropy.fill(&mut bits);
        EventId::from_random(bits)
    }

    /// A text that no other worker has, for a lease.
    #[must_use]
    pub fn random_owner(&self) -> String {
        let mut bits = [0; 8];
        self.entropy.fill(&mut bits);
        format!("{:016x}", u64::from_be_bytes(bits))
    }
}
