//! What starts sweeps by the clock, where a tenant has schedules of its own. `carillon-aws` has it on EventBridge Scheduler,
//! `carillon-local` in memory. The deployment's own schedules are not set here: they are there from the start.

use async_trait::async_trait;
use carillon_domain::{Cadence, Sweep};
use serde_json::Value;

/// A sweep that is to be started again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// Its name: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// What is started.
    pub sweep: Sweep,
    /// When.
    pub cadence: Cadence,
    /// The IANA zone of the cadence's local times.
    pub time_zone: String,
    /// What the sweep is given.
    pub input: Value,
}

/// Why a schedule is not set.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScheduleError {
    /// Whatever keeps the schedules could not be reached, or refused for a reason that may pass.
    #[error("the schedules could not be reached: {0}")]
    Unavailable(String),
    /// It refused, or this function sets no schedules: repeating does not help.
    #[error("a schedule was refused: {0}")]
    Refused(String),
}

/// Starts sweeps by the clock: at least once for each time, possibly late, possibly twice.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Sets a schedule, or replaces the one of that name. MUST be idempotent.
    async fn put(&self, registration: &Registration) -> Result<(), ScheduleError>;

    /// Takes a schedule away. Answers whether there was one.
    async fn delete(&self, name: &str) -> Result<bool, ScheduleError>;

    /// Whether there is a schedule of that name.
    async fn has(&self, name: &str) -> Result<bool, ScheduleError>;
}

/// For functions that set no schedules.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSchedules;

fn nobody() -> ScheduleError {
    ScheduleError::Refused("this function sets no schedules".to_owned())
}

#[async_trait]
impl Schedules for NoSchedules {
    async fn put(&self, _: &Registration) -> Result<(), ScheduleError> {
        Err(nobody())
    }

    async fn delete(&self, _: &str) -> Result<bool, ScheduleError> {
        Err(nobody())
    }

    async fn has(&self, _: &str) -> Result<bool, ScheduleError> {
        Err(nobody())
    }
}
