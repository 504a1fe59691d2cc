//! An attempt that the card side tells again, by its row: its records are gone, or were stored here before a restore. What is
//! known here already is not said twice.

use super::{Row, attempt_insert, capture_word, card_row, deletions, kept, settle, takes_money};
use crate::store::{StoreError, payments::word, sqlite::recurring::offers};
use sqlx::SqliteConnection;
use wire::{AttemptKind, CardView, PaymentId, Reference, ToldAgain};

/// Stores it; `at` is when it was sent. Of an end that is not known here it is not known when it came: it has the same time.
pub(super) async fn store(
    tx: &mut SqliteConnection,
    at: i64,
    told: &ToldAgain,
) -> Result<Option<PaymentId>, StoreError> {
    let id = told.attempt.to_string();
    let outcome = "SELECT outcome ->> 'outcome' FROM attempt WHERE id = ?";
    let before: Option<Option<String>> = sqlx::query_scalar(outcome).bind(&id).fetch_optional(&mut *tx).await?;
    payment(tx, at, told).await?;
    attempt(tx, at, told).await?;
    in_order(tx, told).await?;
    if told.kind == AttemptKind::ChargeStored {
        offers::sent(tx, told.attempt, told.payment).await?;
    }
    let after: Option<Option<String>> = sqlx::query_scalar(outcome).bind(&id).fetch_optional(&mut *tx).await?;
    if before != after {
        let result = after.flatten().unwrap_or_else(|| "unknown".to_owned());
        let row = Row { at, who: "system".to_owned(), what: "attempt_told_again", result };
        row.store(tx, id, Some(told.payment), Some(&told.extension)).await?;
    }
    card(tx, at, told).await?;
    settle(tx, at, told.payment).await
}

/// Where only the records of what followed were here, the payment has their amount: what takes its money says how much it is, and
/// when it is taken.
async fn payment(tx: &mut SqliteConnection, at: i64, told: &ToldAgain) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO payment (id, call, extension, merchant, minor, currency, reference, capture, state, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting', ?9, ?9)
         ON CONFLICT (id) DO UPDATE SET merchant = CASE payment.merchant WHEN '-' THEN excluded.merchant ELSE payment.merchant END,
             reference = coalesce(payment.reference, excluded.reference),
             minor = CASE WHEN ?10 THEN excluded.minor ELSE payment.minor END,
             currency = CASE WHEN ?10 THEN excluded.currency ELSE payment.currency END,
             capture = CASE WHEN ?10 THEN excluded.capture ELSE payment.capture END,
             created_at = min(payment.created_at, excluded.created_at)",
    )
    .bind(told.payment.to_string())
    .bind(told.call.to_string())
    .bind(told.extension.as_str())
    .bind(told.merchant.as_str())
    .bind(told.amount.minor)
    .bind(told.amount.currency.code())
    .bind(told.reference.as_ref().map(Reference::as_str))
    .bind(capture_word(told.capture))
    .bind(at)
    .bind(takes_money(told.kind))
    .execute(tx)
    .await?;
    Ok(())
}

async fn attempt(tx: &mut SqliteConnection, at: i64, told: &ToldAgain) -> Result<(), StoreError> {
    let text = |card: &CardView| serde_json::to_string(card).map_err(|_| StoreError::Damaged("card"));
    let card = told.card.as_ref().map(text).transpose()?;
    attempt_insert(tx, at, told.attempt, told.payment, card.clone()).await?;
    let outcome = serde_json::to_string(&told.outcome).map_err(|_| StoreError::Damaged("outcome"))?;
    let is_known = told.outcome.is_known();
    // As with any record, only an outcome that is not known is ever replaced.
    sqlx::query(
        "UPDATE attempt SET kind = ?1, minor = ?2, card = coalesce(card, ?3), sent_at = min(sent_at, ?4),
                outcome = CASE WHEN outcome IS NULL OR (outcome ->> 'outcome' = 'unknown' AND ?6) THEN ?5 ELSE outcome END,
                ended_at = coalesce(ended_at, ?4)
         WHERE id = ?7",
    )
    .bind(told.kind.as_str())
    .bind(told.amount.minor)
    .bind(card)
    .bind(at)
    .bind(outcome)
    .bind(is_known)
    .bind(told.attempt.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

/// What followed is known before what it followed where only the older records are gone. What has become of the money is told by
/// their order: those before its place were told before it, and the others, in the order in which they are known, come after.
async fn in_order(tx: &mut SqliteConnection, told: &ToldAgain) -> Result<(), StoreError> {
    if told.place == 0 {
        return Ok(());
    }
    sqlx::query(
        "UPDATE attempt SET number = other.nth + (other.nth >= ?3) FROM (SELECT id, row_number() OVER (ORDER BY number, id) AS nth
             FROM attempt WHERE payment = ?1 AND id <> ?2) AS other
         WHERE attempt.id = other.id",
    )
    .bind(told.payment.to_string())
    .bind(told.attempt.to_string())
    .bind(told.place)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE attempt SET number = ? WHERE id = ?")
        .bind(told.place)
        .bind(told.attempt.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// The card that was kept by it, if one was and is not known here. What was agreed on with it stands from now on, as after the
/// record that is gone.
async fn card(tx: &mut SqliteConnection, at: i64, told: &ToldAgain) -> Result<(), StoreError> {
    let Some(card) = &told.kept else { return Ok(()) };
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM kept_card WHERE token = ?)")
        .bind(card.token.as_str())
        .fetch_one(&mut *tx)
        .await?;
    if !there {
        kept::kept(tx, at, (told.attempt, told.payment), card).await?;
        offers::card_kept(tx, at, told.payment, card).await?;
        card_row(tx, at, ("card_kept", word(&card.keeper)?), told.attempt, told.payment).await?;
    }
    if told.is_forgotten {
        let said = deletions::gone(tx, at, &card.token, told.by_hand).await?;
        kept::forgotten(tx, at, &card.token).await?;
        // When they have said so is not known any more: it is not told as if they had said it then.
        if let Some((_, result)) = said {
            let row = Row { at, who: "system".to_owned(), what: "card_told_again", result };
            row.store(tx, card.token.to_string(), Some(told.payment), None).await?;
        }
    } else if told.is_forgetting {
        kept::forgetting(tx, at, &card.token).await?;
    }
    Ok(())
}
