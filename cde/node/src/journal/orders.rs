//! Orders of bounced calls that are paid or may be, by what the contact centre calls them: the memory that a restart does not end.

use super::{JournalError, NewAttempt, attempts::parsed};
use crate::clock;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};
use wire::{MerchantId, Money, PaymentId, Reference};

/// How long an approved order is not taken again. One that may have been approved is not for as long as nobody knows.
const KEPT_MS: i64 = 12 * 60 * 60 * 1000;
/// The newest of them that a switchboard is told.
const TOLD_MAX: i64 = 4096;

/// An order that must not be taken again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOrder {
    /// The payment that it was.
    pub payment: PaymentId,
    /// Whose.
    pub merchant: MerchantId,
    /// What the contact centre calls it.
    pub reference: Reference,
    /// How much.
    pub amount: Money,
    /// When its attempt was sent, Unix milliseconds.
    pub sent_unix_ms: i64,
}

/// In the transaction that writes the attempt, nothing else may have been sent for the same order that took money or may have.
pub(super) async fn check(connection: &mut SqliteConnection, attempt: &NewAttempt) -> Result<(), JournalError> {
    let Some(reference) = &attempt.reference else { return Ok(()) };
    let taken = sqlx::query(
        "SELECT 1 FROM attempt WHERE merchant = ? AND reference = ? AND amount_minor = ? AND currency = ? AND payment <> ? \
         AND given_back = 0 AND (state IN ('sent', 'unknown') OR state = 'approved' AND sent_unix_ms > ?) LIMIT 1",
    )
    .bind(attempt.merchant.as_str())
    .bind(reference.as_str())
    .bind(attempt.amount.minor)
    .bind(attempt.amount.currency.code())
    .bind(attempt.payment.to_string())
    .bind(clock::unix_ms().saturating_sub(KEPT_MS))
    .fetch_optional(connection)
    .await?;
    if taken.is_some() { Err(JournalError::SameOrder) } else { Ok(()) }
}

/// Those that must not be taken again, the oldest first. One that is not readable is left out: better a switchboard that learns from
/// [`check`] that it is taken than none.
pub(super) async fn taken(pool: &SqlitePool) -> Result<Vec<TakenOrder>, JournalError> {
    let mut rows = sqlx::query(
        "SELECT payment, merchant, reference, amount_minor, currency, sent_unix_ms FROM attempt \
         WHERE reference IS NOT NULL AND given_back = 0 \
         AND (state IN ('sent', 'unknown') OR state = 'approved' AND sent_unix_ms > ?) \
         ORDER BY sent_unix_ms DESC, rowid DESC LIMIT ?",
    )
    .bind(clock::unix_ms().saturating_sub(KEPT_MS))
    .bind(TOLD_MAX)
    .fetch_all(pool)
    .await?;
    rows.reverse();
    let told = |error: &JournalError| tracing::error!(%error, "an order that may be paid is passed over: only the journal still refuses a second payment of it");
    Ok(rows.iter().filter_map(|row| order_of(row).inspect_err(told).ok()).collect())
}

fn order_of(row: &SqliteRow) -> Result<TakenOrder, JournalError> {
    let amount = Money { minor: row.get(3), currency: parsed(row, 4)? };
    let (payment, merchant, reference) = (parsed(row, 0)?, parsed(row, 1)?, parsed(row, 2)?);
    Ok(TakenOrder { payment, merchant, reference, amount, sent_unix_ms: row.get(5) })
}
