//! The environment variables of sweep-due.

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
            (Queue::Events, "CARILLON_EVENTS_QUEUE_URL", "where work that is due goes"),
            (Queue::Whatsapp, "CARILLON_WHATSAPP_QUEUE_URL", "where work that is due goes"),
            (Queue::Email, "CARILLON_EMAIL_QUEUE_URL", "where work that is due goes"),
        ],
    )
}
