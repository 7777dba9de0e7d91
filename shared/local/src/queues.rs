//! Queues with SQS's semantics on the journal: at least once, visibility timeout, receive count, and a dead-letter queue
//! for what was received too often. Intake, fan-out and webhooks send; [`poll`] hands batches to the function that
//! consumes a queue, as Lambda's event source mapping does. Facts: Amazon SQS developer guide, quotas and visibility time-out.

mod mapping;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use carillon_domain::Timestamp;
use carillon_pipeline::ports::{Clock, Message, Queue, QueueError, Queues};
use rusqlite::{Connection, params};
use serde::Serialize;
use tokio::sync::Notify;

use self::messages::{counts, dead, outlook, parse_handle, read, receive};
use crate::clock::activity::Activity;
use crate::journal::{Journal, JournalError, chain, millis};
pub use mapping::poll;

const SHOW_ALL: &str = "UPDATE message SET visible_at = sent_at WHERE visible_at <> sent_at";

/// The longest `MessageGroupId` that SQS takes.
const MAX_GROUP_CHARACTERS: usize = 128;

/// How messages come back and when they stop doing so.
#[derive(Debug, Clone, Copy)]
pub struct QueueSettings {
    /// How long a received message stays invisible: SQS asks for six times the consumer's own time limit.
    pub visibility: Duration,
    /// A message that was received so often and never deleted goes to the dead-letter queue.
    pub max_receive_count: u32,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { visibility: Duration::from_mins(3), max_receive_count: 20 }
    }
}

/// What a consumer takes messages from: a queue, or its dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    queue: Queue,
    dead: bool,
}

impl Source {
    /// The dead-letter queue of a queue.
    #[must_use]
    pub fn dead_letters_of(queue: Queue) -> Self {
        Self { queue, dead: true }
    }

    /// Its ARN, as messages name it.
    #[must_use]
    pub fn arn(self) -> String {
        format!("arn:aws:sqs:local:000000000000:{}", self.name())
    }

    fn name(self) -> String {
        if self.dead { dead(self.queue) } else { self.queue.as_str().to_owned() }
    }
}

impl From<Queue> for Source {
    fn from(queue: Queue) -> Self {
        Self { queue, dead: false }
    }
}

/// A message as a consumer or a dead-letter queue holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Names the message for its whole life, also in the dead-letter queue.
    pub message_id: String,
    /// Names this receiving of it; needed to delete or release, and worthless once it is received again.
    pub receipt_handle: String,
    /// What was sent.
    pub body: String,
    /// `MessageGroupId`.
    pub group: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent; a move to the dead-letter queue does not change it.
    pub sent_at: Timestamp,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    /// Can be received now.
    pub visible: u64,
    /// Received and not deleted, or waiting to be tried again.
    pub in_flight: u64,
    /// Seconds since the oldest message of either kind was sent; none when there is no message.
    pub oldest_age_s: Option<u64>,
    /// In its dead-letter queue.
    #[serde(rename = "dead_letters")]
    pub dead: u64,
}

/// The queues of the send path and a dead-letter queue for each.
pub struct LocalQueues {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    settings: QueueSettings,
    /// Told whenever a message of the queue may have become visible, or will sooner than before.
    changes: BTreeMap<Source, Arc<Notify>>,
    activity: Arc<Activity>,
}

