//! The one HTTP client for providers. No retries and no redirects: a call is made once, and what becomes of it is decided
//! by the pipeline.

use std::time::Duration;

/// A client for provider calls; made once per process, so that connections are kept.
///
/// # Errors
/// When TLS cannot be set up.
#[expect(clippy::disallowed_methods, reason = "this is the one place that makes a client")]
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("carillon/", env!("CARGO_PKG_VERSION")))
        .build()
}
