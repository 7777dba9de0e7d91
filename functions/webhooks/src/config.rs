//! The environment variables of webhooks.

use carillon_aws::connect::Deployment;
use carillon_pipeline::ports::Queue;
use carillon_runtime::environment::{Missing, required};

/// Where this function's things are.
///
/// # Errors
/// When a variable is missing.
pub fn deployment() -> Result<Deployment, Missing> {
    Deployment::read(
        required,
        &[(Queue::Receipts, "CARILLON_RECEIPTS_QUEUE_URL", "where verified webhooks go")],
    )
}
