//! What people change of an agreement and of its payments that are due, in SQLite.

use super::{agreements, links, outbox};
use crate::{
    recurring::{
        AgreementId, late,
        list::AgreementRow,
        messages::{About, Kind},
        money_of,
        waiting::{At, Deed, Step, moved_untried},
    },
    store::{
        StoreError,
        audit::Entry,
        sqlite::{Sqlite, audit},
    },
};
use jiff::civil::Date;
use recurring::{Agreement, AgreementError};
use sqlx::{Row, SqliteConnection};
use wire::Money;

type Done = Result<Result<(), AgreementError>, StoreError>;

/// Does it, with its row of the audit trail and the customer's text, in one transaction.
pub(super) async fn act(
    store: &Sqlite,
    at: At,
    id: AgreementId,
    deed: &Deed,
    entry: &Entry<'_>,
) -> Result<Option<Result<(), AgreementError>>, StoreError> {
    let mut tx = store.begin().await?;
    let Some(row) = agreements::find(&mut tx, id).await? else { return Ok(None) };
    let mut agreement = row.agreement.clone();
    let done = match deed.begin(&mut agreement, at) {
        Ok(step) => take_step(&mut tx, at, &row, &mut agreement, step).await?,
        Err(refused) => Err(refused),
    };
    if let Err(refused) = done {
        return Ok(Some(Err(refused)));
    }
    agreements::put(&mut tx, at.now_ms, &row, &agreement).await?;
    audit::insert(&mut tx, entry).await?;
    if let Some(kind) = deed.kind() {
        outbox::tell_of(&mut tx, at.now_ms, id, kind, None).await?;
    }
    tx.commit().await?;
    Ok(Some(Ok(())))
}

async fn take_step(
    tx: &mut SqliteConnection,
    at: At,
    row: &AgreementRow,
    agreement: &mut Agreement,
    step: Step,
) -> Done {
    let id = row.id;
    match step {
        Step::Nothing => Ok(Ok(())),
        Step::LeaveOutUntried => leave_out_untried(tx, id).await.map(Ok),
        Step::LeaveOut { number, make_up } => Ok(match leave_out(tx, id, number).await? {
            0 => Err(AgreementError::Issued),
            _ if make_up => agreement.make_up(),
            _ => Ok(()),
        }),
        Step::Move { number, due, amount } => move_untried(tx, at, row, agreement, (number, due, amount)).await,
        Step::TakeMissed(number) => take_missed(tx, at.now_ms, id, number).await.map(one_missed),
        Step::LeaveMissed(number) => leave_missed(tx, id, number).await.map(one_missed),
        Step::TakeBackLinks => links::take_back(tx, id).await.map(Ok),
    }
}

fn one_missed(rows: u64) -> Result<(), AgreementError> {
    if rows == 1 { Ok(()) } else { Err(AgreementError::NotMissed) }
}

async fn leave_out_untried(tx: &mut SqliteConnection, id: AgreementId) -> Result<(), StoreError> {
    let untried = "UPDATE due_payment SET state = 'skipped', trouble = 'amended' WHERE agreement = ? AND state = 'waiting' AND tries = 0";
    sqlx::query(untried).bind(id.0.to_string()).execute(tx).await?;
    Ok(())
}

async fn leave_out(tx: &mut SqliteConnection, id: AgreementId, number: u32) -> Result<u64, StoreError> {
    let waiting = "UPDATE due_payment SET state = 'skipped' WHERE agreement = ? AND number = ? AND state = 'waiting'";
    Ok(sqlx::query(waiting).bind(id.0.to_string()).bind(number).execute(tx).await?.rows_affected())
}

async fn move_untried(
    tx: &mut SqliteConnection,
    at: At,
    row: &AgreementRow,
    agreement: &Agreement,
    (number, due, amount): (u32, Option<Date>, Option<Money>),
) -> Done {
    let id = row.id.0.to_string();
    let untried = "SELECT day, minor, currency FROM due_payment WHERE agreement = ? AND number = ? AND state = 'waiting' AND tries = 0";
    let Some(found) = sqlx::query(untried).bind(&id).bind(number).fetch_optional(&mut *tx).await? else {
        return Ok(Err(AgreementError::Issued));
    };
    let day = found.try_get::<&str, _>("day")?.parse().map_err(|_| StoreError::Damaged("day"))?;
    let was = (day, money_of(found.try_get("minor")?, found.try_get("currency")?)?);
    let (due, amount) = match moved_untried(agreement, was, due, amount) {
        Ok(moved) => moved,
        Err(refused) => return Ok(Err(refused)),
    };
    let times = row.taken_at()?.times(due, agreement.day_after(due), at.late_days_max)?;
    sqlx::query(
        "UPDATE due_payment SET day = ?, minor = ?, ready_at = ?, due_at = ?, late_at = ? WHERE agreement = ? AND number = ?",
    )
    .bind(due.to_string())
    .bind(amount.minor)
    .bind(times.due_at)
    .bind(times.due_at)
    .bind(times.late_at)
    .bind(id)
    .bind(number)
    .execute(&mut *tx)
    .await?;
    if due > at.today {
        let about = About { number: number.into(), amount, due: Some(due), more: 0 };
        outbox::tell(tx, at.now_ms, row, Kind::Reminder, Some(about)).await?;
    }
    Ok(Ok(()))
}

async fn take_missed(tx: &mut SqliteConnection, now_ms: i64, id: AgreementId, number: u32) -> Result<u64, StoreError> {
    let missed = sqlx::query(
        "UPDATE due_payment SET state = 'waiting', trouble = NULL, refused = 0, ready_at = ?1, due_at = ?1, late_at = ?1 + ?2 \
         WHERE agreement = ?3 AND number = ?4 AND state = 'failed' AND trouble IN ('late', 'not_done')",
    );
    let missed = missed.bind(now_ms).bind(late::BY_HAND_MS).bind(id.0.to_string()).bind(number);
    Ok(missed.execute(tx).await?.rows_affected())
}

async fn leave_missed(tx: &mut SqliteConnection, id: AgreementId, number: u32) -> Result<u64, StoreError> {
    let missed = sqlx::query(
        "UPDATE due_payment SET state = 'skipped' WHERE agreement = ? AND number = ? AND state = 'failed' \
         AND trouble IN ('late', 'not_done')",
    );
    Ok(missed.bind(id.0.to_string()).bind(number).execute(tx).await?.rows_affected())
}
