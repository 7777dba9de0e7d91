//! The environment variables of jobs.

use std::collections::BTreeMap;

use carillon_aws::connect::Deployment;
use carillon_pipeline::ports::Queue;
use carillon_runtime::environment::{Missing, required};

/// Where this function's things are.
///
/// # Errors
/// When a variable is missing.
pub fn deployment() -> Result<Deployment, Missing> {
    Ok(Deployment {
        table: required("CARILLON_TABLE", "the name of the DynamoDB table")?,
        secrets_prefix: required(
            "CARILLON_SECRETS_PREFIX",
            "what the names of the SSM parameters begin with",
        )?,
        queue_urls: BTreeMap::from([
            (Queue::Jobs, required("CARILLON_JOBS_QUEUE_URL", "where the next turn of a job goes")?),
            (Queue::Events, required("CARILLON_EVENTS_QUEUE_URL", "where redriven work goes")?),
            (Queue::Whatsapp, required("CARILLON_WHATSAPP_QUEUE_URL", "where redriven work goes")?),
            (Queue::Email, required("CARILLON_EMAIL_QUEUE_URL", "where redriven work goes")?),
            (Queue::Receipts, required("CARILLON_RECEIPTS_QUEUE_URL", "where redriven work goes")?),
        ]),
    })
}
