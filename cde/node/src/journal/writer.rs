//! The journal's one writer: everything that waits goes into one transaction, and is answered after its commit.

use super::attempts::{begin, end};
use super::{JournalError, Write, cards, codes, insert_record, restored};
use crate::clock;
use sqlx::{Connection, Row, SqliteConnection};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use wire::{AttemptId, AuditEvent, JournalId, RecordBody};

/// Writes that share a commit.
const GROUP_MAX: usize = 256;
/// Audit rows, for which nobody waits, are given so long to become more: a commit for each would cost more than the calls that they tell of.
const AUDITS_GATHER: Duration = Duration::from_millis(20);
/// Between two tries to write audit rows that the disk did not take.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long an event that brought something up is known again. Adyen tries for thirty days
/// (docs.adyen.com/development-resources/webhooks/troubleshoot).
const HEARD_MS: i64 = 60 * 24 * 60 * 60 * 1000;
/// Tries of the last group while the process is ending.
const LAST_TRIES_MAX: u32 = 3;

type Answer = Box<dyn FnOnce(bool) + Send>;

/// What the writer's task owns.
pub(super) struct Writer {
    connection: SqliteConnection,
    queue: mpsc::Receiver<Write>,
    audits: mpsc::Receiver<AuditEvent>,
    newest: watch::Sender<u64>,
    /// How often every attempt was told again to an office that was restored.
    restores: watch::Sender<u64>,
    /// Audit rows that were taken and are not on disk: nobody else has them.
    rows: Vec<AuditEvent>,
    closers: Vec<oneshot::Sender<()>>,
    failures_in_a_row: u32,
    /// Acknowledged records are kept for so long.
    kept_ms: i64,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        (queue, audits): (mpsc::Receiver<Write>, mpsc::Receiver<AuditEvent>),
        (newest, restores): (watch::Sender<u64>, watch::Sender<u64>),
        kept_ms: i64,
    ) -> Self {
        let (rows, closers) = (Vec::new(), Vec::new());
        Self { connection, queue, audits, newest, restores, rows, closers, failures_in_a_row: 0, kept_ms }
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
        if group.is_empty() && self.closers.is_empty() {
            tokio::select! {
                biased;
                Some(write) = self.queue.recv() => self.take(group, write),
                () = tokio::time::sleep(AUDITS_GATHER) => {}
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
        let query = sqlx::query("SELECT MAX(acknowledged, (SELECT COALESCE(MAX(number), 0) FROM record)) FROM journal");
        let found: i64 = query.fetch_one(&mut self.connection).await?.get(0);
        Ok(u64::try_from(found).unwrap_or(known))
    }

    async fn commit(&mut self, group: Vec<Write>, answers: &mut Vec<Answer>) -> Result<u64, JournalError> {
        let newest = self.newest().await?;
        let mut number = newest;
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
                Write::MoveTo { attempt, gateway, credential, done } => {
                    let moved = move_to(&mut transaction, attempt, (&gateway, credential)).await;
                    hold_back(answers, done, moved)?;
                }
                Write::BeginForgetting(token, merchant, done) => {
                    let begun = cards::begin_forgetting(&mut transaction, number + 1, token, merchant).await;
                    number += u64::from(matches!(begun, Ok(true)));
                    hold_back(answers, done, begun)?;
                }
                Write::Forget(token, merchant, done) => {
                    let forgotten = cards::forget(&mut transaction, number + 1, (token, merchant), None).await;
                    number += u64::from(matches!(forgotten, Ok(true)));
                    hold_back(answers, done, forgotten)?;
                }
                Write::ForgetByHand(token, merchant, people, done) => {
                    let told = cards::forget_by_hand(&mut transaction, number + 1, (token, merchant), people).await;
                    number += u64::from(matches!(told, Ok(Some(_))));
                    hold_back(answers, done, told.map(|told| told == Some(true)))?;
                }
                Write::Heard { gateway, event, row, done } => {
                    let fresh = heard(&mut transaction, number + 1, (&gateway, &event), *row).await;
                    number += u64::from(matches!(fresh, Ok(true)));
                    hold_back(answers, done, fresh)?;
                }
                Write::KeepOrder(order, done) => hold_back(answers, done, codes::keep(&mut transaction, &order).await)?,
                Write::UseCode(payment, done) => {
                    hold_back(answers, done, codes::use_up(&mut transaction, payment).await)?;
                }
                Write::Acknowledge(upto) => acknowledge(&mut transaction, (upto, newest), self.kept_ms).await?,
                Write::TellAgain(stored, done) => {
                    let told = restored::tell(&mut transaction, number + 1, stored).await;
                    number += told.as_ref().map_or(0, |told| told.records);
                    if told.as_ref().is_ok_and(|told| told.is_all) {
                        answers.push(count(self.restores.clone()));
                    }
                    hold_back(answers, done, told.map(|told| told.is_more))?;
                }
                Write::Rename(id, done) => {
                    let renamed = rename(&mut transaction, id).await;
                    number = renamed.as_ref().map_or(number, |taken_off| number.saturating_sub(*taken_off));
                    hold_back(answers, done, renamed.map(drop))?;
                }
                Write::Close(done) => self.closers.push(done),
            }
        }
        transaction.commit().await?;
        Ok(number)
    }
}

