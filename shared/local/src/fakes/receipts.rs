//! What a fake provider still has to say about the messages that it accepted: rows of the journal, written together
//! with the message, posted when due and deleted when they were taken, so that a kill of the process loses none.

use std::sync::Arc;
use std::time::Duration;

use carillon_domain::{Channel, Timestamp};
use carillon_pipeline::ports::Clock;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::faults::{ReceiptMode, Switch};
use crate::journal::{Journal, JournalError, chain, millis};
use crate::outbox::{OutboxItem, record};

/// How many receipts are posted at once. Meta batches up to 1,000 (Meta, "Webhooks").
const BATCH: usize = 100;

/// The wait after the first post that was not taken; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// The longest wait between posts. The real providers give up after days; a fake does not.
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// How long posting waits after the journal failed it.
const JOURNAL_WAIT: Duration = Duration::from_secs(1);

/// How long an answer waits for its early receipts.
const EARLY_WAIT: Duration = Duration::from_secs(3);

/// How long the receipts function is given once a receipt was taken.
const EARLY_GLANCE: Duration = Duration::from_millis(50);

/// Posts receipts as they were accepted; an answer for each, in their order.
pub(super) type Post = Box<dyn Fn(Vec<Value>) -> BoxFuture<'static, Vec<Result<(), String>>> + Send + Sync>;

/// A receipt to be posted.
struct Receipt {
    id: i64,
    tries: u32,
    body: Value,
}

/// One provider's messages and receipts.
pub(super) struct Receipts {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    channel: Channel,
    change: Arc<Notify>,
    switch: Arc<Switch>,
}

impl Receipts {
    pub(super) fn new(journal: Arc<Journal>, clock: Arc<dyn Clock>, channel: Channel) -> Self {
        Self { journal, clock, channel, change: Arc::new(Notify::new()), switch: Arc::default() }
    }

    /// Where a provider keeps what it has to remember.
    pub(super) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// What goes wrong at this provider.
    pub(super) fn switch(&self) -> &Arc<Switch> {
        &self.switch
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Records a message and what will be said about it, all or nothing. When receipts are to be early, it returns when
    /// they were taken.
    pub(super) async fn accept(
        &self,
        item: OutboxItem,
        receipts: Vec<(Duration, Value)>,
    ) -> Result<(), JournalError> {
        let (channel, change) = (self.channel, Arc::clone(&self.change));
        let mode = self.switch.faults().receipts;
        let receipts = troubled(receipts, mode);
        let work = move |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            record(&transaction, &item)?;
            let mut last = 0;
            for (after, body) in receipts {
                let sql = "INSERT INTO pending_receipt (channel, body, due_at) VALUES (?1, ?2, ?3)";
                let due_at = item.received_at.as_millisecond().saturating_add(millis(after));
                transaction.prepare_cached(sql)?.execute(params![
                    channel.as_str(),
                    body.to_string(),
                    due_at
                ])?;
                last = transaction.last_insert_rowid();
            }
            transaction.commit()?;
            change.notify_one();
            Ok(last)
        };
        let last = self.journal.run(work).await?;
        if mode == ReceiptMode::Early { self.taken(last).await } else { Ok(()) }
    }

    /// Waits until the receipts up to this one were taken and probably worked, or a while. On the machine's clock: the
    /// caller waits for an answer.
    async fn taken(&self, last: i64) -> Result<(), JournalError> {
        let channel = self.channel.as_str();
        let start = tokio::time::Instant::now();
        while start.elapsed() < EARLY_WAIT {
            let left = move |connection: &mut Connection| {
                let sql = "SELECT EXISTS (SELECT 1 FROM pending_receipt WHERE channel = ?1 AND id <= ?2)";
                connection.prepare_cached(sql)?.query_row(params![channel, last], |row| row.get::<_, bool>(0))
            };
            let left = self.journal.run(left).await?;
            tokio::time::sleep(EARLY_GLANCE).await;
            if !left {
                break;
            }
        }
        Ok(())
    }

