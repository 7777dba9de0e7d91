//! What the pipeline needs from outside, as small traits. `carillon-aws` has them on DynamoDB, SQS and SSM,
//! `carillon-channels` on the providers, `carillon-local` on an embedded cloud. Each page says what an implementation
//! owes; where a caller must not ignore an answer, it is an enum.

mod provider;
mod queues;
mod renderer;
mod schedules;
mod table;

use async_trait::async_trait;
use carillon_domain::Timestamp;

pub use crate::refusal::{Meaning, Refusal, RefusalClass, RefusalScope, Remedy};
pub use provider::{Account, Answer, Call, Provider};
pub use queues::{Message, Queue, QueueError, Queues};
pub use renderer::{RenderError, RenderJob, Renderer};
pub use schedules::{NoSchedules, Registration, ScheduleError, Schedules};
pub use table::{Check, Index, Item, Key, Page, Query, StoreError, Table, TransactError, Write};

/// A secret's values, newest first; two may be live during a rotation.
pub type SecretValues = Vec<String>;

/// Secrets by name, such as `hash-key` or `acme/whatsapp/token`. SSM SecureStrings under the deployment's prefix.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The live values; empty when there is no such secret.
    async fn get(&self, name: &str) -> Result<SecretValues, StoreError>;

    /// Makes or replaces a secret.
    async fn put(&self, name: &str, values: &[String]) -> Result<(), StoreError>;
}

/// What time it is.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Returns when the clock has reached an instant. Every wait of a worker goes through here, so that a clock that is
    /// moved by hand moves waits too.
    async fn sleep_until(&self, at: Timestamp) {
        let wait = u64::try_from(at.as_millisecond() - self.now().as_millisecond()).unwrap_or(0);
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    }

    /// Returns when this much of the clock's own time has passed.
    async fn sleep(&self, wait: std::time::Duration) {
        self.sleep_until(self.now().saturating_add(wait).unwrap_or(Timestamp::MAX)).await;
    }
}

/// Where random bits come from.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}
