//! The pipeline's ports on AWS: [`DynamoTable`] is the one table, [`SqsQueues`] the queues, [`SsmSecrets`] the secrets,
//! [`EventBridgeSchedules`] what starts sweeps.
//! Read [`clients`] for how an SDK client is configured; `carillon_pipeline::ports` says what each adapter owes.

pub mod clients;
pub mod connect;
mod failure;
mod queues;
mod schedules;
mod secrets;
pub mod stream;
mod table;

pub use queues::SqsQueues;
pub use schedules::{EventBridgeSchedules, ScheduleGroup};
pub use secrets::SsmSecrets;
pub use table::{DynamoTable, ensure_table};
