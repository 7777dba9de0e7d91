//! The environment variables of deliver-email.

use std::collections::BTreeMap;

use carillon_aws::connect::Deployment;

use carillon_runtime::environment::{Missing, optional, required};

/// Where this function's things are.
///
/// # Errors
/// When a variable is missing.
pub fn deployment() -> Result<Deployment, Missing> {
    Ok(Deployment {
        table: required("CARILLON_TABLE", "the name of the DynamoDB table")?,
        secrets_prefix: required(
            "CARILLON_SECRETS_PREFIX",
            "what the names of the SSM parameters begin with",
        )?,
        queue_urls: BTreeMap::new(),
    })
}

/// Where people reach the function inbox; without it emails have no unsubscribe link.
#[must_use]
pub fn public_url() -> Option<String> {
    let url = optional("CARILLON_PUBLIC_URL");
    if url.is_none() {
        tracing::warn!("CARILLON_PUBLIC_URL is not set: emails have no unsubscribe link");
    }
    url
}

/// Where SES is, if not where the SDK finds it; set in tests only.
#[must_use]
pub fn ses_url() -> Option<String> {
    optional("CARILLON_SES_URL")
}
