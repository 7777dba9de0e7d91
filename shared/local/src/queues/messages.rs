//! Queue messages as rows of the journal: receiving, moving to the dead-letter queue, counting. [`super`] decides when.

use std::collections::BTreeMap;

use carillon_domain::Timestamp;
use carillon_pipeline::ports::Queue;
use rusqlite::{Connection, Row, params};

use super::{QueueCounts, QueueSettings, Received, Source};
use crate::journal::{instant, millis};

/// What a dead-letter queue is called after its queue.
const DEAD: &str = "-dead";

/// Takes what is visible; what was received too often goes to the dead-letter queue instead. Answers whether any did.
pub(super) fn receive(
    connection: &mut Connection,
    source: Source,
    max: usize,
    now: i64,
    settings: QueueSettings,
) -> rusqlite::Result<(Vec<Received>, bool)> {
    let transaction = connection.transaction()?;
    let (mut taken, mut died) = (Vec::new(), false);
    loop {
        let due: Vec<(i64, Received)> = {
            let sql = "SELECT id, body, group_id, receive_count, sent_at FROM message
                       WHERE queue = ?1 AND visible_at <= ?2 ORDER BY visible_at, id LIMIT ?3";
            let mut statement = transaction.prepare_cached(sql)?;
            let wanted = i64::try_from(max - taken.len()).unwrap_or(i64::MAX);
            let rows = statement
                .query_map(params![source.name(), now, wanted], |row| Ok((row.get(0)?, read(row)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        if due.is_empty() {
            break;
        }
        for (id, mut message) in due {
            if !source.dead && message.receive_count >= settings.max_receive_count {
                let sql = "UPDATE message SET queue = ?2, visible_at = ?3 WHERE id = ?1";
                transaction.prepare_cached(sql)?.execute(params![id, dead(source.queue), now])?;
                died = true;
                continue;
            }
            message.receive_count += 1;
            message.receipt_handle = handle(id, message.receive_count);
            let visible_at = now.saturating_add(millis(settings.visibility));
            let sql = "UPDATE message SET receive_count = ?2, visible_at = ?3 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id, message.receive_count, visible_at])?;
            taken.push(message);
        }
    }
    transaction.commit()?;
    Ok((taken, died))
}

/// How full each queue is.
pub(super) fn counts(
    connection: &mut Connection,
    now: i64,
) -> rusqlite::Result<BTreeMap<Queue, QueueCounts>> {
    let sql = "SELECT count(*) FILTER (WHERE queue = ?1 AND visible_at <= ?3),
                      count(*) FILTER (WHERE queue = ?1 AND visible_at > ?3),
                      count(*) FILTER (WHERE queue = ?2),
                      (?3 - min(sent_at) FILTER (WHERE queue = ?1)) / 1000
               FROM message WHERE queue IN (?1, ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut count = |queue: Queue| {
        statement.query_row(params![queue.as_str(), dead(queue), now], |row| {
            let oldest_age_s: Option<i64> = row.get(3)?;
            Ok(QueueCounts {
                visible: row.get(0)?,
                in_flight: row.get(1)?,
                oldest_age_s: oldest_age_s.map(|age| u64::try_from(age).unwrap_or(0)),
                dead: row.get(2)?,
            })
        })
    };
    Queue::ALL.into_iter().map(|queue| Ok((queue, count(queue)?))).collect()
}

/// Which queues, or their dead-letter queues, have visible messages, and when the next hidden one becomes visible.
pub(super) fn outlook(
    connection: &mut Connection,
    now: i64,
) -> rusqlite::Result<(Vec<Queue>, Option<Timestamp>)> {
    let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE queue IN (?1, ?3) AND visible_at <= ?2),
                      (SELECT min(visible_at) FROM message WHERE queue IN (?1, ?3) AND visible_at > ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let (mut visible, mut next) = (Vec::new(), None);
    for queue in Queue::ALL {
        let (some, hidden): (bool, Option<i64>) = statement
            .query_row(params![queue.as_str(), now, dead(queue)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if some {
            visible.push(queue);
        }
        next = next.into_iter().chain(hidden).min();
    }
    Ok((visible, next.and_then(|at| Timestamp::from_millisecond(at).ok())))
}

/// A row of `id, body, group_id, receive_count, sent_at`.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Received> {
    let (id, receive_count) = (row.get(0)?, row.get(3)?);
    Ok(Received {
        message_id: format!("message-{id:08}"),
        receipt_handle: handle(id, receive_count),
        body: row.get(1)?,
        group: row.get(2)?,
        receive_count,
        sent_at: instant(row, 4)?,
    })
}

/// The name of the queue's dead-letter queue.
pub(super) fn dead(queue: Queue) -> String {
    format!("{}{DEAD}", queue.as_str())
}

fn handle(id: i64, receive_count: u32) -> String {
    format!("{id}:{receive_count}")
}

/// The row and the receive count that a receipt handle names.
pub(super) fn parse_handle(handle: &str) -> Option<(i64, u32)> {
    let (id, receive_count) = handle.split_once(':')?;
    Some((id.parse().ok()?, receive_count.parse().ok()?))
}
