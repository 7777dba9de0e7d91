//! The first things of a deployment: a tenant and the keys that act for it.

use carillon_domain::ids::{api_key_hash, api_key_text};
use carillon_domain::{ApiKey, KeyKind, Scope, Tenant, TenantId, Timestamp};

use crate::context::Pipeline;
use crate::ports::{Entropy, Secrets, StoreError};

/// The name of the secret that keyed hashes are made with.
pub const HASH_KEY: &str = "hash-key";
/// The name of the secret that recipient tokens are signed with.
pub const RECIPIENT_TOKEN_KEY: &str = "recipient-token-key";
/// The name of the secret that Meta signs webhooks with.
pub const WHATSAPP_APP_SECRET: &str = "whatsapp/app_secret";
/// The name of the word that Meta's handshake must bring.
pub const WHATSAPP_VERIFY_TOKEN: &str = "whatsapp/verify_token";

/// The value of a secret that is made once: read, or made now.
///
/// # Errors
/// When the secret store cannot be reached.
pub async fn ensure_secret(
    secrets: &dyn Secrets,
    entropy: &dyn Entropy,
    name: &str,
) -> Result<String, StoreError> {
    if let Some(value) = secrets.get(name).await?.into_iter().next() {
        return Ok(value);
    }
    let value = random_secret(entropy);
    secrets.put(name, std::slice::from_ref(&value)).await?;
    Ok(value)
}

/// Makes a new value for a secret; the one before it stays good until the next rotation.
///
/// # Errors
/// When the secret store cannot be reached.
pub async fn rotate_secret(
    secrets: &dyn Secrets,
    entropy: &dyn Entropy,
    name: &str,
) -> Result<(), StoreError> {
    let mut live = vec![random_secret(entropy)];
    live.extend(secrets.get(name).await?.into_iter().next());
    secrets.put(name, &live).await
}

fn random_secret(entropy: &dyn Entropy) -> String {
    let mut bits = [0; 20];
    entropy.fill(&mut bits);
    api_key_text("", &bits)
}

impl Pipeline {
    /// Makes a live key for a tenant. Answers its text, which is stored nowhere.
    pub async fn make_key(
        &self,
        tenant: &TenantId,
        name: &str,
        scopes: &[Scope],
    ) -> Result<String, StoreError> {
        let text = self.random_key_text(KeyKind::Live);
        self.put_key(tenant, name, &text, scopes).await?;
        Ok(text)
    }

    /// Stores a live key whose text the caller has. Repeating it changes nothing.
    pub async fn put_key(
        &self,
        tenant: &TenantId,
        name: &str,
        text: &str,
        scopes: &[Scope],
    ) -> Result<(), StoreError> {
        let hash = api_key_hash(text);
        let known = self.api_key(&hash).await?;
        let key = ApiKey {
            id: self.key_id(&hash),
            name: name.to_owned(),
            tenant: tenant.clone(),
            kind: KeyKind::Live,
            scopes: scopes.to_vec(),
            expires_at: None,
            created_at: known.and_then(|key| key.created_at).or_else(|| self.now_in_millis()),
        };
        self.put_api_key(&hash, &key).await
    }

    /// Now, as exactly as the API shows instants.
    pub(crate) fn now_in_millis(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.now().as_millisecond()).ok()
    }

    /// The text of a key that nobody has yet.
    pub(crate) fn random_key_text(&self, kind: KeyKind) -> String {
        let mut bits = [0; 20];
        self.entropy.fill(&mut bits);
        api_key_text(kind.prefix(), &bits)
    }

    /// The id of a key by its hash, which says nothing about either.
    pub(crate) fn key_id(&self, hash: &str) -> String {
        self.hash_key.hash(&["key", hash])
    }

    /// Makes a tenant unless there is one.
    pub async fn ensure_tenant(&self, tenant: &Tenant) -> Result<(), StoreError> {
        if self.tenant(&tenant.id).await?.is_some() {
            // It may be older than the list.
            return self.list_tenant(&tenant.id).await;
        }
        self.put_tenant(tenant).await.map(drop)
    }
}
