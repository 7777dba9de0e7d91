//! The environment variables of deliver-whatsapp.

use carillon_aws::connect::Deployment;
use carillon_runtime::environment::{Missing, optional, required};

/// Where this function's things are.
///
/// # Errors
/// When a variable is missing.
pub fn deployment() -> Result<Deployment, Missing> {
    Deployment::read(required, &[])
}

/// Where Meta's Graph API is; another address in tests only.
#[must_use]
pub fn graph_url() -> String {
    optional("CARILLON_GRAPH_URL").unwrap_or_else(|| "https://graph.facebook.com".to_owned())
}
