//! sweep-reminders: by its schedules, plans the reminders of open deadlines that fall due before the next run. Reads the
//! index of deadlines; accepts an event for each reminder, whose deliveries wait for their instant. fan-out comes next, and
//! sweep-due fires them.

pub mod config;

use carillon_pipeline::sweeps::RemindersRun;
use carillon_pipeline::{Pipeline, WorkError};
use serde_json::Value;

/// Runs what a schedule is for; the deployment's own schedule gives no input that says which, and means every tenant. A run
/// that fails is repeated, and made up for by the deployment's own.
///
/// # Errors
/// When the table or a queue cannot be reached, or the input cannot be read.
pub async fn handle(pipeline: &Pipeline, input: Value) -> Result<(), WorkError> {
    let run: RemindersRun = match input {
        Value::Null => RemindersRun::default(),
        input => serde_json::from_value(input).map_err(|error| WorkError::Unreadable(error.to_string()))?,
    };
    let planned = pipeline.sweep_reminders(&run).await?;
    tracing::info!(
        reminders.deadlines = planned.deadlines,
        reminders.planned = planned.reminders,
        reminders.failed = planned.failed,
        sweep.unfinished = planned.unfinished,
        "reminders were planned"
    );
    Ok(())
}
