//! The rows of payments that are due, in SQLite: handed out, kept apart, missed, called off.

use super::{adopt, agreements, outbox};
use crate::{
    recurring::{
        AgreementId, Due, DueState,
        late::{self, HandedOut, MissedRow},
        list::AgreementRow,
        messages::{About, Kind},
        money_of,
    },
    store::{
        StoreError,
        audit::Entry,
        payments::word,
        sqlite::{Sqlite, audit},
    },
};
use recurring::Fate;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// Agreements whose payments are handed out in one transaction.
const HAND_OUT_MAX: i64 = 50;
/// Given up in one go.
const MISSED_MAX: i64 = 50;
/// Agreements of which something is due.
pub(super) const DUE_AGREEMENTS: &str = "SELECT * FROM agreement WHERE next_at <= ? ORDER BY next_at LIMIT ?";
/// What waits, and is not to be begun any more. What was agreed on is paused or ended is not tried, and so not given up.
pub(super) const TOO_LATE: &str = "SELECT agreement, number FROM due_payment d \
     WHERE d.state IN ('waiting', 'sent') AND d.ready_at <= ?1 AND d.state = 'waiting' AND d.late_at < ?1 \
     AND (SELECT json_extract(body, '$.state') FROM agreement WHERE id = d.agreement) = 'active' LIMIT ?2";
/// What people are to decide about, oldest first.
pub(super) const MISSED: &str = "SELECT d.*, a.account, a.extension FROM due_payment d JOIN agreement a ON a.id = d.agreement \
     WHERE d.state = 'failed' AND d.trouble IN ('late', 'not_done') AND (?1 IS NULL OR a.extension = ?1) \
     ORDER BY d.due_at LIMIT ?2";

/// Makes rows of the payments that are due, and moves their agreements on, in one transaction.
pub(super) async fn hand_out(store: &Sqlite, now_ms: i64, late_days_max: u16) -> Result<usize, StoreError> {
    let mut tx = store.begin().await?;
    let rows = sqlx::query(DUE_AGREEMENTS).bind(now_ms).bind(HAND_OUT_MAX).fetch_all(&mut *tx).await?;
    let mut count = 0;
    for row in &rows {
        let row = agreements::agreement_of(row)?;
        let mut agreement = row.agreement.clone();
        let mut handed_out = late::hand_out(&mut agreement, &row.taken_at()?, now_ms, late_days_max)?;
        for one in &mut handed_out {
            let number = one.payment.number.into();
            // What was tried before a restore was not missed.
            one.is_missed &= adopt::tries(&mut tx, row.id, number).await?.is_empty();
            insert(&mut tx, now_ms, row.id, one).await?;
            adopt::one(&mut tx, now_ms, row.id, number).await?;
        }
        count += handed_out.len();
        agreements::put(&mut tx, now_ms, &row, &agreement).await?;
        if let Some(about) = late::about_missed(&handed_out) {
            note_missed(&mut tx, now_ms, &row, late::LATE).await?;
            outbox::tell_of(&mut tx, now_ms, row.id, Kind::Missed, Some(about)).await?;
        }
    }
    tx.commit().await?;
    Ok(count)
}

