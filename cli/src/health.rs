//! `carillon health`: whether the cloud answers, and its version. Needs no key.

use crate::client::Client;
use crate::log::field;
use crate::outcome::{Done, Failure};

/// Asks.
///
/// # Errors
/// When the cloud answers that it is not well, or not at all.
pub async fn health(client: &Client) -> Result<Done, Failure> {
    let json = client.get("/health").await?;
    let text = format!("{}: {}, version {}", client.url(), field(&json, "status"), field(&json, "version"));
    Ok(Done { found_fault: json["status"] != "ok", text, json })
}
