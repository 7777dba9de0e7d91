//! Who the cloud is: its tenants, keys and numbers, made once, kept among the secrets, the same at every later start.

use carillon_domain::ids::api_key_text;
use carillon_domain::{Channel, KeyKind, Problem, Scope, Tenant, TenantId};
use carillon_pipeline::Pipeline;
use carillon_pipeline::bootstrap::{
    RECIPIENT_TOKEN_KEY, WHATSAPP_APP_SECRET, WHATSAPP_VERIFY_TOKEN, ensure_secret,
};
use carillon_pipeline::ports::StoreError;
use serde::Serialize;
use serde_json::json;

/// The id of the first tenant.
const FIRST_TENANT: &str = "dev";

/// What a client needs to know; the content of the ready file.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// The API.
    pub url: String,
    /// A live key with `events:write` and `read`.
    pub api_key: String,
    /// A live key with every scope.
    pub admin_key: String,
    /// The tenant of both keys.
    pub tenant: String,
    /// The console.
    pub console: String,
    /// The page of what the fake providers received.
    pub outbox: String,
    /// The WhatsApp number's id.
    pub phone_number_id: String,
    /// What Meta's handshake must bring.
    pub whatsapp_verify_token: String,
    /// What webhooks are signed with.
    pub whatsapp_app_secret: String,
}

/// A tenant and its keys.
#[derive(Debug, Clone, Serialize)]
pub struct TenantAccess {
    /// Its id.
    pub tenant: String,
    /// A live key with `events:write` and `read`.
    pub api_key: String,
    /// A live key with every scope.
    pub admin_key: String,
    /// Its WhatsApp number's id.
    pub phone_number_id: String,
}

/// Why there is no tenant.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The channels.
    #[error("{}", .0.detail)]
    Problem(Problem),
}

impl From<Problem> for IdentityError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

pub(super) async fn first_tenant(pipeline: &Pipeline, url: &str) -> Result<Ready, IdentityError> {
    let id: TenantId =
        FIRST_TENANT.parse().map_err(|_| StoreError::Refused("the first tenant's id".to_owned()))?;
    let access = tenant(pipeline, &id, "Dev").await?;
    let shared = |name| ensure_secret(pipeline.secrets.as_ref(), pipeline.entropy.as_ref(), name);
    shared(RECIPIENT_TOKEN_KEY).await?;
    Ok(Ready {
        url: url.to_owned(),
        api_key: access.api_key,
        admin_key: access.admin_key,
        tenant: access.tenant,
        console: format!("{url}/console"),
        outbox: format!("{url}/dev/outbox"),
        phone_number_id: access.phone_number_id,
        whatsapp_verify_token: shared(WHATSAPP_VERIFY_TOKEN).await?,
        whatsapp_app_secret: shared(WHATSAPP_APP_SECRET).await?,
    })
}

/// A tenant with keys, and with channels on whatever providers the cloud has. Repeating it changes nothing.
pub(super) async fn tenant(
    pipeline: &Pipeline,
    id: &TenantId,
    name: &str,
) -> Result<TenantAccess, IdentityError> {
    let tenant = Tenant {
        id: id.clone(),
        name: name.to_owned(),
        locale: "en".to_owned(),
        time_zone: "UTC".to_owned(),
        region: "US".to_owned(),
    };
    pipeline.ensure_tenant(&tenant).await?;
    let api_key = kept_key(pipeline, id, "api_key", &[Scope::EventsWrite, Scope::Read]).await?;
    let admin_key = kept_key(pipeline, id, "admin_key", &Scope::ALL).await?;
    let phone_number_id = kept_number(pipeline, id).await?;
    if pipeline.channel_configuration(id, Channel::Whatsapp).await?.is_none() {
        let body = json!({"phone_number_id": phone_number_id, "token": "dev-token"});
        pipeline.configure_channel(id, Channel::Whatsapp, body).await?;
    }
    if pipeline.channel_configuration(id, Channel::Email).await?.is_none() {
        let body = json!({"from": format!("\"{}\" <notifications@{id}.example.com>", name.replace(['"', '\\'], ""))});
        pipeline.configure_channel(id, Channel::Email, body).await?;
    }
    Ok(TenantAccess { tenant: id.to_string(), api_key, admin_key, phone_number_id })
}

async fn kept_key(
    pipeline: &Pipeline,
    id: &TenantId,
    name: &str,
    scopes: &[Scope],
) -> Result<String, StoreError> {
    let secret = format!("{id}/dev/{name}");
    let known = pipeline.secrets.get(&secret).await?.into_iter().next();
    let text = if let Some(text) = known {
        text
    } else {
        let mut bits = [0; 20];
        pipeline.entropy.fill(&mut bits);
        let text = api_key_text(KeyKind::Live.prefix(), &bits);
        pipeline.secrets.put(&secret, std::slice::from_ref(&text)).await?;
        text
    };
    // Written at every start: a kill between the two writes of the first one must not leave a key that opens nothing.
    pipeline.put_key(id, name, &text, scopes).await?;
    Ok(text)
}

async fn kept_number(pipeline: &Pipeline, id: &TenantId) -> Result<String, StoreError> {
    let secret = format!("{id}/dev/phone_number_id");
    if let Some(known) = pipeline.secrets.get(&secret).await?.into_iter().next() {
        return Ok(known);
    }
    let mut bits = [0; 8];
    pipeline.entropy.fill(&mut bits);
    // Fifteen digits, as Meta's ids have.
    let number = (100_000_000_000_000 + u64::from_be_bytes(bits) % 900_000_000_000_000).to_string();
    pipeline.secrets.put(&secret, std::slice::from_ref(&number)).await?;
    Ok(number)
}
