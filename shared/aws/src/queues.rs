//! [`Queues`] on SQS: messages are packed into batches, sent side by side, and each entry's own answer is read, because
//! `SendMessageBatch` answers 200 for a batch that it refused in part.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use carillon_pipeline::ports::{Message, Queue, QueueError, Queues};
use futures_util::{StreamExt, stream};

use self::batch::{batches, legal};
use crate::failure::{describe, pause};

mod batch;
#[cfg(test)]
mod tests;

/// How often the refused entries of a batch are sent again.
const RESENDS: u32 = 3;

/// Enough to hide the round trip of a large fan-out chunk.
const BATCHES_IN_FLIGHT: usize = 8;

/// The queues of a deployment.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: Client,
    urls: BTreeMap<Queue, String>,
}

impl SqsQueues {
    /// The queues at these URLs; a function names only those that it sends to.
    #[must_use]
    pub fn new(client: Client, urls: BTreeMap<Queue, String>) -> Self {
        Self { client, urls }
    }

    /// Sends one batch until all of it is in the queue, or some of it never will be.
    async fn send_batch(&self, queue: Queue, url: &str, messages: Vec<Message>) -> Result<(), QueueError> {
        let refused = |reason: String| QueueError { queue, reason };
        let entries: Result<Vec<_>, _> =
            messages.into_iter().enumerate().map(|(at, m)| entry(at, m)).collect();
        let mut left = entries.map_err(|error| refused(format!("it could not be written: {error}")))?;
        let mut our_fault = None;
        let mut resend = 0;
        loop {
            let sent =
                self.client.send_message_batch().queue_url(url).set_entries(Some(left.clone())).send().await;
            let answer = sent.map_err(|error| refused(describe("SendMessageBatch", &error)))?;
            let (ours, passing): (Vec<_>, Vec<_>) =
                answer.failed.into_iter().partition(|failed| failed.sender_fault);
            // A message that is never taken must not keep its neighbours from another try.
            our_fault = our_fault.or_else(|| ours.into_iter().next().map(|failed| failed.code));
            left.retain(|entry| passing.iter().any(|failed| failed.id == entry.id));
            match passing.first() {
                None => return our_fault.map_or(Ok(()), |code| Err(refused(code))),
                Some(failed) if resend == RESENDS => {
                    return Err(refused(format!("{} after {RESENDS} resends", failed.code)));
                }
                Some(_) => pause(resend).await,
            }
            resend += 1;
        }
    }
}

/// A message as an entry of its batch. The id only has to be unique within it.
fn entry(
    at: usize,
    Message { body, group, delay_s }: Message,
) -> Result<SendMessageBatchRequestEntry, BuildError> {
    SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_body(body)
        .message_group_id(group)
        .set_delay_seconds(i32::try_from(delay_s).ok().filter(|s| *s > 0))
        .build()
}

#[async_trait]
impl Queues for SqsQueues {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        let Some(url) = self.urls.get(&queue) else {
            return Err(QueueError { queue, reason: "its URL is not configured".to_owned() });
        };
        let messages: Vec<Message> =
            messages.into_iter().map(|m| Message { body: legal(m.body), ..m }).collect();
        if let Some(large) = messages.iter().find(|m| m.body.len() > Message::MAX_BYTES) {
            let reason =
                format!("a message has {} bytes, at most {} are taken", large.body.len(), Message::MAX_BYTES);
            return Err(QueueError { queue, reason });
        }
        let calls: Vec<_> =
            batches(messages).into_iter().map(|batch| self.send_batch(queue, url, batch)).collect();
        let sent: Vec<Result<(), QueueError>> =
            stream::iter(calls).buffer_unordered(BATCHES_IN_FLIGHT).collect().await;
        sent.into_iter().collect()
    }
}
