//! statistics: reads the table's stream and counts what became of deliveries. Writes counters, together with how far it came,
//! so that a batch that comes twice counts once. Nothing comes next: the API reads the counters, and so do budgets.

pub mod config;

use carillon_domain::Timestamp;
use carillon_pipeline::ports::{StoreError, Table};
use serde_json::{Value, json};

/// Counts the changes of an event of the stream.
///
/// # Errors
/// When the table cannot be reached: the stream repeats the batch, in halves, and what is counted stays counted.
pub async fn handle(table: &dyn Table, event: &Value, now: Timestamp) -> Result<Value, StoreError> {
    let batch = carillon_aws::stream::changes(event);
    let counters = carillon_pipeline::statistics::count(table, &batch, now).await?;
    if counters > 0 {
        tracing::info!(stream.shard = %batch.shard, stream.records = batch.changes.len(), counters, "counted");
    }
    // A mapping with a tumbling window, which is what names the shard, wants a state back.
    Ok(json!({"state": {}, "batchItemFailures": []}))
}
