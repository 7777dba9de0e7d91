//! What Lambda's event source mapping does for a function that reports batch item failures: receives batches from a
//! queue, calls the handler, deletes what it handled and releases what it did not. Facts: AWS Lambda developer guide, "Using Lambda with Amazon SQS".

use std::collections::HashSet;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{LocalQueues, Received, Source};
use crate::journal::{JournalError, chain};

/// A failed message comes back after this much for each time it was received: soon enough for a developer who watches.
const RELEASE_STEP: Duration = Duration::from_millis(500);

/// No failed message waits longer.
const LONGEST_RELEASE: Duration = Duration::from_secs(5);

/// How long a poller waits after the journal failed it.
const JOURNAL_WAIT: Duration = Duration::from_secs(1);

/// Feeds a function from a queue or dead-letter queue until `shutdown` is true (or its sender is gone), then waits for the batches under
/// way. At most `concurrency` batches run at a time, and a message is only received when one can start.
///
/// A handler that answers an error, panics, or names a message that was not in its batch has failed the whole batch.
/// Dropping the future stops the batches where they are; their messages come back with the visibility timeout.
pub async fn poll<H, F, E>(
    queues: Arc<LocalQueues>,
    source: impl Into<Source>,
    batch_size: usize,
    concurrency: usize,
    mut shutdown: watch::Receiver<bool>,
    handler: H,
) where
    H: Fn(SqsEvent) -> F + Send + Sync + 'static,
    F: Future<Output = Result<SqsBatchResponse, E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let (handler, slots) = (Arc::new(handler), Arc::new(Semaphore::new(concurrency)));
    let mut batches = JoinSet::new();
    let source = source.into();
    // The work of a queue, for those who ask how many of its consumers sleep; that of a dead-letter queue is nobody's.
    let queue = (!source.dead).then_some(source.queue);
    if let Some(queue) = queue {
        queues.activity().limit(queue, concurrency);
    }
    while let Some(slot) = unless(&mut shutdown, Arc::clone(&slots).acquire_owned()).await {
        while batches.try_join_next().is_some() {}
        // Begun before anything is received, so that no message is in flight without somebody at work.
        let turn = queues.activity().begin(queue);
        // Not interruptible: what was received and then forgotten would only come back with its visibility timeout.
        let waited = match queues.receive(source, batch_size).await {
            Ok(batch) if batch.is_empty() => {
                drop((slot, turn));
                unless(&mut shutdown, queues.change_in(source)).await
            }
            Ok(batch) => {
                let (queues, handler) = (Arc::clone(&queues), Arc::clone(&handler));
                batches.spawn(async move {
                    turn.run(work(&queues, source, batch, &*handler)).await;
                    drop((slot, turn));
                });
                continue;
            }
            Err(error) => Some(Err(error)),
        };
        if let Some(Err(error)) = waited {
            tracing::error!(queue = source.name(), error = %chain(&error), "the queue cannot be read; tried again soon");
            unless(&mut shutdown, tokio::time::sleep(JOURNAL_WAIT)).await;
        }
    }
    while batches.join_next().await.is_some() {}
}

/// What the future comes to; none once `shutdown` is true or its sender is gone.
async fn unless<T>(shutdown: &mut watch::Receiver<bool>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = shutdown.wait_for(|stop| *stop) => None,
        done = future => Some(done),
    }
}

async fn work<H, F, E>(queues: &LocalQueues, source: Source, batch: Vec<Received>, handler: &H)
where
    H: Fn(SqsEvent) -> F,
    F: Future<Output = Result<SqsBatchResponse, E>>,
    E: Display,
{
    let mut event = SqsEvent::default();
    event.records = batch.iter().map(|message| record(source, message)).collect();
    // The call itself is inside the block, so that a panic before the first await is caught too.
    let answer = AssertUnwindSafe(async { handler(event).await }).catch_unwind().await;
    let failed = match answer {
        Ok(Ok(response)) => failures(&batch, &response),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it panicked".to_owned()),
    };
    let failed = failed.unwrap_or_else(|fault| {
        tracing::error!(queue = source.name(), %fault, messages = batch.len(), "the function failed its whole batch");
        batch.iter().map(|message| message.message_id.clone()).collect()
    });
    if let Err(error) = settle(queues, source, batch, &failed).await {
        let error = chain(&error);
        tracing::error!(queue = source.name(), error, "a batch was not settled; its messages come back");
    }
}

async fn settle(
    queues: &LocalQueues,
    source: Source,
    batch: Vec<Received>,
    failed: &HashSet<String>,
) -> Result<(), JournalError> {
    let (failed, done): (Vec<_>, Vec<_>) = batch.into_iter().partition(|m| failed.contains(&m.message_id));
    let done: Vec<_> = done.into_iter().map(|message| message.receipt_handle).collect();
    queues.delete(source, &done).await?;
    for message in failed {
        let after = LONGEST_RELEASE.min(RELEASE_STEP * message.receive_count);
        queues.release(source, &message.receipt_handle, after).await?;
    }
    Ok(())
}

/// Which messages the function did not handle.
fn failures(batch: &[Received], response: &SqsBatchResponse) -> Result<HashSet<String>, String> {
    let ids: HashSet<_> =
        response.batch_item_failures.iter().map(|item| item.item_identifier.clone()).collect();
    match ids.iter().find(|id| batch.iter().all(|message| message.message_id != **id)) {
        Some(id) => Err(format!("it reported {id:?}, which is not in the batch")),
        None => Ok(ids),
    }
}

fn record(source: Source, message: &Received) -> SqsMessage {
    let attributes = [
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        ("SentTimestamp", message.sent_at.as_millisecond().to_string()),
        ("MessageGroupId", message.group.clone()),
    ];
    let mut record = SqsMessage::default();
    record.message_id = Some(message.message_id.clone());
    record.receipt_handle = Some(message.receipt_handle.clone());
    record.body = Some(message.body.clone());
    record.attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    record.event_source = Some("aws:sqs".to_owned());
    record.event_source_arn = Some(source.arn());
    record.aws_region = Some("local".to_owned());
    record
}
