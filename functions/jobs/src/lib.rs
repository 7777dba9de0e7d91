//! jobs: takes turns of long work from the jobs queue, works some steps of each, stores how far it is, and queues the next
//! turn. Whoever asks for the job at api comes next.

pub mod config;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use carillon_pipeline::{JobWork, Pipeline};
use carillon_runtime::batch;

/// Works a batch of the jobs queue.
pub async fn handle(pipeline: &Pipeline, event: SqsEvent) -> SqsBatchResponse {
    batch::each(event, |work: JobWork| async move { pipeline.work_job(&work).await }).await
}
