//! Tries of payments that are due, in SQLite: each in one hand for a while, and its id written down before it is asked for.

use super::{agreements, due, outbox};
use crate::{
    recurring::{
        AgreementId, ChargeOrder, DueState, brand_of,
        jobs::{End, Job, Left, Plan},
        messages::About,
        money_of,
    },
    store::{
        StoreError,
        payments::{json, word},
        sqlite::Sqlite,
    },
};
use jiff::Timestamp;
use recurring::{Agreement, Reason, State, subsequent};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;
use wire::{Advice, AttemptId, Outcome};

/// As far back as any network counts.
const HISTORY_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The most attempts that are counted: more than any network allows.
const HISTORY_MAX: i64 = 1000;
/// A further try after a decline keeps so far from tries of other payments of its agreement.
const APART_MS: i64 = 12 * 60 * 60 * 1000;
/// What may be done next. Of an agreement one payment is in flight at a time; a new try is begun while it may (`?2`), before it
/// is late, and one after a decline apart from others (`?3`), which come first.
pub(super) const NEXT_JOB: &str = "SELECT d.agreement, d.number, d.day, d.minor, d.currency, d.state, d.attempt, d.tries, d.fence, d.payment, \
     d.refused, d.late_at, a.merchant, a.token, a.brand, a.reason, a.network_id, a.extension, \
     json_extract(a.body, '$.state') AS agreed \
     FROM due_payment d JOIN agreement a ON a.id = d.agreement \
     WHERE d.state IN ('waiting', 'sent') AND d.ready_at <= ?1 AND d.lease_until <= ?1 \
     AND (d.state = 'sent' OR (?2 AND json_extract(a.body, '$.state') = 'active' AND (d.late_at IS NULL OR d.late_at >= ?1) \
     AND NOT EXISTS (SELECT 1 FROM due_payment o WHERE o.agreement = d.agreement AND o.state = 'sent') \
     AND NOT (d.trouble IS 'declined' AND (EXISTS (SELECT 1 FROM due_attempt t WHERE t.agreement = d.agreement \
     AND t.number <> d.number AND t.sent_at > ?3) OR EXISTS (SELECT 1 FROM due_payment o WHERE o.agreement = d.agreement \
     AND o.state = 'waiting' AND o.tries = 0 AND o.ready_at <= ?1))))) \
     ORDER BY d.ready_at LIMIT 1";

/// Takes a payment for a while: one that nobody holds. The id of its try is in the database when this returns. Where none
/// may be begun, only what was asked for before is taken, to be asked after.
pub(super) async fn lease(
    store: &Sqlite,
    now_ms: i64,
    lease_ms: i64,
    may_begin: bool,
) -> Result<Option<Job>, StoreError> {
    let mut tx = store.begin().await?;
    let row = sqlx::query(NEXT_JOB).bind(now_ms).bind(may_begin).bind(now_ms.saturating_sub(APART_MS));
    let Some(row) = row.fetch_optional(&mut *tx).await? else { return Ok(None) };
    let fresh = AttemptId(Uuid::now_v7());
    let under_way: Option<String> = row.try_get("attempt")?;
    let is_fresh = row.try_get::<&str, _>("state")? == "waiting";
    let attempt = match under_way.filter(|_| !is_fresh) {
        Some(text) => text.parse().map_err(|_| StoreError::Damaged("attempt"))?,
        None => fresh,
    };
    let mut job = Job { is_fresh, ..job_of(&row, attempt)? };
    job.order.may_begin &= may_begin && job.is_in_time(now_ms);
    take(&mut tx, &job, now_ms.saturating_add(lease_ms), is_fresh).await?;
    if is_fresh {
        insert_attempt(&mut tx, now_ms, &job, row.try_get::<i64, _>("tries")? + 1).await?;
    }
    tx.commit().await?;
    Ok(Some(job))
}

