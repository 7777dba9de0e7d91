//! The environment variables of deliver-email.

use carillon_aws::connect::Deployment;
use carillon_runtime::environment::{Missing, optional, required};

/// Where this function's things are.
///
/// # Errors
/// When a variable is missing.
pub fn deployment() -> Result<Deployment, Missing> {
    Deployment::read(required, &[])
}

/// Where SES is, if not where the SDK finds it; set in tests only.
#[must_use]
pub fn ses_url() -> Option<String> {
    optional("CARILLON_SES_URL")
}
