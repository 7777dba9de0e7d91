//! [`Schedules`] on EventBridge Scheduler: one schedule of the stack's group for each of a tenant's, with the sweep's function
//! as its target.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_scheduler::operation::create_schedule::CreateScheduleError;
use aws_sdk_scheduler::types::{
    DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target,
};
use carillon_domain::Sweep;
use carillon_pipeline::ports::{Registration, ScheduleError, Schedules};

use crate::failure::describe;

/// A run is worth repeating for some minutes: then the deployment's own run makes up for it.
const REPEATED_FOR_S: i32 = 300;

/// How often a run that could not be started is tried again.
const REPEATS: i32 = 3;

/// What a stack's schedules have in common.
#[derive(Debug, Clone)]
pub struct ScheduleGroup {
    /// The group's name.
    pub name: String,
    /// The role that EventBridge Scheduler starts sweeps with.
    pub role_arn: String,
    /// Where a run goes that could not be started.
    pub dead_letter_arn: String,
    /// The functions of the sweeps.
    pub functions: BTreeMap<Sweep, String>,
}

impl ScheduleGroup {
    /// Reads a stack's group. `variable` reads an environment variable, given its name and what it is for.
    ///
    /// # Errors
    /// What `variable` says of one that is missing.
    pub fn read<E>(variable: impl Fn(&'static str, &'static str) -> Result<String, E>) -> Result<Self, E> {
        Ok(Self {
            name: variable("CARILLON_SCHEDULE_GROUP", "the group of tenants' schedules")?,
            role_arn: variable("CARILLON_SCHEDULE_ROLE_ARN", "the role that starts sweeps")?,
            dead_letter_arn: variable("CARILLON_SCHEDULE_DEAD_LETTER_ARN", "where runs go that never start")?,
            functions: BTreeMap::from([
                (Sweep::Due, variable("CARILLON_SWEEP_DUE_ARN", "the function that works what is due")?),
                (
                    Sweep::Reminders,
                    variable("CARILLON_SWEEP_REMINDERS_ARN", "the function that plans reminders")?,
                ),
                (
                    Sweep::Cleanup,
                    variable("CARILLON_SWEEP_CLEANUP_ARN", "the function that removes what is too old")?,
                ),
            ]),
        })
    }
}

/// The schedules of a stack.
#[derive(Debug, Clone)]
pub struct EventBridgeSchedules {
    client: Client,
    group: ScheduleGroup,
}

impl EventBridgeSchedules {
    /// The schedules of a group.
    #[must_use]
    pub fn new(client: Client, group: ScheduleGroup) -> Self {
        Self { client, group }
    }

    /// The same on a client of its own.
    #[must_use]
    pub fn from_config(config: &aws_config::SdkConfig, group: ScheduleGroup) -> Self {
        Self::new(Client::new(config), group)
    }

    fn target(&self, registration: &Registration) -> Result<Target, ScheduleError> {
        let sweep = registration.sweep;
        let unknown = || ScheduleError::Refused(format!("the function of {sweep} is not configured"));
        let function = self.group.functions.get(&sweep).ok_or_else(unknown)?;
        let retry = RetryPolicy::builder()
            .maximum_retry_attempts(REPEATS)
            .maximum_event_age_in_seconds(REPEATED_FOR_S)
            .build();
        let target = Target::builder()
            .arn(function)
            .role_arn(&self.group.role_arn)
            .input(registration.input.to_string())
            .retry_policy(retry)
            .dead_letter_config(DeadLetterConfig::builder().arn(&self.group.dead_letter_arn).build());
        target.build().map_err(|error| unwritable(&error))
    }

    /// Makes a schedule that is not there.
    async fn create(&self, registration: &Registration) -> Result<(), SdkError<CreateScheduleError>> {
        let (expression, zone) = registration.cadence.on_eventbridge(&registration.time_zone);
        let target = self.target(registration).map_err(SdkError::construction_failure)?;
        let call = self.client.create_schedule().group_name(&self.group.name).name(&registration.name);
        let call = call.schedule_expression(expression).schedule_expression_timezone(zone).target(target);
        call.flexible_time_window(to_the_minute().map_err(SdkError::construction_failure)?).send().await?;
        Ok(())
    }
}

fn to_the_minute() -> Result<FlexibleTimeWindow, BuildError> {
    FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build()
}

fn unwritable(error: &BuildError) -> ScheduleError {
    ScheduleError::Refused(format!("it could not be written: {error}"))
}

fn failed<E>(operation: &str, error: &SdkError<E>) -> ScheduleError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = describe(operation, error);
    match error.code() {
        Some("ValidationException" | "ServiceQuotaExceededException") => ScheduleError::Refused(text),
        _ => ScheduleError::Unavailable(text),
    }
}

#[async_trait]
impl Schedules for EventBridgeSchedules {
    async fn put(&self, registration: &Registration) -> Result<(), ScheduleError> {
        let (expression, zone) = registration.cadence.on_eventbridge(&registration.time_zone);
        let call = self.client.update_schedule().group_name(&self.group.name).name(&registration.name);
        let call = call.schedule_expression(expression).schedule_expression_timezone(zone);
        let call = call.target(self.target(registration)?);
        let window = to_the_minute().map_err(|error| unwritable(&error))?;
        match call.flexible_time_window(window).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                match self.create(registration).await {
                    // Two puts at once: the other one made it just now, of the same tenant and name.
                    Err(error) if error.code() == Some("ConflictException") => {
                        Err(ScheduleError::Unavailable(describe("CreateSchedule", &error)))
                    }
                    Err(error) => Err(failed("CreateSchedule", &error)),
                    Ok(()) => Ok(()),
                }
            }
            Err(error) => Err(failed("UpdateSchedule", &error)),
        }
    }

    async fn delete(&self, name: &str) -> Result<bool, ScheduleError> {
        match self.client.delete_schedule().group_name(&self.group.name).name(name).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(false),
            Err(error) => Err(failed("DeleteSchedule", &error)),
        }
    }

    async fn has(&self, name: &str) -> Result<bool, ScheduleError> {
        match self.client.get_schedule().group_name(&self.group.name).name(name).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(false),
            Err(error) => Err(failed("GetSchedule", &error)),
        }
    }
}
