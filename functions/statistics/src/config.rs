//! The environment variables of statistics. It needs no secret and sends to no queue.

use carillon_runtime::environment::{Missing, required};

/// The name of the table.
///
/// # Errors
/// When the variable is missing.
pub fn table() -> Result<String, Missing> {
    required("CARILLON_TABLE", "the name of the DynamoDB table")
}
