//! The journal's one writer: everything that waits goes into one transaction, and is answered after its commit.

use super::attempts::{begin, end};
use super::{JournalError, Write, insert_record};
use sqlx::{Connection, Row, SqliteConnection};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use wire::{AttemptId, AuditEvent, JournalId, RecordBody};

/// Writes that share a commit.
const GROUP_MAX: usize = 256;
/// Between two tries to write audit rows that the disk did not take.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Tries of the last group while the process is ending.
const LAST_TRIES_MAX: u32 = 3;

type Answer = Box<dyn FnOnce(bool) + Send>;

/// What the writer's task owns.
pub(super) struct Writer {
    connection: SqliteConnection,
    queue: mpsc::Receiver<Write>,
    audits: mpsc::Receiver<AuditEvent>,
    newest: watch::Sender<u64>,
    /// Audit rows that were taken and are not on disk: nobody else has them.
    rows: Vec<AuditEvent>,
    closers: Vec<oneshot::Sender<()>>,
    failures_in_a_row: u32,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        queue: mpsc::Receiver<Write>,
        audits: mpsc::Receiver<AuditEvent>,
        newest: watch::Sender<u64>,
    ) -> Self {
        Self { connection, queue, audits, newest, rows: Vec::new(), closers: Vec::new(), failures_in_a_row: 0 }
    }

    /// Runs until the journal is closed or every handle of it is gone.
    pub(super) async fn run(mut self) {
        let mut group = Vec::new();
        while self.gather(&mut group).await {
            if group.is_empty() && self.rows.is_empty() {
                continue;
            }
            self.write(std::mem::take(&mut group)).await;
            if self.queue.is_closed() && self.failures_in_a_row >= LAST_TRIES_MAX {
                let rows = self.rows.len() + self.audits.len();
                tracing::error!(rows, "journal: the disk takes nothing and the process is ending: audit rows are lost");
                break;
            }
        }
        // A clean close folds the write-ahead log back into the file; a failure changes nothing that was committed.
        let _ = self.connection.close().await;
        for closed in self.closers {
            // Nobody waits any more only when the process is ending without us.
            let _ = closed.send(());
        }
    }

    /// Waits for something to write. False when nothing can come any more.
    async fn gather(&mut self, group: &mut Vec<Write>) -> bool {
        if self.rows.is_empty() {
            tokio::select! {
                // What happened before an attempt has a lower number than the attempt.
                biased;
                Some(row) = self.audits.recv() => self.rows.push(row),
                Some(write) = self.queue.recv() => self.take(group, write),
                else => return false,
            }
        } else {
            tokio::select! {
                Some(write) = self.queue.recv() => self.take(group, write),
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        }
        while group.len() < GROUP_MAX {
            let Ok(write) = self.queue.try_recv() else { break };
            self.take(group, write);
        }
        while self.rows.len() < GROUP_MAX {
            let Ok(row) = self.audits.try_recv() else { break };
            self.rows.push(row);
        }
        true
    }

    fn take(&mut self, group: &mut Vec<Write>, write: Write) {
        match write {
            Write::Close(done) => {
                self.queue.close();
                self.audits.close();
                self.closers.push(done);
            }
            write => group.push(write),
        }
    }

    async fn write(&mut self, group: Vec<Write>) {
        let mut answers = Vec::new();
        match self.commit(group, &mut answers).await {
            Ok(number) => {
                self.rows.clear();
                self.failures_in_a_row = 0;
                self.newest.send_replace(number);
                answers.into_iter().for_each(|answer| answer(true));
            }
            Err(error) => {
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                tracing::error!(%error, rows = self.rows.len(),
                    "journal: a write failed; no attempt of it is sent anywhere, its audit rows are tried again");
                answers.into_iter().for_each(|answer| answer(false));
            }
        }
    }

    /// The newest number. After a failure the disk is asked: a commit that reported an error may have been done, and a
    /// number that is used twice would be refused for ever.
    async fn newest(&mut self) -> Result<u64, JournalError> {
        let known = *self.newest.borrow();
        if self.failures_in_a_row == 0 {
            return Ok(known);
        }
        let query = sqlx::query("SELECT COALESCE(MAX(number), 0) FROM record");
        let found: i64 = query.fetch_one(&mut self.connection).await?.get(0);
        Ok(known.max(u64::try_from(found).unwrap_or(0)))
    }

    async fn commit(&mut self, group: Vec<Write>, answers: &mut Vec<Answer>) -> Result<u64, JournalError> {
        let mut number = self.newest().await?;
        let mut transaction = self.connection.begin().await?;
        for row in &self.rows {
            number += 1;
            insert_record(&mut transaction, number, RecordBody::Audit(row.clone())).await?;
        }
        for write in group {
            match write {
                Write::Begin(attempt, done) => {
                    let begun = begin(&mut transaction, number + 1, &attempt).await;
                    number += u64::from(begun.is_ok());
                    hold_back(answers, done, begun)?;
                }
                Write::End { attempt, ending, done } => {
                    let ended = end(&mut transaction, number + 1, attempt, *ending).await;
                    number += ended.as_ref().copied().unwrap_or(0);
                    hold_back(answers, done, ended.map(|records| records > 0))?;
                }
                Write::MoveTo { attempt, gateway, done } => {
                    let moved = move_to(&mut transaction, attempt, &gateway).await;
                    hold_back(answers, done, moved)?;
                }
                Write::Acknowledge(upto) => acknowledge(&mut transaction, upto).await?,
                Write::Rename(id, done) => {
                    let renamed = rename(&mut transaction, id).await;
                    hold_back(answers, done, renamed)?;
                }
                Write::Close(done) => self.closers.push(done),
            }
        }
        transaction.commit().await?;
        Ok(number)
    }
}

