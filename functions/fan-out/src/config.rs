//! The environment variables of fan-out.

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
            (Queue::Events, "CARILLON_EVENTS_QUEUE_URL", "where the parts of a large audience go"),
            (Queue::Whatsapp, "CARILLON_WHATSAPP_QUEUE_URL", "where deliveries of the channel go"),
            (Queue::Email, "CARILLON_EMAIL_QUEUE_URL", "where deliveries of the channel go"),
        ],
    )
}
