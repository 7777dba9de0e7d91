//! sweep-health: every five minutes, looks after the health of every tenant. Reads counters, dead letters, credits and
//! schedules; writes readings and problems, and accepts an event for what admins have to hear. fan-out comes next.

pub mod config;

use carillon_pipeline::health::Watched;
use carillon_pipeline::{Pipeline, WorkError};

/// Looks after every tenant. A run that fails is made up for by the next one.
///
/// # Errors
/// When the table or the queue cannot be reached. The function's alarm says so then: no problem can be stored without it.
pub async fn handle(pipeline: &Pipeline) -> Result<Watched, WorkError> {
    let watched = pipeline.sweep_health().await?;
    tracing::info!(
        tenants.watched = watched.tenants,
        problems.opened = watched.opened,
        problems.resolved = watched.resolved,
        problems.open = watched.open,
        "health was looked after"
    );
    Ok(watched)
}
