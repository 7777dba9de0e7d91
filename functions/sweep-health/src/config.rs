//! The environment variables of sweep-health.

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
        &[(Queue::Events, "CARILLON_EVENTS_QUEUE_URL", "where the events that tell of problems go")],
    )
}
