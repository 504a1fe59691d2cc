//! What the records say of kept cards.

use super::offers;
use crate::store::{StoreError, payments::word};
use sqlx::SqliteConnection;
use wire::{Advice, AttemptId, Keeping, KeptCard, PaymentId, Token};

/// A card is kept.
pub(super) async fn kept(
    tx: &mut SqliteConnection,
    at: i64,
    (attempt, payment): (AttemptId, PaymentId),
    kept: &KeptCard,
) -> Result<(), StoreError> {
    let card = serde_json::to_string(&kept.card).map_err(|_| StoreError::Damaged("card"))?;
    sqlx::query(
        "INSERT INTO kept_card (token, merchant, payment, attempt, card, keeper, same_as, kept_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (token) DO NOTHING",
    )
    .bind(kept.token.as_str())
    .bind(kept.merchant.as_str())
    .bind(payment.to_string())
    .bind(attempt.to_string())
    .bind(card)
    .bind(word(&kept.keeper)?)
    .bind(kept.same_as.as_ref().map(Token::as_str))
    .bind(at)
    .execute(&mut *tx)
    .await?;
    note(tx, payment, Keeping::Kept).await
}

/// What the payment's view says of it.
pub(super) async fn note(tx: &mut SqliteConnection, payment: PaymentId, keeping: Keeping) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE payment SET kept = ? WHERE id = ?");
    update.bind(word(&keeping)?).bind(payment.to_string()).execute(tx).await?;
    Ok(())
}

/// A card is forgotten. Returns the payment by which it was kept.
pub(super) async fn forgotten(
    tx: &mut SqliteConnection,
    at: i64,
    token: &Token,
) -> Result<Option<PaymentId>, StoreError> {
    let update = sqlx::query("UPDATE kept_card SET forgotten_at = coalesce(forgotten_at, ?) WHERE token = ?");
    update.bind(at).bind(token.as_str()).execute(&mut *tx).await?;
    forgetting(tx, at, token).await
}

/// A card cannot be charged any more, which may be told twice; nor can its agreements go on. Returns the payment by which it was
/// kept.
pub(super) async fn forgetting(
    tx: &mut SqliteConnection,
    at: i64,
    token: &Token,
) -> Result<Option<PaymentId>, StoreError> {
    let payment: Option<String> =
        sqlx::query_scalar("UPDATE kept_card SET gone_at = coalesce(gone_at, ?) WHERE token = ? RETURNING payment")
            .bind(at)
            .bind(token.as_str())
            .fetch_optional(&mut *tx)
            .await?;
    offers::card_forgotten(tx, at, token).await?;
    payment.map(|id| id.parse().map_err(|_| StoreError::Damaged("payment id"))).transpose()
}

/// What the network advised with a decline, for who tries again.
pub(super) async fn advised(tx: &mut SqliteConnection, attempt: AttemptId, advice: Advice) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE attempt SET advice = ? WHERE id = ?");
    update.bind(word(&advice)?).bind(attempt.to_string()).execute(tx).await?;
    Ok(())
}
