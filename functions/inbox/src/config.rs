//! The environment variables of inbox.

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
        &[(Queue::Jobs, "CARILLON_JOBS_QUEUE_URL", "where the rest of a long acknowledgement goes")],
    )
}
