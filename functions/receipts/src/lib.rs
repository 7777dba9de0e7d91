//! receipts: what providers said, from the receipts queue: pieces of Meta's webhooks and SES events from EventBridge.
//! Moves deliveries forward, matched by the token; opens windows and obeys STOP. It is the last stage of the send path,
//! but for what waited for a window: that goes back to the whatsapp queue.

pub mod config;
mod whatsapp;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use carillon_channels::{ParsedReceipt, Receipts, email};
use carillon_domain::TenantId;
use carillon_pipeline::record_receipt::{Receipt, Recorded};
use carillon_pipeline::{Pipeline, WorkError};
use carillon_runtime::batch;
use serde::Deserialize;
use serde_json::Value;

/// A message of the receipts queue.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Whatsapp { whatsapp: whatsapp::Change },
    Ses { detail: Value },
    Unreadable { unreadable: String },
}

/// Works a batch of the receipts queue.
pub async fn handle(pipeline: &Pipeline, event: SqsEvent) -> SqsBatchResponse {
    batch::each(event, |said: Said| async move { record(pipeline, said).await }).await
}

async fn record(pipeline: &Pipeline, said: Said) -> Result<(), WorkError> {
    match said {
        Said::Whatsapp { whatsapp: change } => whatsapp::record(pipeline, &change).await,
        Said::Ses { detail } => {
            let receipts = email::receipts::parse(&detail, pipeline.now());
            let Some(tenant) = receipts.tenant.as_deref().and_then(|t| t.parse::<TenantId>().ok()) else {
                tracing::info!("an SES event about an email that was not sent from here");
                return Ok(());
            };
            record_all(pipeline, &tenant, receipts).await
        }
        Said::Unreadable { unreadable } => {
            tracing::warn!(bytes = unreadable.len(), "a signed webhook was not readable");
            Ok(())
        }
    }
}

async fn record_all(pipeline: &Pipeline, tenant: &TenantId, said: Receipts) -> Result<(), WorkError> {
    for kind in &said.unknown {
        tracing::info!(tenant.id = %tenant, receipt.kind = %kind, "a receipt of a kind that means nothing here");
    }
    for parsed in said.receipts {
        let Some(receipt) = matched(parsed) else {
            tracing::info!(tenant.id = %tenant, "a receipt without a token of ours");
            continue;
        };
        // An error of the table repeats the whole message; what is recorded already stays as it is.
        if pipeline.record_receipt(tenant, &receipt).await? == Recorded::Unmatched {
            tracing::warn!(tenant.id = %tenant, delivery.id = %receipt.token.delivery, "a receipt for no delivery of the tenant");
        }
    }
    Ok(())
}

fn matched(parsed: ParsedReceipt) -> Option<Receipt> {
    let ParsedReceipt { token, provider_message_id, kind, at, code, meaning, detail, address, pricing } =
        parsed;
    Some(Receipt { token: token?, kind, at, provider_message_id, code, meaning, detail, address, pricing })
}
