//! Kept cards that go: what their gateway says, and what two people say where it does not.

use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        finance::{CardDeletion, DeletionSaid, DeletionState, SaidOfDeletion, Second},
    },
};
use sqlx::{Row, SqliteConnection, SqlitePool};
use wire::{ByHand, Found, PaymentId, Token};

/// Merchant, since when it cannot be charged, and since when it is said to be gone.
type Card = (String, Option<i64>, Option<i64>);

/// Who has said it, and when a second person's word was last sent to the card side.
type Said = (i64, Option<i64>);

/// Writes down what somebody has found out, unless there is nothing to be said.
pub(super) async fn said(
    tx: &mut SqliteConnection,
    now_ms: i64,
    said: SaidOfDeletion<'_>,
) -> Result<DeletionSaid, StoreError> {
    let SaidOfDeletion { token, found, reason, user, on_its_way_after_ms } = said;
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
    let before: Option<Said> = sqlx::query_as("SELECT said_by, sent_at FROM deletion_by_hand WHERE token = ?")
        .bind(token.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let sent_at = before.and_then(|(_, sent_at)| sent_at);
    let is_on_its_way = sent_at.is_some_and(|sent_at| sent_at > on_its_way_after_ms);
    if found == Found::NotDone && is_on_its_way {
        return Ok(DeletionSaid::OnItsWay);
    }
    if found == Found::NotDone {
        let delete = sqlx::query("DELETE FROM deletion_by_hand WHERE token = ? AND confirmed_at IS NULL");
        delete.bind(token.as_str()).execute(tx).await?;
        return Ok(DeletionSaid::Noted);
    }
    if let Some((first, _)) = before.filter(|(first, _)| *first != user) {
        let merchant = merchant.parse().map_err(|_| StoreError::Damaged("merchant"))?;
        let send = sqlx::query("UPDATE deletion_by_hand SET second_by = ?, sent_at = ? WHERE token = ?");
        send.bind(user).bind(now_ms).bind(token.as_str()).execute(tx).await?;
        return Ok(DeletionSaid::Second(Second { first, merchant, is_again: is_on_its_way }));
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

/// The last word on a card: that of two people, or (none) of whoever had it. An alarm that the gateway has not deleted the card waits for
/// nobody any more where people have said so of it: they have looked. Returns who says it and what they say, for the audit trail; none where
/// that was known here.
pub(super) async fn gone(
    tx: &mut SqliteConnection,
    at: i64,
    token: &Token,
    by_hand: Option<ByHand>,
) -> Result<Option<(String, String)>, StoreError> {
    let (is_news, who, result) = match by_hand {
        Some(people) => {
            let is_news = confirmed(tx, at, token, people).await?;
            let (first, second) = (email(tx, people.said_by).await?, email(tx, people.confirmed_by).await?);
            let result = format!("deleted by hand, said by {first}, confirmed by {second}");
            (is_news, second, result)
        }
        None => (!is_known_to_be_gone(tx, token).await?, "system".to_owned(), "done".to_owned()),
    };
    close_alarm(tx, at, token, by_hand).await?;
    Ok(is_news.then_some((who, result)))
}

/// The card side has written down what two people say. False where that was known.
async fn confirmed(
    tx: &mut SqliteConnection,
    at: i64,
    token: &Token,
    ByHand { said_by, confirmed_by }: ByHand,
) -> Result<bool, StoreError> {
    // Where somebody else had said so meanwhile, or this office was restored from an older copy, the record counts. What is told again
    // after a restore has the time of its attempt, which was before anybody said anything.
    let stored = sqlx::query(
        "INSERT INTO deletion_by_hand (token, said_by, said_at, confirmed_by, confirmed_at) VALUES (?1, ?2, ?3, ?4, ?3)
         ON CONFLICT (token) DO UPDATE SET confirmed_by = excluded.confirmed_by,
             confirmed_at = max(excluded.confirmed_at, said_at),
             reason = CASE WHEN said_by = excluded.said_by THEN reason END,
             said_at = CASE WHEN said_by = excluded.said_by THEN said_at ELSE excluded.said_at END,
             said_by = excluded.said_by
         WHERE confirmed_at IS NULL OR said_by <> excluded.said_by OR confirmed_by <> excluded.confirmed_by",
    )
    .bind(token.as_str())
    .bind(said_by)
    .bind(at)
    .bind(confirmed_by)
    .execute(tx)
    .await?;
    Ok(stored.rows_affected() > 0)
}

/// Has whoever had the card said so before?
async fn is_known_to_be_gone(tx: &mut SqliteConnection, token: &Token) -> Result<bool, StoreError> {
    let query =
        "SELECT EXISTS (SELECT 1 FROM kept_card k WHERE k.token = ? AND k.forgotten_at IS NOT NULL AND NOT EXISTS
                     (SELECT 1 FROM deletion_by_hand d WHERE d.token = k.token AND d.confirmed_at IS NOT NULL))";
    Ok(sqlx::query_scalar(query).bind(token.as_str()).fetch_one(tx).await?)
}

async fn close_alarm(
    tx: &mut SqliteConnection,
    at: i64,
    token: &Token,
    by_hand: Option<ByHand>,
) -> Result<(), StoreError> {
    let said =
        "SELECT said_by, coalesce(confirmed_by, second_by, said_by), reason FROM deletion_by_hand WHERE token = ?";
    let said: Option<(i64, i64, Option<String>)> =
        sqlx::query_as(said).bind(token.as_str()).fetch_optional(&mut *tx).await?;
    let Some((first, last, reason)) = said else { return Ok(()) };
    let note = match by_hand {
        Some(_) => format!("Deleted by hand, said by {}. {}", email(tx, first).await?, reason.unwrap_or_default()),
        None => "Who had the card has deleted it.".to_owned(),
    };
    let last = email(tx, last).await?;
    sqlx::query(
        "UPDATE money_alarm SET seen_at = ?, seen_by = ?, note = ? WHERE alarm = 'not_forgotten' AND seen_at IS NULL
         AND payment = (SELECT payment FROM kept_card WHERE token = ?)",
    )
    .bind(at)
    .bind(last)
    .bind(note.trim())
    .bind(token.as_str())
    .execute(tx)
    .await?;
    Ok(())
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
