//! The SQLite file behind the queues, the fake providers and the stream: queue messages, what the providers received,
//! receipts that they still owe, and changes that are to be counted. [`crate::queues`], [`crate::fakes`],
//! [`crate::outbox`] and [`crate::changes`] read and write it.
//!
//! Guarantee: what [`Journal::run`] has committed survives a kill of the process. A power loss may cost the last
//! commits (`synchronous = NORMAL`), which a development cloud can bear.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carillon_domain::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, TransactionBehavior};

/// How the tables came to be, one step per version; `PRAGMA user_version` counts the steps done. Never edit a step.
const STEPS: [&str; 3] = [
    "
    CREATE TABLE message (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        queue         TEXT NOT NULL,
        body          TEXT NOT NULL,
        group_id      TEXT NOT NULL,
        sent_at       INTEGER NOT NULL,
        visible_at    INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX message_by_queue ON message (queue, visible_at, id);

    CREATE TABLE outbox (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        channel     TEXT NOT NULL,
        recipient   TEXT NOT NULL,
        subject     TEXT,
        text        TEXT NOT NULL,
        html        TEXT,
        template    TEXT,
        token       TEXT,
        received_at INTEGER NOT NULL
    );

    CREATE TABLE pending_receipt (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        body    TEXT NOT NULL,
        due_at  INTEGER NOT NULL,
        tries   INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX pending_receipt_by_channel ON pending_receipt (channel, due_at, id);
",
    "
    CREATE TABLE inbound (
        phone_number_id TEXT NOT NULL,
        person          TEXT NOT NULL,
        written_at      INTEGER NOT NULL,
        PRIMARY KEY (phone_number_id, person)
    );

    ALTER TABLE outbox ADD COLUMN headers TEXT;
",
    "
    CREATE TABLE change (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        record TEXT NOT NULL
    );
",
];

/// How long opening waits for a process that is just stopping to let go of the file.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Why the journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened, is not a journal, or another process has it.
    #[error("open the journal {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A later version of the program wrote the file.
    #[error(
        "the journal has version {found}, and this program knows versions up to {known}: use the newer program"
    )]
    Newer {
        /// The file's version.
        found: usize,
        /// The latest version that is known here.
        known: usize,
    },
    /// A read or write failed and changed nothing.
    #[error("read or write the journal")]
    Sqlite(#[from] rusqlite::Error),
    /// The process is stopping, or the work panicked; nothing of it is committed unless it had already ended.
    #[error("work on the journal was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// One SQLite database, opened once. It is locked against other processes for as long as it is open.
pub struct Journal {
    connection: Mutex<Connection>,
}

impl Journal {
    /// Opens the file, makes it when there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// [`JournalError::Open`] or [`JournalError::Newer`].
    pub fn open(path: &Path) -> Result<Arc<Self>, JournalError> {
        let failed = |source| JournalError::Open { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(LOCK_WAIT).map_err(failed)?;
        // Exclusive: a second dev cloud on the same directory would hand out every message twice.
        let settings =
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";
        connection.execute_batch(settings).map_err(failed)?;
        Self::prepare(connection).map_err(|error| match error {
            JournalError::Sqlite(source) => failed(source),
            other => other,
        })
    }

    /// A journal that ends with the process.
    ///
    /// # Errors
    /// [`JournalError::Sqlite`] when there is no memory for it.
    pub fn in_memory() -> Result<Arc<Self>, JournalError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Arc<Self>, JournalError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let steps = STEPS.get(found..).ok_or(JournalError::Newer { found, known: STEPS.len() })?;
        for step in steps {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", STEPS.len())?;
        transaction.commit()?;
        Ok(Arc::new(Self { connection: Mutex::new(connection) }))
    }

    /// Does one piece of work on the database, off the async threads. The work goes on to its end when the caller's
    /// future is dropped; more than one write belongs in a transaction.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, work: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let journal = Arc::clone(self);
        Ok(tokio::task::spawn_blocking(move || work(&mut journal.lock())).await??)
    }

    /// A panic while the lock was held left no transaction open: dropping one rolls it back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with its causes on one line, for those who can only keep a text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The instant in a column of milliseconds.
pub(crate) fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let fault = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error));
    Timestamp::from_millisecond(row.get(column)?).map_err(fault)
}

/// A duration in the unit of the journal's columns.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn a_file_of_a_newer_program_is_refused_and_left_alone() {
        let folder = Folder::make();
        let path = folder.path("journal.sqlite");
        drop(Journal::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", STEPS.len() + 1).unwrap();
        drop(connection);
        assert!(matches!(Journal::open(&path), Err(JournalError::Newer { found: 4, known: 3 })));
    }

    #[test]
    fn a_second_process_cannot_open_the_same_file() {
        let folder = Folder::make();
        let path = folder.path("journal.sqlite");
        let first = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Open { .. })));
        drop(first);
        Journal::open(&path).unwrap();
    }

    #[tokio::test]
    async fn work_that_panics_changes_nothing_and_the_next_goes_on() {
        let journal = Journal::in_memory().unwrap();
        let insert = "INSERT INTO pending_receipt (channel, body, due_at) VALUES ('email', '{}', 0)";
        let interrupted = journal
            .run(move |connection| -> rusqlite::Result<()> {
                let transaction = connection.transaction()?;
                transaction.execute(insert, [])?;
                panic!("on purpose");
            })
            .await;
        assert!(matches!(interrupted, Err(JournalError::Interrupted(_))));
        let count = |connection: &mut Connection| {
            connection.query_row("SELECT count(*) FROM pending_receipt", [], |row| row.get::<_, i64>(0))
        };
        assert_eq!(journal.run(count).await.unwrap(), 0);
    }
}
