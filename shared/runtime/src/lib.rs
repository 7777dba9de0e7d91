//! What every function has in common and no use case knows: the HTTP edge, batches of queue messages, configuration,
//! telemetry, the clock. Functions read it; it calls the pipeline.

pub mod batch;
pub mod clock;
pub mod environment;
pub mod http;
pub mod outbound;
pub mod telemetry;

pub use clock::{SystemClock, SystemEntropy};
