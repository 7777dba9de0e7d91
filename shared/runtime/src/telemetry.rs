//! Logs: JSON lines on standard output, one fact each, with fields. `CARILLON_LOG` sets the levels, as
//! `tracing_subscriber`'s filters are written: `info`, or `warn,carillon_pipeline::deliver=debug`.

use tracing_subscriber::EnvFilter;

/// What is logged when nothing is set.
const DEFAULT: &str = "info";

/// Starts logging for a function; a second start changes nothing.
pub fn start() {
    let filter = crate::environment::optional("CARILLON_LOG").unwrap_or_else(|| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let started =
        tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_env_filter(filter);
    if started.try_init().is_err() {
        tracing::debug!("logging was started before");
    }
}
