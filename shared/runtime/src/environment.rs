//! Configuration from environment variables, with an error that names what is missing and what it is for.

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
