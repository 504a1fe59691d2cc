//! The journal's one writer: everything that waits goes into one transaction, and is answered after its commit.

use super::{JournalError, NewAttempt, Write, insert_record};
use crate::clock;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use wire::{AttemptId, Outcome, RecordBody};

/// Writes that share a commit.
const GROUP_MAX: usize = 256;

type Answer = Box<dyn FnOnce(bool) + Send>;

/// Runs until every handle of the journal is gone.
pub(super) async fn run(
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Write>,
    newest: watch::Sender<u64>,
) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
        let mut answers = Vec::new();
        let number = *newest.borrow();
        match commit(&mut connection, number, std::mem::take(&mut group), &mut answers).await {
            Ok(number) => {
                newest.send_replace(number);
                answers.into_iter().for_each(|answer| answer(true));
            }
            Err(error) => {
                tracing::error!(%error, "journal: a write failed; nothing of it is sent anywhere");
                answers.into_iter().for_each(|answer| answer(false));
            }
        }
    }
    // A clean close folds the write-ahead log back into the file; a failure changes nothing that was committed.
    let _ = connection.close().await;
}

async fn commit(
    connection: &mut SqliteConnection,
    mut number: u64,
    group: Vec<Write>,
    answers: &mut Vec<Answer>,
) -> Result<u64, JournalError> {
    let mut transaction = connection.begin().await?;
    for write in group {
        match write {
            Write::Audit(event) => {
                number += 1;
                insert_record(&mut transaction, number, RecordBody::Audit(*event)).await?;
            }
            Write::Begin(attempt, done) => {
                let begun = begin(&mut transaction, number + 1, &attempt).await;
                number += u64::from(begun.is_ok());
                answers.push(answer(done, begun));
            }
            Write::End { attempt, outcome, done } => {
                let ended = end(&mut transaction, number + 1, attempt, outcome).await;
                number += u64::from(matches!(ended, Ok(true)));
                answers.push(answer(done, ended));
            }
            Write::Acknowledge(upto) => acknowledge(&mut transaction, upto).await?,
        }
    }
    transaction.commit().await?;
    Ok(number)
}

/// Holds the result back until the commit; if that fails, so has this.
fn answer<T: Send + 'static>(
    done: oneshot::Sender<Result<T, JournalError>>,
    result: Result<T, JournalError>,
) -> Answer {
    Box::new(move |committed| {
        // Nobody waits any more only when the process is ending.
        let _ = done.send(if committed { result } else { Err(JournalError::Busy) });
    })
}

async fn begin(connection: &mut SqliteConnection, number: u64, attempt: &NewAttempt) -> Result<(), JournalError> {
    let inserted = sqlx::query(
        "INSERT INTO attempt (id, payment, call, merchant, gateway, amount_minor, currency, digest, sent_unix_ms, state) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'sent') ON CONFLICT DO NOTHING",
    )
    .bind(attempt.attempt.to_string())
    .bind(attempt.payment.to_string())
    .bind(attempt.call.to_string())
    .bind(attempt.merchant.as_str())
    .bind(&attempt.gateway)
    .bind(attempt.amount.minor)
    .bind(attempt.amount.currency.code())
    .bind(&attempt.digest)
    .bind(clock::unix_ms())
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(JournalError::SecondAttempt);
    }
    let body = RecordBody::AttemptSent {
        attempt: attempt.attempt,
        payment: attempt.payment,
        call: attempt.call,
        merchant: attempt.merchant.clone(),
        amount: attempt.amount,
        card: attempt.card,
    };
    insert_record(connection, number, body).await
}

async fn end(
    connection: &mut SqliteConnection,
    number: u64,
    attempt: AttemptId,
    outcome: Outcome,
) -> Result<bool, JournalError> {
    let state = state_name(&outcome);
    let updated = sqlx::query(
        "UPDATE attempt SET state = ? WHERE id = ? AND (state = 'sent' OR (state = 'unknown' AND ? <> 'unknown'))",
    )
    .bind(state)
    .bind(attempt.to_string())
    .bind(state)
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(false);
    }
    let row = sqlx::query("SELECT payment FROM attempt WHERE id = ?")
        .bind(attempt.to_string())
        .fetch_one(&mut *connection)
        .await?;
    let payment = row
        .get::<&str, _>(0)
        .parse()
        .map_err(|_| sqlx::Error::Protocol("an attempt's payment id is not readable".to_owned()))?;
    insert_record(connection, number, RecordBody::AttemptEnded { attempt, payment, outcome }).await?;
    Ok(true)
}

async fn acknowledge(connection: &mut SqliteConnection, upto: u64) -> Result<(), JournalError> {
    let upto = i64::try_from(upto).unwrap_or(i64::MAX);
    sqlx::query("UPDATE journal SET acknowledged = MAX(acknowledged, ?)").bind(upto).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM record WHERE number <= ?").bind(upto).execute(&mut *connection).await?;
    Ok(())
}

fn state_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved { .. } => "approved",
        Outcome::Declined { .. } => "declined",
        Outcome::Rejected => "rejected",
        Outcome::Unknown => "unknown",
        Outcome::Abandoned => "abandoned",
    }
}

/// Is this a last word?
pub(crate) fn settled(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Unknown)
}
