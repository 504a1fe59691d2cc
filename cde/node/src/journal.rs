//! The journal: attempts before they are sent, and every record until the office has acknowledged it.
//!
//! One SQLite file (WAL, synchronous=FULL), one writer. What waits when the writer becomes free is committed together.
//!
//! # Invariants
//! - A row of `attempt` is on disk before the first byte of it goes to a gateway.
//! - A payment has at most one authorization that is sent, unknown or approved and not given back: a unique index, not a
//!   habit.
//! - No more is captured than was approved and no more refunded than was captured, what is open counting as done: checked
//!   in the transaction that writes the attempt, and by triggers whatever that does.
//! - An attempt's end is written once; only `unknown` may be replaced.
//! - Nothing of a card but brand, last four and expiry is in here.
//! - An audit row is lost only when its own queue is full, and then it is counted and said.

mod attempts;
mod schema;
mod writer;

pub use attempts::{Account, Ending, NewAttempt, Noted, OpenAttempt, Reversal, Wanted};

use crate::clock;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use wire::{AttemptId, AuditEvent, JournalId, PaymentId, Record, Refusal};

/// Writes that may wait for the writer. Beyond this a payment is refused rather than queued.
const QUEUE_MAX: usize = 1024;
/// Audit rows that may wait for a disk that is slow or full: some minutes of a busy day.
const AUDITS_MAX: usize = 65_536;
/// Records read for the door at a time.
pub(crate) const PAGE: i64 = 256;

/// What went wrong with the journal. Rows hold no card data, so neither does the message.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database refused.
    #[error("journal: {0}")]
    Database(#[from] sqlx::Error),
    /// A record is not what was written.
    #[error("journal: a row is not readable: {0}")]
    Row(#[from] serde_json::Error),
    /// A column of an attempt is not what was written.
    #[error("journal: an attempt's {0} is not readable")]
    Unreadable(String),
    /// The writer is gone or has too much to do.
    #[error("journal: the writer does not answer")]
    Busy,
    /// Written by a newer build.
    #[error("journal: its schema is version {0}, which is newer than this build: run the newer build")]
    TooNew(i64),
    /// This payment has an attempt that is in flight, unknown or approved.
    #[error("journal: the payment already has an attempt that may have taken money")]
    SecondAttempt,
    /// This very attempt is written already: it was begun before.
    #[error("journal: the attempt was begun before")]
    BegunBefore,
    /// What has become of the payment's money does not allow it.
    #[error("journal: the attempt is refused: {0:?}")]
    Refused(Refusal),
}

pub(crate) enum Write {
    Begin(Box<NewAttempt>, oneshot::Sender<Result<(), JournalError>>),
    End {
        attempt: AttemptId,
        ending: Box<Ending>,
        done: oneshot::Sender<Result<bool, JournalError>>,
    },
    /// An attempt that is proved not to have been executed goes to another gateway.
    MoveTo {
        attempt: AttemptId,
        gateway: String,
        done: oneshot::Sender<Result<bool, JournalError>>,
    },
    Acknowledge(u64),
    /// The journal goes on under another id.
    Rename(JournalId, oneshot::Sender<Result<(), JournalError>>),
    /// Nothing comes after what waits now.
    Close(oneshot::Sender<()>),
}

/// The journal's handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    id: Arc<watch::Sender<JournalId>>,
    pool: SqlitePool,
    writes: mpsc::Sender<Write>,
    audits: mpsc::Sender<AuditEvent>,
    lost: Arc<AtomicU64>,
    newest: watch::Receiver<u64>,
}