async fn insert(
    connection: &mut SqliteConnection,
    now_ms: i64,
    id: AgreementId,
    HandedOut { payment, times, is_missed }: &HandedOut,
) -> Result<(), StoreError> {
    let state = match payment.fate {
        Fate::Take if *is_missed => DueState::Failed,
        Fate::Take => DueState::Waiting,
        Fate::Skip => DueState::Skipped,
    };
    sqlx::query(
        "INSERT INTO due_payment (agreement, number, day, minor, currency, state, ready_at, due_at, late_at, trouble) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.0.to_string())
    .bind(payment.number)
    .bind(payment.due.to_string())
    .bind(payment.amount.minor)
    .bind(payment.amount.currency.code())
    .bind(word(&state)?)
    .bind(now_ms)
    .bind(times.due_at)
    .bind(times.late_at)
    .bind(is_missed.then_some(late::LATE))
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives up what waits and is too late. Returns how many.
pub(super) async fn miss(store: &Sqlite, now_ms: i64) -> Result<usize, StoreError> {
    let mut tx = store.begin().await?;
    let found = sqlx::query(TOO_LATE).bind(now_ms).bind(MISSED_MAX).fetch_all(&mut *tx).await?;
    for row in &found {
        let (id, number): (&str, i64) = (row.try_get("agreement")?, row.try_get("number")?);
        let late = sqlx::query(
            "UPDATE due_payment SET state = 'failed', trouble = ? WHERE agreement = ? AND number = ? AND state = 'waiting' \
             RETURNING number, day, minor, currency, state, tries, payment, ready_at, due_at, trouble",
        );
        let due = due_of(&late.bind(late::LATE).bind(id).bind(number).fetch_one(&mut *tx).await?)?;
        let Some(row) = agreements::find(&mut tx, agreements::id_of(id)?).await? else { continue };
        note_missed(&mut tx, now_ms, &row, late::LATE).await?;
        let about = About { number, amount: due.amount, due: Some(due.day), more: 0 };
        outbox::tell(&mut tx, now_ms, &row, Kind::Missed, Some(about)).await?;
    }
    tx.commit().await?;
    Ok(found.len())
}

/// The audit trail of an agreement has that a payment was given up.
pub(super) async fn note_missed(
    connection: &mut SqliteConnection,
    now_ms: i64,
    row: &AgreementRow,
    why: &str,
) -> Result<(), StoreError> {
    let id = row.id.0.to_string();
    tracing::warn!(agreement = id, why, "a recurring payment was not taken in its time: people decide");
    let entry =
        Entry { extension: Some(&row.extension), ..Entry::system(now_ms, "agreement_payment_missed", why, &id) };
    audit::insert(connection, &entry).await
}

/// What people are to decide about, of one extension or (none) of all, oldest first.
pub(super) async fn missed(store: &Sqlite, extension: Option<&str>, limit: i64) -> Result<Vec<MissedRow>, StoreError> {
    let rows = sqlx::query(MISSED).bind(extension).bind(limit).fetch_all(&store.writer).await?;
    let missed = |row: &SqliteRow| {
        Ok(MissedRow {
            agreement: agreements::id_of(row.try_get("agreement")?)?,
            account: row.try_get("account")?,
            extension: row.try_get("extension")?,
            due: due_of(row)?,
        })
    };
    rows.iter().map(missed).collect()
}

/// The next payment, in Unix milliseconds, may have come nearer to what is due and was not tried, which may then be less late:
/// as `recurring::agreement::late_at`.
pub(super) async fn keep_apart(
    connection: &mut SqliteConnection,
    id: AgreementId,
    next: Option<i64>,
) -> Result<(), StoreError> {
    let untried = sqlx::query(
        "UPDATE due_payment SET late_at = min(late_at, max(due_at + ?1, (due_at + ?2) / 2)) \
         WHERE agreement = ?3 AND state = 'waiting' AND tries = 0 AND due_at < ?2",
    );
    untried.bind(late::LATE_MIN_MS).bind(next).bind(id.0.to_string()).execute(connection).await?;
    Ok(())
}

/// After a pause the agreement goes on, which somebody wants: so do further tries of what was declined before it.
pub(super) async fn go_on(connection: &mut SqliteConnection, now_ms: i64, id: AgreementId) -> Result<(), StoreError> {
    let tried = "UPDATE due_payment SET late_at = ?1 + ?2, due_at = max(due_at, ?1) WHERE agreement = ?3 AND state = 'waiting' AND tries > 0";
    let tried = sqlx::query(tried).bind(now_ms).bind(late::BY_HAND_MS).bind(id.0.to_string());
    tried.execute(connection).await?;
    Ok(())
}

/// The agreement is canceled: a further try of what was declined would be a payment that nobody has agreed to any more.
pub(super) async fn call_off(connection: &mut SqliteConnection, id: AgreementId) -> Result<(), StoreError> {
    let waiting = sqlx::query("UPDATE due_payment SET state = 'skipped' WHERE agreement = ? AND state = 'waiting'");
    waiting.bind(id.0.to_string()).execute(connection).await?;
    Ok(())
}

/// A payment that was due, as its row says it.
pub(super) fn due_of(row: &SqliteRow) -> Result<Due, StoreError> {
    let state = match row.try_get("state")? {
        "waiting" => DueState::Waiting,
        "sent" => DueState::Sent,
        "paid" => DueState::Paid,
        "failed" => DueState::Failed,
        "skipped" => DueState::Skipped,
        _ => return Err(StoreError::Damaged("state")),
    };
    let number = |column| -> Result<u32, StoreError> {
        u32::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Damaged("number"))
    };
    let day: &str = row.try_get("day")?;
    Ok(Due {
        number: number("number")?,
        day: day.parse().map_err(|_| StoreError::Damaged("day"))?,
        amount: money_of(row.try_get("minor")?, row.try_get("currency")?)?,
        state,
        tries: number("tries")?,
        payment: row.try_get("payment")?,
        ready_at: row.try_get("ready_at")?,
        due_at: row.try_get("due_at")?,
        trouble: row.try_get("trouble")?,
    })
}
