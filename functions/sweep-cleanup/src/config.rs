//! The environment variables of sweep-cleanup: those that every function has.

use carillon_aws::connect::Deployment;
use carillon_runtime::environment::{Missing, required};

/// Where this function's things are.
///
/// # Errors
/// When a variable is missing.
pub fn deployment() -> Result<Deployment, Missing> {
    Deployment::read(required, &[])
}