/// Holds the answer back until the commit; if that fails, so has this. When the disk refused, the transaction may be
/// gone already and what follows would be written without it: then the whole group has failed.
fn hold_back<T: Send + 'static>(
    answers: &mut Vec<Answer>,
    done: oneshot::Sender<Result<T, JournalError>>,
    result: Result<T, JournalError>,
) -> Result<(), JournalError> {
    match result {
        Err(JournalError::Database(error)) if !matches!(error, sqlx::Error::Protocol(_)) => {
            // Nobody waits any more only when the process is ending.
            let _ = done.send(Err(JournalError::Busy));
            Err(error.into())
        }
        result => {
            answers.push(answer(done, result));
            Ok(())
        }
    }
}

fn answer<T: Send + 'static>(
    done: oneshot::Sender<Result<T, JournalError>>,
    result: Result<T, JournalError>,
) -> Answer {
    Box::new(move |committed| {
        // Nobody waits any more only when the process is ending.
        let _ = done.send(if committed { result } else { Err(JournalError::Busy) });
    })
}

async fn acknowledge(connection: &mut SqliteConnection, upto: u64) -> Result<(), JournalError> {
    let upto = i64::try_from(upto).unwrap_or(i64::MAX);
    sqlx::query("UPDATE journal SET acknowledged = MAX(acknowledged, ?)").bind(upto).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM record WHERE number <= ?").bind(upto).execute(&mut *connection).await?;
    Ok(())
}

async fn move_to(connection: &mut SqliteConnection, attempt: AttemptId, gateway: &str) -> Result<bool, JournalError> {
    let moved = sqlx::query("UPDATE attempt SET gateway = ? WHERE id = ? AND state = 'sent'");
    let moved = moved.bind(gateway).bind(attempt.to_string()).execute(connection).await?;
    Ok(moved.rows_affected() > 0)
}

async fn rename(connection: &mut SqliteConnection, id: JournalId) -> Result<(), JournalError> {
    sqlx::query("UPDATE journal SET id = ?").bind(id.to_string()).execute(connection).await?;
    Ok(())
}