/// Writes how a try ended. Who has lost the lease writes nothing: whoever has it asks for the same attempt.
pub(super) async fn settle(store: &Sqlite, now_ms: i64, job: &Job, end: &End) -> Result<(), StoreError> {
    let Left { state, ready_at, outcome, trouble } = end.left(now_ms);
    let mut tx = store.begin().await?;
    // Its agreement was canceled while it was asked for: a further try is agreed on by nobody.
    let is_over = end.is_open() && state_of(&mut tx, job.agreement).await? == State::Canceled;
    let done = sqlx::query(
        "UPDATE due_payment SET state = ?, ready_at = ?, trouble = ?, lease_until = 0 WHERE agreement = ? AND number = ? AND fence = ? \
         AND state = 'sent'",
    )
    .bind(word(if is_over { &DueState::Skipped } else { &state })?)
    .bind(ready_at)
    .bind(trouble)
    .bind(job.agreement.0.to_string())
    .bind(job.number)
    .bind(job.fence)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    let ended = sqlx::query("UPDATE due_attempt SET outcome = ? WHERE id = ?").bind(outcome);
    ended.bind(job.order.attempt.to_string()).execute(&mut *tx).await?;
    if let Some(plan) = end.plan(job) {
        set_plan(&mut tx, job, &plan).await?;
    }
    if end.cancels() {
        agreements::cancel(&mut tx, now_ms, job.agreement, "revoked").await?;
    }
    if !is_over {
        tell(&mut tx, now_ms, job, end).await?;
    }
    Ok(tx.commit().await?)
}

/// When this card was charged this amount for this merchant, as far back as networks count, and how often this payment
/// was declined before.
pub(super) async fn history(store: &Sqlite, now_ms: i64, job: &Job) -> Result<(Vec<Timestamp>, usize), StoreError> {
    let times: Vec<i64> = sqlx::query_scalar(
        "SELECT t.sent_at FROM due_attempt t JOIN due_payment d ON d.agreement = t.agreement AND d.number = t.number \
         JOIN agreement a ON a.id = d.agreement \
         WHERE coalesce((SELECT same_as FROM kept_card WHERE token = a.token), a.token) \
             = coalesce((SELECT same_as FROM kept_card WHERE token = ?1), ?1) AND a.merchant = ? AND d.minor = ? AND d.currency = ? \
         AND t.sent_at > ? AND t.outcome IS NOT 'not_done' ORDER BY t.sent_at DESC LIMIT ?",
    )
    .bind(job.order.token.as_str())
    .bind(job.order.merchant.as_str())
    .bind(job.order.amount.minor)
    .bind(job.order.amount.currency.code())
    .bind(now_ms.saturating_sub(HISTORY_MS))
    .bind(HISTORY_MAX)
    .fetch_all(&store.writer)
    .await?;
    let declines: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM due_attempt WHERE agreement = ? AND number = ? AND outcome = 'declined'",
    )
    .bind(job.agreement.0.to_string())
    .bind(job.number)
    .fetch_one(&store.writer)
    .await?;
    let times = times.into_iter().filter_map(|time| Timestamp::from_millisecond(time).ok()).collect();
    Ok((times, usize::try_from(declines).unwrap_or(usize::MAX)))
}

/// When an attempt was asked for, its agreement was last changed, or it became too late to ask for it again, whichever came
/// last; none: a record tells of it, or nobody has asked for it.
pub(super) async fn untold_since(store: &Sqlite, now_ms: i64, attempt: AttemptId) -> Result<Option<i64>, StoreError> {
    let since = sqlx::query_scalar(
        "SELECT max(t.sent_at, a.updated_at, CASE WHEN d.late_at <= ?2 THEN d.late_at ELSE 0 END) FROM due_attempt t \
         JOIN agreement a ON a.id = t.agreement JOIN due_payment d ON d.agreement = t.agreement AND d.number = t.number \
         WHERE t.id = ?1 AND NOT EXISTS (SELECT 1 FROM attempt WHERE id = ?1)",
    );
    Ok(since.bind(attempt.to_string()).bind(now_ms).fetch_optional(&store.writer).await?)
}

/// How an attempt has ended by the records, and what the network advised; none: they do not tell.
pub(super) async fn told(store: &Sqlite, attempt: AttemptId) -> Result<Option<(Outcome, Option<Advice>)>, StoreError> {
    let found: Option<(Option<String>, Option<String>)> =
        sqlx::query_as("SELECT outcome, advice FROM attempt WHERE id = ?")
            .bind(attempt.to_string())
            .fetch_optional(&store.writer)
            .await?;
    let Some((Some(outcome), advice)) = found else { return Ok(None) };
    let advice = advice.map(|word| serde_json::from_value(serde_json::Value::String(word)));
    let advice = advice.transpose().map_err(|_| StoreError::Damaged("advice"))?;
    Ok(Some((json(&outcome, "outcome")?, advice)))
}

