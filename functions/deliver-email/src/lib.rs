//! deliver-email: takes deliveries from the email queue and makes one call to Amazon SES for each.
//! What the provider says later comes through EventBridge to receipts.

pub mod config;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use carillon_pipeline::ports::Provider;
use carillon_pipeline::{DeliveryWork, Pipeline};
use carillon_runtime::batch;

/// Works a batch of the email queue.
pub async fn handle(pipeline: &Pipeline, provider: &dyn Provider, event: SqsEvent) -> SqsBatchResponse {
    batch::together(event, |works: Vec<DeliveryWork>| async move { pipeline.deliver(provider, &works).await })
        .await
}
