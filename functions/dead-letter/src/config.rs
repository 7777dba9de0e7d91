//! The environment variables of dead-letter.

use carillon_aws::connect::Deployment;
use carillon_pipeline::ports::Queue;
use carillon_runtime::environment::{Missing, required};

use crate::Sources;

/// Where this function's things are.
///
/// # Errors
/// When a variable is missing.
pub fn deployment() -> Result<Deployment, Missing> {
    Deployment::read(required, &[])
}

/// Which dead-letter queue belongs to which queue.
///
/// # Errors
/// When a variable is missing.
pub fn sources() -> Result<Sources, Missing> {
    let purpose = "the dead-letter queue of that queue";
    let variables = [
        (Queue::Events, "CARILLON_EVENTS_DEAD_LETTER_QUEUE_ARN"),
        (Queue::Whatsapp, "CARILLON_WHATSAPP_DEAD_LETTER_QUEUE_ARN"),
        (Queue::Email, "CARILLON_EMAIL_DEAD_LETTER_QUEUE_ARN"),
        (Queue::Receipts, "CARILLON_RECEIPTS_DEAD_LETTER_QUEUE_ARN"),
        (Queue::Jobs, "CARILLON_JOBS_DEAD_LETTER_QUEUE_ARN"),
    ];
    variables.into_iter().map(|(queue, variable)| Ok((required(variable, purpose)?, queue))).collect()
}