impl Journal {
    /// Opens or creates the journal and starts its writer.
    pub async fn open(file: &Path) -> Result<Self, JournalError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(3).connect_with(options).await?;
        let mut connection = pool.acquire().await?.detach();
        let (id, newest) = schema::prepare(&mut connection).await?;
        let (writes, queue) = mpsc::channel(QUEUE_MAX);
        let (audits, rows) = mpsc::channel(AUDITS_MAX);
        let (publish, newest) = watch::channel(newest);
        tokio::spawn(writer::Writer::new(connection, queue, rows, publish).run());
        let id = Arc::new(watch::Sender::new(id));
        Ok(Self { id, pool, writes, audits, lost: Arc::default(), newest })
    }

    /// Whose journal this is.
    pub fn id(&self) -> JournalId {
        *self.id.borrow()
    }

    /// Goes on under a new id. The office, which has nothing of this id, then takes every record that is here.
    pub async fn rename(&self) -> Result<(), JournalError> {
        let (done, answer) = oneshot::channel();
        let id = JournalId(uuid::Uuid::now_v7());
        self.writes.send(Write::Rename(id, done)).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)??;
        self.id.send_replace(id);
        Ok(())
    }

    /// Puts everything that waits on disk and ends the writer. What is written afterwards is refused.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.writes.send(Write::Close(done)).await.is_ok() {
            // An error means that the writer is gone, which is what was wanted.
            let _ = closed.await;
        }
    }

    /// The number of the newest record, updated with every commit.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// Writes an audit row, now or as soon as the disk takes it. False when it is lost, because too many wait already.
    pub fn audit(&self, event: AuditEvent) -> bool {
        let held = self.audits.try_send(event).is_ok();
        if !held {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(lost, "the journal is too far behind: an audit row is lost");
        }
        held
    }

    /// Puts an attempt on disk. Only after `Ok` may it be sent.
    pub async fn begin(&self, attempt: NewAttempt) -> Result<(), JournalError> {
        let (done, answer) = oneshot::channel();
        self.writes.try_send(Write::Begin(Box::new(attempt), done)).map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
    }

    /// Writes how an attempt ended; false when it had ended before (the first word stands).
    pub async fn end(&self, attempt: AttemptId, ending: Ending) -> Result<bool, JournalError> {
        let (done, answer) = oneshot::channel();
        let ending = Box::new(ending);
        self.writes.send(Write::End { attempt, ending, done }).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
    }

    /// An attempt that its gateway has proved not to have executed goes to another; only after `true` may it be sent
    /// there. False when it has ended meanwhile.
    pub async fn move_to(&self, attempt: AttemptId, gateway: &str) -> Result<bool, JournalError> {
        let (done, answer) = oneshot::channel();
        let write = Write::MoveTo { attempt, gateway: gateway.to_owned(), done };
        self.writes.send(write).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
    }

    /// How an attempt stands, without why it was declined; an approval that is given back, or is to be, is none. None where
    /// there is no such attempt.
    pub async fn standing(&self, attempt: AttemptId) -> Result<Option<wire::Outcome>, JournalError> {
        attempts::standing(&self.pool, attempt).await
    }

    /// The office has stored every record up to this one.
    pub async fn acknowledge(&self, number: u64) {
        let newest = *self.newest.borrow();
        if number > newest {
            // Believed, it would count records that are still to come as stored.
            return tracing::error!(number, newest, "the office acknowledged a record that was never written: ignored");
        }
        // If the writer is gone the process is ending; the office will be told again and skips what it has.
        let _ = self.writes.send(Write::Acknowledge(number)).await;
    }

    /// The next records after a number, oldest first, at most a page.
    pub async fn after(&self, number: u64) -> Result<Vec<Record>, JournalError> {
        let rows = sqlx::query("SELECT body FROM record WHERE number > ? ORDER BY number LIMIT ?")
            .bind(i64::try_from(number).unwrap_or(i64::MAX))
            .bind(PAGE)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }

    /// Attempts without a known outcome, oldest first.
    pub async fn open_attempts(&self) -> Result<Vec<OpenAttempt>, JournalError> {
        attempts::open(&self.pool).await
    }

    /// One attempt, in any state.
    pub async fn find(&self, attempt: AttemptId) -> Result<Option<Noted>, JournalError> {
        attempts::find(&self.pool, attempt).await
    }

    /// Attempts by our name for one, or by a gateway's own, in any state, oldest first.
    pub async fn about(
        &self,
        gateway: &str,
        attempt: Option<AttemptId>,
        locator: Option<&str>,
    ) -> Result<Vec<Noted>, JournalError> {
        attempts::about(&self.pool, gateway, attempt, locator).await
    }

    /// The payment's approved authorization, and what has become of its money.
    pub async fn account(&self, payment: PaymentId) -> Result<Option<Account>, JournalError> {
        attempts::account(&mut *self.pool.acquire().await?, payment).await
    }

    /// Approvals that are to be given back and have not been, oldest first.
    pub async fn reversals_wanted(&self) -> Result<Vec<Wanted>, JournalError> {
        attempts::wanted(&self.pool).await
    }
}

async fn insert_record(
    connection: &mut SqliteConnection,
    number: u64,
    body: wire::RecordBody,
) -> Result<(), JournalError> {
    let record = Record { number, at_unix_ms: clock::unix_ms(), body };
    sqlx::query("INSERT INTO record (number, body) VALUES (?, ?)")
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .bind(serde_json::to_string(&record)?)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
