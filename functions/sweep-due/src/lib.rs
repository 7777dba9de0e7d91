//! sweep-due: each minute, moves on what waited for a time. Reads the due index; writes deliveries and puts them back on
//! their queues. The deliver functions come next.

pub mod config;

use carillon_pipeline::{Pipeline, WorkError};

/// Works everything that is due. A run that fails is repeated by the next minute's.
///
/// # Errors
/// When the table or a queue cannot be reached.
pub async fn handle(pipeline: &Pipeline) -> Result<(), WorkError> {
    let swept = pipeline.sweep_due().await?;
    tracing::info!(due.queued = swept.queued, due.ended = swept.ended, due.parked = swept.parked, "swept");
    Ok(())
}