async fn take(connection: &mut SqliteConnection, job: &Job, until_ms: i64, is_fresh: bool) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE due_payment SET state = 'sent', attempt = ?, payment = ?, tries = tries + ?, lease_until = ?, fence = ? \
         WHERE agreement = ? AND number = ?",
    )
    .bind(job.order.attempt.to_string())
    .bind(job.order.payment.to_string())
    .bind(i64::from(is_fresh))
    .bind(until_ms)
    .bind(job.fence)
    .bind(job.agreement.0.to_string())
    .bind(job.number)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_attempt(
    connection: &mut SqliteConnection,
    now_ms: i64,
    job: &Job,
    r#try: i64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO due_attempt (id, agreement, number, try, sent_at) VALUES (?, ?, ?, ?, ?)")
        .bind(job.order.attempt.to_string())
        .bind(job.agreement.0.to_string())
        .bind(job.number)
        .bind(r#try)
        .bind(now_ms)
        .execute(connection)
        .await?;
    Ok(())
}

async fn state_of(connection: &mut SqliteConnection, id: AgreementId) -> Result<State, StoreError> {
    let body: String = sqlx::query_scalar("SELECT body FROM agreement WHERE id = ?")
        .bind(id.0.to_string())
        .fetch_one(connection)
        .await?;
    Ok(json::<Agreement>(&body, "agreement")?.state())
}

async fn set_plan(connection: &mut SqliteConnection, job: &Job, plan: &Plan) -> Result<(), StoreError> {
    let (due_at, late_at) = plan.times.unzip();
    sqlx::query(
        "UPDATE due_payment SET due_at = coalesce(?, due_at), late_at = coalesce(?, late_at), refused = ? \
         WHERE agreement = ? AND number = ?",
    )
    .bind(due_at)
    .bind(late_at)
    .bind(plan.refused)
    .bind(job.agreement.0.to_string())
    .bind(job.number)
    .execute(connection)
    .await?;
    Ok(())
}

/// The customer is told how a payment ended, in the transaction that says so.
async fn tell(connection: &mut SqliteConnection, now_ms: i64, job: &Job, end: &End) -> Result<(), StoreError> {
    let Some(kind) = end.kind() else { return Ok(()) };
    let Some(row) = agreements::find(connection, job.agreement).await? else { return Ok(()) };
    let day = matches!(end, End::Missed).then_some(job.day);
    if day.is_some() {
        due::note_missed(connection, now_ms, &row, "not_done").await?;
    }
    let about = About { number: job.number, amount: job.order.amount, due: day, more: 0 };
    outbox::tell(connection, now_ms, &row, kind, Some(about)).await
}

fn job_of(row: &SqliteRow, attempt: AttemptId) -> Result<Job, StoreError> {
    let reason = serde_json::Value::String(row.try_get("reason")?);
    let reason: Reason = serde_json::from_value(reason).map_err(|_| StoreError::Damaged("reason"))?;
    let network_id: Option<&str> = row.try_get("network_id")?;
    let network_id = network_id.map(|id| id.parse().map_err(|_| StoreError::Damaged("network id"))).transpose()?;
    let payment: Option<&str> = row.try_get("payment")?;
    let payment = payment.map(|id| id.parse().map_err(|_| StoreError::Damaged("payment id"))).transpose()?;
    let extension: &str = row.try_get("extension")?;
    let merchant: &str = row.try_get("merchant")?;
    let token: &str = row.try_get("token")?;
    let (agreement, number) = (agreements::id_of(row.try_get("agreement")?)?, row.try_get("number")?);
    Ok(Job {
        order: ChargeOrder {
            attempt,
            merchant: merchant.parse().map_err(|_| StoreError::Damaged("merchant"))?,
            token: token.parse().map_err(|_| StoreError::Damaged("token"))?,
            amount: money_of(row.try_get("minor")?, row.try_get("currency")?)?,
            payment: payment.unwrap_or_else(|| agreement.payment(number)),
            extension: extension.parse().map_err(|_| StoreError::Damaged("extension"))?,
            credential: subsequent(reason, network_id),
            may_begin: row.try_get::<&str, _>("agreed")? == "active",
        },
        brand: brand_of(row.try_get("brand")?)?,
        is_fresh: false,
        refused: u32::try_from(row.try_get::<i64, _>("refused")?).unwrap_or(u32::MAX),
        late_at: row.try_get("late_at")?,
        day: row.try_get::<&str, _>("day")?.parse().map_err(|_| StoreError::Damaged("day"))?,
        agreement,
        number,
        fence: row.try_get::<i64, _>("fence")? + 1,
    })
}
