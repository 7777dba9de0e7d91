//! The environment variables of deliver-whatsapp.

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

/// Where Meta's Graph API is; another address in tests only.
#[must_use]
pub fn graph_url() -> String {
    optional("CARILLON_GRAPH_URL").unwrap_or_else(|| "https://graph.facebook.com".to_owned())
}
