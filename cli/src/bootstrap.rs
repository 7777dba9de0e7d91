//! `carillon bootstrap`: makes the secrets, the first tenant and its keys in a deployed stack, with the AWS credentials of
//! whoever runs it. It reads and writes the stack's table and SSM parameters; the keys are printed once and stored nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_aws::connect::{self, Deployment};
use carillon_aws::{SsmSecrets, clients};
use carillon_channels::MinijinjaRenderer;
use carillon_domain::{Scope, Tenant, TenantId};
use carillon_pipeline::bootstrap::{
    HASH_KEY, RECIPIENT_TOKEN_KEY, WHATSAPP_APP_SECRET, WHATSAPP_VERIFY_TOKEN, ensure_secret, rotate_secret,
};
use carillon_runtime::{SystemClock, SystemEntropy};
use serde_json::json;

use crate::outcome::{Done, Failure};

/// What is made, and where.
#[derive(Debug, clap::Args)]
pub struct Bootstrap {
    /// The stack's table: its output TableName.
    #[arg(long)]
    table: String,
    /// What the names of the stack's secrets begin with: its output SecretsPrefix.
    #[arg(long)]
    secrets_prefix: String,
    /// The id of the first tenant.
    #[arg(long, default_value = "main")]
    tenant: TenantId,
    /// The name of the first tenant, visible to templates; its id when absent.
    #[arg(long)]
    name: Option<String>,
    /// The locale of recipients who have none of their own.
    #[arg(long, default_value = "en")]
    locale: String,
    /// The IANA time zone of recipients who have none of their own.
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// The ISO country in which phone numbers without a country code are read.
    #[arg(long, default_value = "US")]
    region: String,
    /// Make further keys for a tenant that exists, for instance because the first ones were lost.
    #[arg(long)]
    new_keys: bool,
    /// Only make a new key that recipient tokens are signed with; tokens of the one before stay good until the next time.
    #[arg(long)]
    rotate_token_key: bool,
}

/// Makes everything. Answers what has to be written down.
pub async fn run(wanted: Bootstrap) -> Result<Done, Failure> {
    let config = clients::from_environment().await;
    let secrets = SsmSecrets::new(aws_sdk_ssm::Client::new(&config), wanted.secrets_prefix.clone());
    let shared = async |name| {
        ensure_secret(&secrets, &SystemEntropy, name).await.map_err(|e| refused("making a secret", &e))
    };
    shared(HASH_KEY).await?;
    shared(RECIPIENT_TOKEN_KEY).await?;
    if wanted.rotate_token_key {
        let rotated = rotate_secret(&secrets, &SystemEntropy, RECIPIENT_TOKEN_KEY).await;
        rotated.map_err(|e| refused("making a secret", &e))?;
        let text = "Recipient tokens are signed with a new key from now on.".to_owned();
        return Ok(Done { text, json: json!({"rotated": RECIPIENT_TOKEN_KEY}), found_fault: false });
    }
    let verify_token = shared(WHATSAPP_VERIFY_TOKEN).await?;
    let app_secret = shared(WHATSAPP_APP_SECRET).await?;
    let queue_urls = BTreeMap::new();
    // It renders nothing that could hold a link.
    let public_url = String::new();
    let (table, secrets_prefix) = (wanted.table, wanted.secrets_prefix);
    let deployment = Deployment { table, secrets_prefix, queue_urls, public_url };
    let local = connect::Local {
        renderer: Arc::new(MinijinjaRenderer::new()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let pipeline =
        connect::pipeline(&config, deployment, local).await.map_err(|e| refused("connecting", &e))?;
    let known = pipeline.tenant(&wanted.tenant).await.map_err(|e| refused("reading the tenant", &e))?;
    if known.is_some() && !wanted.new_keys {
        let detail = format!(
            "the tenant {} exists already; add --new-keys to make further keys for it",
            wanted.tenant
        );
        return Err(Failure::Fault(detail));
    }
    let tenant = Tenant {
        name: wanted.name.unwrap_or_else(|| wanted.tenant.to_string()),
        id: wanted.tenant,
        locale: wanted.locale,
        time_zone: wanted.time_zone,
        region: wanted.region,
    };
    if let Some(fault) = tenant.faults().into_iter().next() {
        let option = fault.pointer.trim_start_matches('/').replace('_', "-");
        return Err(Failure::Usage(format!("--{option} {}", fault.detail)));
    }
    pipeline.ensure_tenant(&tenant).await.map_err(|e| refused("making the tenant", &e))?;
    let key = async |name, scopes| {
        pipeline.make_key(&tenant.id, name, scopes).await.map_err(|e| refused("making a key", &e))
    };
    let made = json!({
        "tenant": tenant.id,
        "api_key": key("bootstrap producer", &[Scope::EventsWrite, Scope::Read]).await?,
        "admin_key": key("bootstrap admin", &Scope::ALL).await?,
        "whatsapp_verify_token": verify_token,
        "whatsapp_app_secret": app_secret,
    });
    let lines = made
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name:<22} {}", value.as_str().unwrap_or_default()));
    let text =
        format!("Write these down: they are shown only now.\n{}", lines.collect::<Vec<_>>().join("\n"));
    Ok(Done { text, json: made, found_fault: false })
}

fn refused(doing: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Fault(format!("{doing}: {error}"))
}
