//! One change of a Meta webhook: statuses move deliveries, inbound messages open windows, and what Meta says about the
//! business account is kept for its tenants. What means nothing here is logged and done.

use carillon_channels::whatsapp;
use carillon_domain::{TenantId, Timestamp};
use carillon_pipeline::{Pipeline, WorkError};
use serde::Deserialize;
use serde_json::Value;

use crate::record_all;

/// One change of a webhook.
#[derive(Deserialize)]
pub(crate) struct Change {
    #[serde(default)]
    field: Value,
    #[serde(default)]
    value: Value,
    /// The business account, as the entry names it.
    #[serde(default)]
    waba: Value,
    /// When Meta made the entry, in seconds since 1970.
    #[serde(default)]
    time: Value,
    /// The tenant whose own Meta app it came from.
    app: Option<TenantId>,
}

pub(crate) async fn record(pipeline: &Pipeline, change: &Change) -> Result<(), WorkError> {
    let field = change.field.as_str().unwrap_or_default();
    if let Some(news) = whatsapp::account::parse(field, &change.value) {
        let at = change.time.as_i64().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(pipeline.now());
        for tenant in tenants_of_account(pipeline, change).await? {
            pipeline.record_account_news(&tenant, &news, at.min(pipeline.now())).await?;
        }
        return Ok(());
    }
    let number = change.value["metadata"]["phone_number_id"].as_str().unwrap_or_default();
    let tenant = pipeline.tenant_of_phone_number(number).await?;
    // Whoever signs with a tenant's own secret speaks of that tenant's numbers only.
    let tenant = tenant.filter(|tenant| change.app.as_ref().is_none_or(|app| *app == **tenant));
    let Some(tenant) = tenant else {
        tracing::warn!(webhook.field = %short(field), "a webhook names a number of no tenant");
        return Ok(());
    };
    // Likewise: an account that a tenant's own app names may be another's.
    let shared = change.app.is_none();
    if let Some(waba) = change.waba.as_str().filter(|id| shared && is_digits(id)) {
        pipeline.learn_business_account(&tenant, waba).await?;
    }
    record_all(pipeline, &tenant, whatsapp::receipts::parse(&change.value, pipeline.now())).await?;
    for inbound in whatsapp::inbound::parse(&change.value, pipeline.now()) {
        // An error repeats the whole piece; what is recorded already stays as it is.
        pipeline.record_inbound(&tenant, number, &inbound).await?;
    }
    Ok(())
}

/// Whom the business account of a change belongs to.
async fn tenants_of_account(pipeline: &Pipeline, change: &Change) -> Result<Vec<TenantId>, WorkError> {
    if let Some(app) = &change.app {
        return Ok(vec![app.clone()]);
    }
    match change.waba.as_str().filter(|id| is_digits(id)) {
        Some(waba) => Ok(pipeline.tenants_of_business_account(waba).await?),
        None => Ok(Vec::new()),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit())
}

fn short(field: &str) -> String {
    field.chars().filter(|c| !c.is_control()).take(40).collect()
}