    /// Posts receipts as they fall due until `shutdown` is true or its sender is gone. `post` answers for each receipt,
    /// in order, whether it was taken; the others are posted again later.
    pub(super) async fn run(&self, mut shutdown: watch::Receiver<bool>, post: Post) {
        loop {
            let turn = async {
                if let Err(error) = self.turn(&post).await {
                    tracing::error!(channel = self.channel.as_str(), error = %chain(&error), "receipts are not posted");
                    tokio::time::sleep(JOURNAL_WAIT).await;
                }
            };
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = turn => {}
            }
        }
    }

    /// Posts what is due, or waits for it.
    async fn turn(&self, post: &Post) -> Result<(), JournalError> {
        let (now, channel) = (self.now().as_millisecond(), self.channel);
        let due = self.journal.run(move |connection| due(connection, channel, now)).await?;
        if due.is_empty() {
            return self.change().await;
        }
        let answers = post(due.iter().map(|receipt| receipt.body.clone()).collect()).await;
        if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
            tracing::warn!(
                channel = channel.as_str(),
                error,
                "receipts were not taken and will be posted again"
            );
        }
        let (now, posted): (_, Vec<_>) =
            (self.now().as_millisecond(), due.into_iter().zip(answers).collect());
        self.journal.run(move |connection| settle(connection, posted, now)).await
    }

    /// Returns when the next receipt is due or a message was accepted.
    async fn change(&self) -> Result<(), JournalError> {
        let channel = self.channel.as_str();
        let next = move |connection: &mut Connection| {
            let sql = "SELECT min(due_at) FROM pending_receipt WHERE channel = ?1";
            connection.prepare_cached(sql)?.query_row([channel], |row| row.get::<_, Option<i64>>(0))
        };
        let Some(due_at) = self.journal.run(next).await? else {
            self.change.notified().await;
            return Ok(());
        };
        let due_at = Timestamp::from_millisecond(due_at).unwrap_or(Timestamp::MAX);
        tokio::select! {
            () = self.change.notified() => {}
            () = self.clock.sleep_until(due_at) => {}
        }
        Ok(())
    }
}

/// The receipts as the mode has them.
fn troubled(mut receipts: Vec<(Duration, Value)>, mode: ReceiptMode) -> Vec<(Duration, Value)> {
    match mode {
        ReceiptMode::Normal => receipts,
        ReceiptMode::None => Vec::new(),
        ReceiptMode::Early => receipts.into_iter().map(|(_, body)| (Duration::ZERO, body)).collect(),
        ReceiptMode::Double => receipts.into_iter().flat_map(|receipt| [receipt.clone(), receipt]).collect(),
        ReceiptMode::Reorder => {
            let (delays, bodies): (Vec<_>, Vec<_>) = receipts.drain(..).unzip();
            delays.into_iter().zip(bodies.into_iter().rev()).collect()
        }
    }
}

/// Whether a fake has something to say now, and when it has next.
pub(crate) async fn outlook(
    journal: &Arc<Journal>,
    now: Timestamp,
) -> Result<(bool, Option<Timestamp>), JournalError> {
    let now = now.as_millisecond();
    let work = move |connection: &mut Connection| {
        let sql = "SELECT EXISTS (SELECT 1 FROM pending_receipt WHERE due_at <= ?1),
                          (SELECT min(due_at) FROM pending_receipt WHERE due_at > ?1)";
        connection
            .prepare_cached(sql)?
            .query_row([now], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))
    };
    let (due, next): (bool, Option<i64>) = journal.run(work).await?;
    Ok((due, next.and_then(|at| Timestamp::from_millisecond(at).ok())))
}

fn due(connection: &mut Connection, channel: Channel, now: i64) -> rusqlite::Result<Vec<Receipt>> {
    let sql = "SELECT id, tries, body FROM pending_receipt WHERE channel = ?1 AND due_at <= ?2
               ORDER BY due_at, id LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(params![channel.as_str(), now, BATCH], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    let body: String = row.get(2)?;
    let fault =
        |error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error));
    Ok(Receipt { id: row.get(0)?, tries: row.get(1)?, body: serde_json::from_str(&body).map_err(fault)? })
}

fn settle(
    connection: &mut Connection,
    posted: Vec<(Receipt, Result<(), String>)>,
    now: i64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (receipt, answer) in posted {
        if answer.is_ok() {
            transaction.prepare_cached("DELETE FROM pending_receipt WHERE id = ?1")?.execute([receipt.id])?;
        } else {
            let wait = LONGEST_RETRY.min(FIRST_RETRY.saturating_mul(2_u32.saturating_pow(receipt.tries)));
            let sql = "UPDATE pending_receipt SET tries = tries + 1, due_at = ?2 WHERE id = ?1";
            transaction
                .prepare_cached(sql)?
                .execute(params![receipt.id, now.saturating_add(millis(wait))])?;
        }
    }
    transaction.commit()
}
