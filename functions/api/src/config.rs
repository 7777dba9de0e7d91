//! The environment variables of api.

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
        &[
            (Queue::Events, "CARILLON_EVENTS_QUEUE_URL", "where the events of deadlines go"),
            (Queue::Jobs, "CARILLON_JOBS_QUEUE_URL", "where long work goes"),
        ],
    )
}
