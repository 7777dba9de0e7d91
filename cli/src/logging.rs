//! Logs of the cloud inside this process, for a person, on standard error; results are on standard output.

use tracing_subscriber::EnvFilter;

use crate::arguments::Logging;
use crate::outcome::Failure;

/// The embedded store warns of every condition that does not hold, which is what conditions are for.
const QUIETER: &str = "dynoxide=error";

/// Starts logging.
///
/// # Errors
/// When the filter is none, which the command line has checked before.
pub fn start(logging: &Logging) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(format!("{QUIETER},{}", logging.filter));
    let filter = filter.map_err(|error| Failure::Usage(format!("--log: {error}")))?;
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    started.map_err(|error| Failure::Fault(format!("logging cannot be started: {error}")))
}
