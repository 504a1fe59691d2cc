//! The journal: attempts before they are sent, and every record until the office has acknowledged it, and some weeks longer: an
//! office that is restored from a backup is sent them once more.
//!
//! One SQLite file (WAL, synchronous=FULL), one writer. What waits when the writer becomes free is committed together.
//!
//! # Invariants
//! - A row of `attempt` is on disk before the first byte of it goes to a gateway.
//! - A payment has at most one authorization that is sent, unknown or approved and not given back: a unique index, not a
//!   habit.
//! - No more is captured than was approved and no more refunded than was captured, what is open counting as done: checked
//!   in the transaction that writes the attempt, and by triggers whatever that does.
//! - An order of a bounced call has no second attempt, of whatever payment, while one of it took money or may have: checked in
//!   the transaction that writes the attempt.
//! - The code of an order that was made ahead is used once, and no code is in here.
//! - An attempt's end is written once; only `unknown` may be replaced.
//! - Nothing of a card but brand, last four and expiry is in here.
//! - An audit row is lost only when its own queue is full, and then it is counted and said.

mod attempts;
mod cards;
mod codes;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod model;
mod orders;
mod restored;
mod schema;
pub mod store;
mod writer;

pub use attempts::{Account, Ending, NewAttempt, Noted, OpenAttempt, Reversal, Wanted};
pub use cards::{Keep, Kept, StoredCard, merchants_with_cards};
pub use orders::TakenOrder;

use crate::clock;
use call::{CodeState, KeptOrder};
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
/// How long acknowledged records are kept where nothing else is said, in days.
pub const RECORDS_DAYS: u16 = 35;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
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
    /// Another payment of the same order, by merchant, reference and amount, has an attempt that took money or may have.
    #[error("journal: the same order has an attempt that may have taken money")]
    SameOrder,
    /// This very attempt is written already: it was begun before.
    #[error("journal: the attempt was begun before")]
    BegunBefore,
    /// What has become of the payment's money does not allow it.
    #[error("journal: the attempt is refused: {0:?}")]
    Refused(Refusal),
    /// The gateway's own answer is still awaited, and what was said of the attempt meanwhile is not taken.
    #[error("journal: the attempt's own answer is still awaited")]
    AnswerAwaited,
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
        credential: Option<String>,
        done: oneshot::Sender<Result<bool, JournalError>>,
    },
    /// A kept card can be charged no more.
    BeginForgetting(wire::Token, wire::MerchantId, oneshot::Sender<Result<bool, JournalError>>),
    /// A kept card is forgotten.
    Forget(wire::Token, wire::MerchantId, oneshot::Sender<Result<bool, JournalError>>),
    ForgetByHand(wire::Token, wire::MerchantId, wire::ByHand, oneshot::Sender<Result<bool, JournalError>>),
    /// What an event of a gateway has brought up.
    Heard {
        gateway: String,
        event: String,
        row: Box<AuditEvent>,
        done: oneshot::Sender<Result<bool, JournalError>>,
    },
    /// An order was made ahead of its call.
    KeepOrder(Box<KeptOrder>, oneshot::Sender<Result<(), JournalError>>),
    /// Its code is used.
    UseCode(PaymentId, oneshot::Sender<Result<bool, JournalError>>),
    Acknowledge(u64),
    /// The next attempts are told again to an office that was restored. The first time it is said up to which record the office at
    /// the door has them all. The answer: is there more to be told again?
    TellAgain(Option<u64>, oneshot::Sender<Result<bool, JournalError>>),
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
    restores: watch::Receiver<u64>,
}

impl Journal {
    /// Opens or creates the journal and starts its writer. It keeps acknowledged records for the usual time.
    pub async fn open(file: &Path) -> Result<Self, JournalError> {
        Self::open_keeping(file, RECORDS_DAYS).await
    }

    /// The same, keeping them for so many days: as old may a backup be from which the office is restored with nothing missing.
    pub async fn open_keeping(file: &Path, days: u16) -> Result<Self, JournalError> {
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
        let (count, restores) = watch::channel(0);
        let kept_ms = i64::from(days).saturating_mul(DAY_MS);
        tokio::spawn(writer::Writer::new(connection, (queue, rows), (publish, count), kept_ms).run());
        let id = Arc::new(watch::Sender::new(id));
        Ok(Self { id, pool, writes, audits, lost: Arc::default(), newest, restores })
    }