/// Believed, what was never written would count records that are still to come as stored. It is compared here, where every record that
/// anybody may have read is known: readers see a commit before its number is published.
async fn acknowledge(
    transaction: &mut SqliteConnection,
    (upto, newest): (u64, u64),
    kept_ms: i64,
) -> Result<(), JournalError> {
    if upto > newest {
        tracing::error!(upto, newest, "the office acknowledged a record that was never written: ignored");
        return Ok(());
    }
    restored::acknowledge(transaction, upto, clock::unix_ms().saturating_sub(kept_ms)).await
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

/// Counts what is committed.
fn count(counter: watch::Sender<u64>) -> Answer {
    Box::new(move |committed| counter.send_modify(|count| *count = count.saturating_add(u64::from(committed))))
}

async fn move_to(
    connection: &mut SqliteConnection,
    attempt: AttemptId,
    (gateway, credential): (&str, Option<String>),
) -> Result<bool, JournalError> {
    let moved = sqlx::query("UPDATE attempt SET gateway = ?, credential = ? WHERE id = ? AND state = 'sent'");
    let moved = moved.bind(gateway).bind(credential).bind(attempt.to_string()).execute(connection).await?;
    Ok(moved.rows_affected() > 0)
}

/// False when the event was heard before.
async fn heard(
    connection: &mut SqliteConnection,
    number: u64,
    (gateway, event): (&str, &str),
    row: AuditEvent,
) -> Result<bool, JournalError> {
    let now = clock::unix_ms();
    let old = sqlx::query("DELETE FROM heard WHERE at_unix_ms < ?").bind(now.saturating_sub(HEARD_MS));
    old.execute(&mut *connection).await?;
    let query = sqlx::query("INSERT INTO heard (gateway, event, at_unix_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    let inserted = query.bind(gateway).bind(event).bind(now).execute(&mut *connection).await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    insert_record(connection, number, RecordBody::Audit(row)).await?;
    Ok(true)
}

/// The records that wait are numbered anew, from 1: whoever has nothing of a journal and is sent a later record knows that some
/// are missing. Returns what was taken off their numbers. No code is good any more.
async fn rename(connection: &mut SqliteConnection, id: JournalId) -> Result<u64, JournalError> {
    let found: i64 = sqlx::query("SELECT acknowledged FROM journal").fetch_one(&mut *connection).await?.get(0);
    sqlx::query("DELETE FROM record WHERE number <= ?").bind(found).execute(&mut *connection).await?;
    let renumber = "UPDATE record SET number = number - ?1, body = json_set(body, '$.number', number - ?1)";
    sqlx::query(renumber).bind(found).execute(&mut *connection).await?;
    codes::end_all(connection).await?;
    sqlx::query("UPDATE journal SET id = ?, acknowledged = 0, restored = NULL, tell_after = NULL")
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(u64::try_from(found).unwrap_or(0))
}
