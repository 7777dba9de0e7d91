//! sweep-cleanup: once a day, removes what is older than its tenant keeps it. Reads the log of each tenant; removes events,
//! their deliveries and feed items, and closed deadlines. Nobody comes next: counters keep what was sent.

pub mod config;

use carillon_pipeline::sweeps::CleanupRun;
use carillon_pipeline::{Pipeline, WorkError};
use serde_json::Value;

/// Runs what a schedule is for; the deployment's own schedule gives no input that says whose, and means every tenant. A run
/// that fails is repeated; what it has not removed is removed by the next.
///
/// # Errors
/// When the table cannot be reached, or the input cannot be read.
pub async fn handle(pipeline: &Pipeline, input: Value) -> Result<(), WorkError> {
    let run: CleanupRun = match input {
        Value::Null => CleanupRun::default(),
        input => serde_json::from_value(input).map_err(|error| WorkError::Unreadable(error.to_string()))?,
    };
    let removed = pipeline.run_cleanup(&run).await?;
    tracing::info!(
        removed.events = removed.events,
        removed.deliveries = removed.deliveries,
        removed.inbox = removed.inbox,
        removed.deadlines = removed.deadlines,
        "what is too old was removed"
    );
    Ok(())
}
