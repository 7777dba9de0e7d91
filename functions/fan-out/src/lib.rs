//! fan-out: takes accepted events from the events queue, decides who is told what, writes the deliveries and queues them.
//! deliver-whatsapp and deliver-email come next; the in-app feed is settled here.

pub mod config;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use carillon_pipeline::{EventWork, Pipeline};
use carillon_runtime::batch;

/// Works a batch of the events queue.
pub async fn handle(pipeline: &Pipeline, event: SqsEvent) -> SqsBatchResponse {
    batch::each(event, |work: EventWork| async move { pipeline.fan_out(&work).await }).await
}
