//! The environment variables of jobs.

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
            (Queue::Jobs, "CARILLON_JOBS_QUEUE_URL", "where the next turn of a job goes"),
            (Queue::Events, "CARILLON_EVENTS_QUEUE_URL", "where redriven work goes"),
            (Queue::Whatsapp, "CARILLON_WHATSAPP_QUEUE_URL", "where redriven work goes"),
            (Queue::Email, "CARILLON_EMAIL_QUEUE_URL", "where redriven work goes"),
            (Queue::Receipts, "CARILLON_RECEIPTS_QUEUE_URL", "where redriven work goes"),
        ],
    )
}
