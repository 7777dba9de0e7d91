//! The use cases of Carillon in flow order, on ports: accept, fan-out, deliver, record a receipt, look after what is
//! due, and what the API reads and writes. Nothing here knows AWS, HTTP or a provider.

pub mod accept;
pub mod apply_pack;
pub mod audience;
pub mod authenticate;
pub mod bootstrap;
pub mod cache;
pub mod configure;
pub mod configure_tenant;
mod consent;
pub mod context;
pub mod dead_letter;
pub mod deliver;
pub mod due;
pub mod explain;
mod fallback;
pub mod failure_notices;
pub mod fan_out;
pub mod inbound;
pub mod issue_key;
pub mod jobs;
mod judge;
mod normalise;
mod last_look;
pub mod parts;
pub mod people;
pub mod plan;
pub mod ports;
pub mod preview;
pub mod read;
pub mod record_receipt;
pub mod redrive;
pub mod refusal;
mod remedy;
pub mod reproduce;
pub mod retry_schedule;
pub mod revive;
pub mod store;
pub mod unsubscribe;
pub mod work;

pub use context::Pipeline;
pub use work::{DeliveryWork, EventWork, JobWork, WorkError};