    /// Whose journal this is.
    pub fn id(&self) -> JournalId {
        *self.id.borrow()
    }

    /// Goes on under a new id, from record 1: what waits for the office. It has nothing of this id, and then takes every record that
    /// waits. Codes of orders that were kept before are not good any more.
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

    /// How often every attempt was told again to an office that was restored. What it was to be told of one before that, and is not
    /// told with it, is to be said again.
    pub fn restores(&self) -> watch::Receiver<u64> {
        self.restores.clone()
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

    /// Writes the audit row that an event of a gateway has brought up, once: false when this event was heard before.
    /// Gateways repeat themselves, for weeks.
    pub async fn audit_once(&self, gateway: &str, event: &str, row: AuditEvent) -> Result<bool, JournalError> {
        let (done, answer) = oneshot::channel();
        let (gateway, event) = (gateway.to_owned(), event.to_owned());
        let write = Write::Heard { gateway, event, row: Box::new(row), done };
        self.writes.send(write).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
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

    /// An attempt that its gateway has proved not to have executed goes to another, by this credential; only after `true` may
    /// it be sent there. False when it has ended meanwhile.
    pub async fn move_to(
        &self,
        attempt: AttemptId,
        gateway: &str,
        credential: Option<&str>,
    ) -> Result<bool, JournalError> {
        let (done, answer) = oneshot::channel();
        let (gateway, credential) = (gateway.to_owned(), credential.map(str::to_owned));
        let write = Write::MoveTo { attempt, gateway, credential, done };
        self.writes.send(write).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
    }

    /// How an attempt stands, without why it was declined; an approval that is given back, or is to be, is none. None where
    /// there is no such attempt.
    pub async fn standing(&self, attempt: AttemptId) -> Result<Option<wire::Outcome>, JournalError> {
        attempts::standing(&self.pool, attempt).await
    }

    /// A merchant's kept card can be charged no more; until [`forget`](Self::forget), or the approval of a deletion of it, it is
    /// not said to be forgotten. False when that was so before.
    pub async fn begin_forgetting(
        &self,
        token: &wire::Token,
        merchant: &wire::MerchantId,
    ) -> Result<bool, JournalError> {
        let (done, answer) = oneshot::channel();
        let write = Write::BeginForgetting(token.clone(), merchant.clone(), done);
        self.writes.send(write).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
    }

    /// A page of cards that are being forgotten, of those after a place; and after which place the next page comes.
    pub async fn being_forgotten(&self, after: i64) -> Result<(Vec<wire::Token>, Option<i64>), JournalError> {
        cards::being_forgotten(&self.pool, after).await
    }

    /// The deletion of a kept card whose end is not known.
    pub async fn open_deletion(&self, token: &wire::Token) -> Result<Option<OpenAttempt>, JournalError> {
        attempts::open_deletion(&self.pool, token).await
    }

    /// The attempts to delete a kept card.
    pub(crate) async fn deletions(&self, token: &wire::Token) -> Result<attempts::Deletions, JournalError> {
        attempts::deletions(&self.pool, token).await
    }

    /// A merchant's kept card is forgotten. False when it was before.
    pub async fn forget(&self, token: &wire::Token, merchant: &wire::MerchantId) -> Result<bool, JournalError> {
        let (done, answer) = oneshot::channel();
        let write = Write::Forget(token.clone(), merchant.clone(), done);
        self.writes.send(write).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
    }

    /// The same by the word of two people, where nobody has said so before. False where somebody has: that word stands, and the office
    /// is told it once more.
    pub async fn forget_by_hand(
        &self,
        token: &wire::Token,
        merchant: &wire::MerchantId,
        by_hand: wire::ByHand,
    ) -> Result<bool, JournalError> {
        let (done, answer) = oneshot::channel();
        let write = Write::ForgetByHand(token.clone(), merchant.clone(), by_hand, done);
        self.writes.send(write).await.map_err(|_| JournalError::Busy)?;
        answer.await.map_err(|_| JournalError::Busy)?
    }

    /// A kept card.
    pub async fn stored_card(&self, token: &wire::Token) -> Result<Option<StoredCard>, JournalError> {
        cards::find(&self.pool, token).await
    }

    /// The office has stored every record up to this one.
    pub async fn acknowledge(&self, number: u64) {
        // If the writer is gone the process is ending; the office will be told again and skips what it has.
        let _ = self.writes.send(Write::Acknowledge(number)).await;
    }

    /// An office that is at the door has every record up to this one. If it had acknowledged more it was restored from a backup:
    /// then what it has forgotten is made ready to be sent again before this returns.
    pub async fn office_has(&self, number: u64) -> Result<(), JournalError> {
        let (done, answer) = oneshot::channel();
        self.writes.send(Write::TellAgain(Some(number), done)).await.map_err(|_| JournalError::Busy)?;
        let mut is_more = answer.await.map_err(|_| JournalError::Busy)??;
        // By pages: between them attempts are begun and ended.
        while is_more {
            let (done, answer) = oneshot::channel();
            self.writes.send(Write::TellAgain(None, done)).await.map_err(|_| JournalError::Busy)?;
            is_more = answer.await.map_err(|_| JournalError::Busy)??;
        }
        Ok(())
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

    /// The place of the newest attempt: rows are never removed, so those that come later have larger ones.
    pub async fn newest_attempt(&self) -> Result<i64, JournalError> {
        let newest = sqlx::query("SELECT COALESCE(MAX(rowid), 0) FROM attempt").fetch_one(&self.pool).await?;
        Ok(newest.get(0))
    }

    /// A page of attempts without a known outcome, oldest first, of those after the one place and up to the other; and after
    /// which place the next page comes, none where this was the last.
    pub async fn open_attempts(&self, places: (i64, i64)) -> Result<(Vec<OpenAttempt>, Option<i64>), JournalError> {
        attempts::open(&self.pool, places).await
    }

    /// Orders of bounced calls that must not be taken again, the oldest first.
    pub async fn taken_orders(&self) -> Result<Vec<TakenOrder>, JournalError> {
        orders::taken(&self.pool).await
    }

    /// An order that was made ahead of its call is kept, and the one whose place it takes is not good any more. It waits for the writer from
    /// this call on, behind what was said before: not only from when the answer is waited for.
    pub fn keep_order(&self, order: KeptOrder) -> impl Future<Output = Result<(), JournalError>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        let is_sent = self.writes.try_send(Write::KeepOrder(Box::new(order), done)).is_ok();
        async move { if is_sent { answer.await.map_err(|_| JournalError::Busy)? } else { Err(JournalError::Busy) } }
    }

    /// The code of an order is used, in the same way; false when it was not good any more. Only after `true` may its call be answered.
    pub fn use_code(&self, payment: PaymentId) -> impl Future<Output = Result<bool, JournalError>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        let is_sent = self.writes.try_send(Write::UseCode(payment, done)).is_ok();
        async move { if is_sent { answer.await.map_err(|_| JournalError::Busy)? } else { Err(JournalError::Busy) } }
    }

    /// Orders that were made ahead, those that end first first, and for some hours those that are over.
    pub async fn kept_orders(&self) -> Result<Vec<(KeptOrder, CodeState)>, JournalError> {
        codes::kept(&self.pool).await
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

    /// A page of approvals that are to be given back and have not been, oldest first, in the same way.
    pub async fn reversals_wanted(&self, places: (i64, i64)) -> Result<(Vec<Wanted>, Option<i64>), JournalError> {
        attempts::wanted(&self.pool, places).await
    }
}

async fn insert_record(
    connection: &mut SqliteConnection,
    number: u64,
    body: wire::RecordBody,
) -> Result<(), JournalError> {
    insert_record_as_of(connection, number, clock::unix_ms(), body).await
}

/// The same, of something that was before.
async fn insert_record_as_of(
    connection: &mut SqliteConnection,
    number: u64,
    at_unix_ms: i64,
    body: wire::RecordBody,
) -> Result<(), JournalError> {
    let record = Record { number, at_unix_ms, body };
    sqlx::query("INSERT INTO record (number, body, at_unix_ms) VALUES (?, ?, ?)")
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .bind(serde_json::to_string(&record)?)
        .bind(clock::unix_ms())
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
