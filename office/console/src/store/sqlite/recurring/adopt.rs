//! A database that was restored from a backup hands out payments that were tried since, or asks after a try that has ended and
//! was followed by others: the records of the card side tell of them by the id that a payment has from its agreement and number.
//! Such a try is taken for its own: the newest is asked after, and no other is begun before its end is known.

use super::agreements;
use crate::{recurring::AgreementId, store::StoreError};
use sqlx::SqliteConnection;
use wire::AttemptKind;

/// Of all that may still be tried, also by people, the ones that were tried since.
pub(in crate::store::sqlite) async fn all(tx: &mut SqliteConnection, now_ms: i64) -> Result<(), StoreError> {
    let open: Vec<(String, i64)> = sqlx::query_as(
        "SELECT agreement, number FROM due_payment WHERE state IN ('waiting', 'sent') \
         UNION ALL SELECT agreement, number FROM due_payment WHERE state = 'failed' AND trouble IN ('late', 'not_done')",
    )
    .fetch_all(&mut *tx)
    .await?;
    for (agreement, number) in open {
        one(tx, now_ms, agreements::id_of(&agreement)?, number).await?;
    }
    Ok(())
}

/// One of them. A try that this database has begun has its row from before it was asked for, whether or not the records tell of
/// it: the newest that they tell of is newer than those only if it has none.
pub(super) async fn one(
    tx: &mut SqliteConnection,
    now_ms: i64,
    agreement: AgreementId,
    number: i64,
) -> Result<(), StoreError> {
    let mut is_news = false;
    let tries = tries(tx, agreement, number).await?;
    for (id, sent_at) in &tries {
        is_news = insert(tx, (agreement, number), id, *sent_at).await?;
    }
    let Some((newest, _)) = tries.last().filter(|_| is_news) else { return Ok(()) };
    // Whoever has a lease of an older try writes nothing of it here any more.
    sqlx::query(
        "UPDATE due_payment SET state = 'sent', attempt = ?1, payment = ?2, ready_at = ?3, lease_until = 0, fence = fence + 1, \
         tries = max(tries, (SELECT max(try) FROM due_attempt WHERE agreement = ?4 AND number = ?5)) \
         WHERE agreement = ?4 AND number = ?5 \
         AND (state IN ('waiting', 'sent') OR (state = 'failed' AND trouble IN ('late', 'not_done')))",
    )
    .bind(newest)
    .bind(agreement.payment(number).to_string())
    .bind(now_ms)
    .bind(agreement.0.to_string())
    .bind(number)
    .execute(tx)
    .await?;
    Ok(())
}

/// A try that the records tell of, after those that are known. Says whether it was not.
async fn insert(
    tx: &mut SqliteConnection,
    (agreement, number): (AgreementId, i64),
    id: &str,
    sent_at: i64,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO due_attempt (id, agreement, number, try, sent_at) \
         SELECT ?1, ?2, ?3, coalesce(max(try), 0) + 1, ?4 FROM due_attempt WHERE agreement = ?2 AND number = ?3 \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(agreement.0.to_string())
    .bind(number)
    .bind(sent_at)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The attempts of a payment that was due, by the records: id, and when it was sent.
pub(super) async fn tries(
    tx: &mut SqliteConnection,
    agreement: AgreementId,
    number: i64,
) -> Result<Vec<(String, i64)>, StoreError> {
    let query = sqlx::query_as("SELECT id, sent_at FROM attempt WHERE payment = ? AND kind = ? ORDER BY number");
    let query = query.bind(agreement.payment(number).to_string()).bind(AttemptKind::ChargeStored.as_str());
    Ok(query.fetch_all(tx).await?)
}
