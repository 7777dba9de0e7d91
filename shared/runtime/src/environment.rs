//! Configuration from environment variables, with an error that names what is missing and what it is for.

use carillon_pipeline::pace::Pace;

/// A variable that is not there.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} is not set: {purpose}")]
pub struct Missing {
    name: &'static str,
    purpose: &'static str,
}

/// A variable that must be set.
///
/// # Errors
/// When it is missing or empty.
pub fn required(name: &'static str, purpose: &'static str) -> Result<String, Missing> {
    optional(name).ok_or(Missing { name, purpose })
}

/// A variable that may be set; empty counts as not set.
#[must_use]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable with a value that means nothing.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} cannot be read: {fault}")]
pub struct Unreadable {
    name: &'static str,
    fault: String,
}

/// Whether the deployment paces its channels: `CARILLON_PACE`, `off` when it is not set.
///
/// # Errors
/// When it is something else than `off` or `meta`.
pub fn pace() -> Result<Pace, Unreadable> {
    let name = "CARILLON_PACE";
    let set = optional(name).map_or(Ok(Pace::Off), |text| text.parse());
    set.map_err(|fault| Unreadable { name, fault })
}
