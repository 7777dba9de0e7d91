//! sweep-due: each minute, moves on what waited for a time, and tells tenants of failures. Reads the indexes of what is due
//! and what failed; writes deliveries, puts them back on their queues, and accepts notices. The deliver functions and
//! fan-out come next.

pub mod config;

use carillon_domain::Sweep;
use carillon_pipeline::{Pipeline, WorkError};

/// Works everything that is due. A run that fails is repeated by the next minute's.
///
/// # Errors
/// When the table or a queue cannot be reached.
pub async fn handle(pipeline: &Pipeline) -> Result<(), WorkError> {
    let started_at = pipeline.now();
    let swept = pipeline.sweep_due().await?;
    tracing::info!(due.queued = swept.queued, due.ended = swept.ended, due.parked = swept.parked, "swept");
    pipeline.note_sweep(Sweep::Due, started_at).await?;
    let told = pipeline.tell_of_failures().await?;
    if told > 0 {
        tracing::info!(tenants.told = told, "told of failures");
    }
    Ok(())
}
