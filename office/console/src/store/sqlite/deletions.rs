//! Kept cards that go: what their gateway says, and what two people say where it does not.

use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        finance::{CardDeletion, DeletionSaid, DeletionState, SaidOfDeletion},
    },
};
use sqlx::{Row, SqliteConnection, SqlitePool};
use wire::{ByHand, Found, PaymentId, Token};

/// Merchant, since when it cannot be charged, and since when it is said to be gone.
type Card = (String, Option<i64>, Option<i64>);

/// Writes down what somebody has found out, unless there is nothing to be said.
pub(super) async fn said(
    tx: &mut SqliteConnection,
    now_ms: i64,
    said: SaidOfDeletion<'_>,
) -> Result<DeletionSaid, StoreError> {
    let SaidOfDeletion { token, found, reason, user } = said;
    let card: Option<Card> = sqlx::query_as("SELECT merchant, gone_at, forgotten_at FROM kept_card WHERE token = ?")
        .bind(token.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let merchant = match card {
        None => return Ok(DeletionSaid::NoCard),
        Some((_, None, _)) => return Ok(DeletionSaid::NotForgetting),
        Some((_, _, Some(_))) => return Ok(DeletionSaid::Gone),
        Some((merchant, ..)) => merchant,
    };
    if found == Found::NotDone {
        let delete = sqlx::query("DELETE FROM deletion_by_hand WHERE token = ? AND confirmed_at IS NULL");
        delete.bind(token.as_str()).execute(tx).await?;
        return Ok(DeletionSaid::Noted);
    }
    let before: Option<i64> = sqlx::query_scalar("SELECT said_by FROM deletion_by_hand WHERE token = ?")
        .bind(token.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(first) = before.filter(|first| *first != user) {
        let merchant = merchant.parse().map_err(|_| StoreError::Damaged("merchant"))?;
        return Ok(DeletionSaid::Second(first, merchant));
    }
    let Some(reason) = reason else { return Ok(DeletionSaid::NoReason) };
    sqlx::query(
        "INSERT INTO deletion_by_hand (token, said_by, reason, said_at) VALUES (?, ?, ?, ?) ON CONFLICT (token)
         DO UPDATE SET said_by = excluded.said_by, reason = excluded.reason, said_at = excluded.said_at",
    )
    .bind(token.as_str())
    .bind(user)
    .bind(reason)
    .bind(now_ms)
    .execute(tx)
    .await?;
    Ok(DeletionSaid::Noted)
}

/// The card side has written down what two people say. An alarm that the gateway has not deleted the card waits for nobody any more:
/// they have looked. Returns both, by e-mail.
pub(super) async fn by_hand(
    tx: &mut SqliteConnection,
    at: i64,
    token: &Token,
    ByHand { said_by, confirmed_by }: ByHand,
) -> Result<(String, String), StoreError> {
    // Where somebody else had said so meanwhile, or this office was restored from an older copy, the record counts.
    let reason: Option<Option<String>> = sqlx::query_scalar(
        "INSERT INTO deletion_by_hand (token, said_by, said_at, confirmed_by, confirmed_at) VALUES (?1, ?2, ?3, ?4, ?3)
         ON CONFLICT (token) DO UPDATE SET confirmed_by = excluded.confirmed_by, confirmed_at = excluded.confirmed_at,
             reason = CASE WHEN said_by = excluded.said_by THEN reason END,
             said_at = CASE WHEN said_by = excluded.said_by THEN said_at ELSE excluded.said_at END,
             said_by = excluded.said_by RETURNING reason",
    )
    .bind(token.as_str())
    .bind(said_by)
    .bind(at)
    .bind(confirmed_by)
    .fetch_optional(&mut *tx)
    .await?;
    let (first, second) = (email(tx, said_by).await?, email(tx, confirmed_by).await?);
    sqlx::query(
        "UPDATE money_alarm SET seen_at = ?, seen_by = ?, note = ? WHERE alarm = 'not_forgotten' AND seen_at IS NULL
         AND payment = (SELECT payment FROM kept_card WHERE token = ?)",
    )
    .bind(at)
    .bind(&second)
    .bind(format!("Deleted by hand, said by {first}. {}", reason.flatten().unwrap_or_default()).trim())
    .bind(token.as_str())
    .execute(tx)
    .await?;
    Ok((first, second))
}

async fn email(tx: &mut SqliteConnection, user: i64) -> Result<String, StoreError> {
    let query = sqlx::query_scalar("SELECT email FROM user WHERE id = ?").bind(user);
    let email: Option<String> = query.fetch_optional(tx).await?;
    Ok(email.unwrap_or_else(|| format!("user {user}")))
}

/// How the card that was kept with a payment goes, with who says what of it.
pub(super) async fn of_payment(reader: &SqlitePool, payment: PaymentId) -> Result<Option<CardDeletion>, StoreError> {
    let query = sqlx::query(
        "SELECT k.token, k.gone_at, k.forgotten_at, d.said_at, d.reason, d.confirmed_at,
                CASE WHEN d.said_by IS NOT NULL THEN coalesce(a.email, 'user ' || d.said_by) END AS said_by,
                CASE WHEN d.confirmed_by IS NOT NULL THEN coalesce(b.email, 'user ' || d.confirmed_by) END AS confirmed_by
         FROM kept_card k LEFT JOIN deletion_by_hand d ON d.token = k.token
         LEFT JOIN user a ON a.id = d.said_by LEFT JOIN user b ON b.id = d.confirmed_by
         WHERE k.payment = ? AND k.gone_at IS NOT NULL ORDER BY k.kept_at DESC LIMIT 1",
    );
    let Some(row) = query.bind(payment.to_string()).fetch_optional(reader).await? else { return Ok(None) };
    let (confirmed_at, forgotten_at): (Option<i64>, Option<i64>) =
        (row.try_get("confirmed_at")?, row.try_get("forgotten_at")?);
    let (state, since) = match (confirmed_at, forgotten_at) {
        (Some(at), _) => (DeletionState::ByHand, at),
        (None, Some(at)) => (DeletionState::Deleted, at),
        (None, None) => (DeletionState::Asked, row.try_get("gone_at")?),
    };
    Ok(Some(CardDeletion {
        token: row.try_get("token")?,
        state,
        since: rfc3339(since),
        said_by: row.try_get("said_by")?,
        said_at: row.try_get::<Option<i64>, _>("said_at")?.map(rfc3339),
        reason: row.try_get("reason")?,
        confirmed_by: row.try_get("confirmed_by")?,
    }))
}
