//! deliver-whatsapp: takes deliveries from the whatsapp queue and makes one call to Meta's Cloud API for each.
//! What the provider says later comes through webhooks to receipts.

pub mod config;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use carillon_pipeline::ports::Provider;
use carillon_pipeline::{DeliveryWork, Pipeline};
use carillon_runtime::batch;

/// Works a batch of the whatsapp queue.
pub async fn handle(pipeline: &Pipeline, provider: &dyn Provider, event: SqsEvent) -> SqsBatchResponse {
    batch::together(event, |works: Vec<DeliveryWork>| async move { pipeline.deliver(provider, &works).await })
        .await
}
