//! dead-letter: takes what no worker could work from every dead-letter queue, records it, settles the delivery that it was
//! about, and only then lets the queue delete it. operate redrives the records; sweep-due tells the tenant.

pub mod config;

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use carillon_channels::email;
use carillon_domain::TenantId;
use carillon_pipeline::dead_letter::DeadMessage;
use carillon_pipeline::ports::Queue;
use carillon_pipeline::{Pipeline, WorkError};
use carillon_runtime::batch;
use serde_json::Value;

/// Which dead-letter queue, by its ARN, belongs to which queue.
pub type Sources = BTreeMap<String, Queue>;

/// Records a batch of a dead-letter queue.
pub async fn handle(pipeline: &Pipeline, sources: &Sources, event: SqsEvent) -> SqsBatchResponse {
    batch::raw(event, |message| record(pipeline, sources, message)).await
}

async fn record(pipeline: &Pipeline, sources: &Sources, message: SqsMessage) -> Result<(), WorkError> {
    let arn = message.event_source_arn.unwrap_or_default();
    let Some(queue) = sources.get(&arn).copied() else {
        return Err(WorkError::Unreadable(format!("no queue has the dead-letter queue {arn:?}")));
    };
    let body = message.body.unwrap_or_default();
    let tenant = if queue == Queue::Receipts { tenant_of_receipt(pipeline, &body).await? } else { None };
    let count = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let dead = DeadMessage {
        queue,
        message_id: message.message_id.unwrap_or_default(),
        body,
        receive_count: count.unwrap_or_default(),
        // EventBridge says so when it could not reach the queue itself.
        undelivered: message.message_attributes.contains_key("ERROR_CODE"),
        tenant,
    };
    pipeline.record_dead_letter(&dead).await.map(drop)
}

/// Whose receipt it is, as far as the provider's words say.
async fn tenant_of_receipt(pipeline: &Pipeline, body: &str) -> Result<Option<TenantId>, WorkError> {
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    let number = said["whatsapp"]["value"]["metadata"]["phone_number_id"].as_str();
    if let Some(number) = number {
        return Ok(pipeline.tenant_of_phone_number(number).await?.map(|tenant| tenant.as_ref().clone()));
    }
    let tenant = email::receipts::parse(&said["detail"], pipeline.now()).tenant;
    Ok(tenant.and_then(|tenant| tenant.parse().ok()))
}