impl LocalQueues {
    /// Opens the queues. Whoever had messages in flight is gone, so all of them are visible at once.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn open(
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        settings: QueueSettings,
    ) -> Result<Arc<Self>, JournalError> {
        journal.run(|connection| connection.execute(SHOW_ALL, [])).await?;
        let sources = Queue::ALL.into_iter().flat_map(|queue| [queue.into(), Source::dead_letters_of(queue)]);
        let changes = sources.map(|source| (source, Arc::new(Notify::new()))).collect();
        Ok(Arc::new(Self { journal, clock, settings, changes, activity: Arc::default() }))
    }

    /// Who is at work on the queues, and whoever else says so there.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Takes up to `max` visible messages, oldest first, and hides them for the visibility timeout. Those that were
    /// received too often go to the dead-letter queue instead; from there they go nowhere.
    ///
    /// # Errors
    /// If the journal cannot be read or written; nothing is received then.
    pub async fn receive(
        &self,
        source: impl Into<Source>,
        max: usize,
    ) -> Result<Vec<Received>, JournalError> {
        let (source, now, settings) = (source.into(), self.now(), self.settings);
        let (taken, died) =
            self.journal.run(move |connection| receive(connection, source, max, now, settings)).await?;
        if died {
            self.change(Source::dead_letters_of(source.queue)).notify_one();
        }
        Ok(taken)
    }

    /// Deletes received messages. A handle that is no longer the message's latest does nothing.
    ///
    /// # Errors
    /// If the journal cannot be written; nothing is deleted then.
    pub async fn delete(
        &self,
        source: impl Into<Source>,
        receipt_handles: &[String],
    ) -> Result<(), JournalError> {
        let name = source.into().name();
        let handles: Vec<_> = receipt_handles.iter().filter_map(|handle| parse_handle(handle)).collect();
        let work = move |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for (id, receive_count) in handles {
                let sql = "DELETE FROM message WHERE id = ?1 AND queue = ?2 AND receive_count = ?3";
                transaction.prepare_cached(sql)?.execute(params![id, name, receive_count])?;
            }
            transaction.commit()
        };
        self.journal.run(work).await
    }

    /// Makes a received message visible again after a while. A handle that is no longer its latest does nothing.
    ///
    /// # Errors
    /// If the journal cannot be written; the message comes back with its visibility timeout then.
    pub async fn release(
        &self,
        source: impl Into<Source>,
        receipt_handle: &str,
        after: Duration,
    ) -> Result<(), JournalError> {
        let Some((id, receive_count)) = parse_handle(receipt_handle) else { return Ok(()) };
        let source = source.into();
        let (visible_at, change) = (self.now().saturating_add(millis(after)), self.change(source));
        let work = move |connection: &mut Connection| {
            let sql =
                "UPDATE message SET visible_at = ?4 WHERE id = ?1 AND queue = ?2 AND receive_count = ?3";
            connection.prepare_cached(sql)?.execute(params![id, source.name(), receive_count, visible_at])?;
            change.notify_one();
            Ok(())
        };
        self.journal.run(work).await
    }

    /// How full each queue is.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn counts(&self) -> Result<BTreeMap<Queue, QueueCounts>, JournalError> {
        let now = self.now();
        self.journal.run(move |connection| counts(connection, now)).await
    }

    /// Sends any text, also one that no consumer can read.
    ///
    /// # Errors
    /// As [`Queues::send`].
    pub async fn send_raw(&self, queue: Queue, body: impl Into<String>) -> Result<(), QueueError> {
        self.send(queue, vec![Message { body: body.into(), group: "raw".to_owned(), delay_s: 0 }]).await
    }

    /// Puts any text on a dead-letter queue, as if it had been received too often.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn send_dead(&self, queue: Queue, body: impl Into<String>) -> Result<(), JournalError> {
        let message = Message { body: body.into(), group: "raw".to_owned(), delay_s: 0 };
        self.put(Source::dead_letters_of(queue), vec![message]).await
    }

    async fn put(&self, source: Source, messages: Vec<Message>) -> Result<(), JournalError> {
        let (now, change) = (self.now(), self.change(source));
        let work = move |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for Message { body, group, delay_s } in messages {
                let sql = "INSERT INTO message (queue, body, group_id, sent_at, visible_at) VALUES (?1, ?2, ?3, ?4, ?5)";
                let visible_at = now + i64::from(delay_s) * 1_000;
                transaction.prepare_cached(sql)?.execute(params![
                    source.name(),
                    body,
                    group,
                    now,
                    visible_at
                ])?;
            }
            transaction.commit()?;
            change.notify_one();
            Ok(())
        };
        self.journal.run(work).await
    }

    /// What is in the dead-letter queue, oldest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn dead_letters(&self, queue: Queue) -> Result<Vec<Received>, JournalError> {
        let work = move |connection: &mut Connection| {
            let sql =
                "SELECT id, body, group_id, receive_count, sent_at FROM message WHERE queue = ?1 ORDER BY id";
            connection.prepare_cached(sql)?.query_map([dead(queue)], read)?.collect()
        };
        self.journal.run(work).await
    }

    /// Which queues have messages that can be received now, and when the next message comes back.
    pub(crate) async fn outlook(&self) -> Result<(Vec<Queue>, Option<Timestamp>), JournalError> {
        let now = self.now();
        self.journal.run(move |connection| outlook(connection, now)).await
    }

    /// Returns when a message of the queue may be visible. Nothing is polled: a sender wakes it, or the instant does at
    /// which the next message comes back.
    async fn change_in(&self, source: Source) -> Result<(), JournalError> {
        let next = move |connection: &mut Connection| {
            let sql = "SELECT min(visible_at) FROM message WHERE queue = ?1";
            connection.prepare_cached(sql)?.query_row([source.name()], |row| row.get::<_, Option<i64>>(0))
        };
        let next = self.journal.run(next).await?;
        let change = self.change(source);
        let Some(visible_at) = next else {
            change.notified().await;
            return Ok(());
        };
        let visible_at = Timestamp::from_millisecond(visible_at).unwrap_or(Timestamp::MAX);
        tokio::select! {
            () = change.notified() => {}
            () = self.clock.sleep_until(visible_at) => {}
        }
        Ok(())
    }

    fn change(&self, source: Source) -> Arc<Notify> {
        self.changes.get(&source).cloned().unwrap_or_default()
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

#[async_trait]
impl Queues for LocalQueues {
    /// All messages in one transaction: all are in the queue, or none.
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        let refuse = |reason: String| QueueError { queue, reason };
        if let Some(fault) = messages.iter().find_map(fault) {
            return Err(refuse(fault));
        }
        self.put(queue.into(), messages).await.map_err(|error| refuse(chain(&error)))
    }
}

/// What SQS would refuse.
fn fault(message: &Message) -> Option<String> {
    let Message { body, group, delay_s } = message;
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if body.is_empty() || body.len() > Message::MAX_BYTES {
        Some(format!("a body of {} bytes; it takes 1 to {}", body.len(), Message::MAX_BYTES))
    } else if !body.chars().all(legal) {
        Some("InvalidMessageContents: a character that XML does not allow".to_owned())
    } else if group.is_empty() || group.len() > MAX_GROUP_CHARACTERS {
        Some(format!("a group id of {} characters; it takes 1 to {MAX_GROUP_CHARACTERS}", group.len()))
    } else if *delay_s > Message::MAX_DELAY_S {
        Some(format!("a delay of {delay_s} s; it takes at most {}", Message::MAX_DELAY_S))
    } else {
        None
    }
}
