//! What is agreed on with a payment, and what the card side's records make of it, in SQLite.

use super::{agreements, outbox};
use crate::{
    recurring::{messages::Kind, offers::Offer},
    store::{StoreError, audit::Entry, payments::json, sqlite::audit},
};
use sqlx::{Row, SqliteConnection};
use wire::{AttemptId, KeptCard, PaymentId, Token};

/// Stores it beside its payment. Storing it again changes nothing.
pub(in crate::store::sqlite) async fn insert(
    connection: &mut SqliteConnection,
    payment: PaymentId,
    offer: &Offer,
) -> Result<(), StoreError> {
    let body = serde_json::to_string(offer).map_err(|_| StoreError::Damaged("offer"))?;
    sqlx::query("INSERT INTO agreement_offer (payment, agreement, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(payment.to_string())
        .bind(offer.agreement.0.to_string())
        .bind(body)
        .execute(connection)
        .await?;
    Ok(())
}

/// The card of a payment is kept: what was agreed on with it, if anything was, stands from now on.
pub(in crate::store::sqlite) async fn card_kept(
    connection: &mut SqliteConnection,
    at_ms: i64,
    payment: PaymentId,
    kept: &KeptCard,
) -> Result<(), StoreError> {
    let found = sqlx::query(
        "SELECT o.body, p.account, p.extension FROM agreement_offer o JOIN payment p ON p.id = o.payment WHERE o.payment = ?",
    );
    let Some(row) = found.bind(payment.to_string()).fetch_optional(&mut *connection).await? else { return Ok(()) };
    let offer: Offer = json(row.try_get("body")?, "offer")?;
    let extension: &str = row.try_get("extension")?;
    let owner = extension.parse().map_err(|_| StoreError::Damaged("extension"))?;
    let new = offer.agreed(payment, kept, row.try_get("account")?, owner)?;
    if !agreements::insert(connection, at_ms, &new).await? {
        return Ok(());
    }
    let id = new.id.0.to_string();
    let entry = Entry {
        extension: Some(extension),
        payment: Some(payment.to_string()),
        ..Entry::system(at_ms, "agreement_started", "ok", &id)
    };
    audit::insert(connection, &entry).await?;
    outbox::tell_of(connection, at_ms, new.id, Kind::Started, None).await
}

/// A card cannot be charged any more: its agreements end.
pub(in crate::store::sqlite) async fn card_forgotten(
    connection: &mut SqliteConnection,
    at_ms: i64,
    token: &Token,
) -> Result<(), StoreError> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM agreement WHERE token = ?")
        .bind(token.as_str())
        .fetch_all(&mut *connection)
        .await?;
    for id in ids {
        agreements::cancel(connection, at_ms, agreements::id_of(&id)?, "card_forgotten").await?;
    }
    Ok(())
}

/// The payment that an agreement began with was given back before it counted: so is the agreement.
pub(in crate::store::sqlite) async fn voided(
    connection: &mut SqliteConnection,
    at_ms: i64,
    payment: PaymentId,
) -> Result<(), StoreError> {
    let id: Option<String> = sqlx::query_scalar("SELECT id FROM agreement WHERE payment = ?")
        .bind(payment.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    match id {
        Some(id) => agreements::cancel(connection, at_ms, agreements::id_of(&id)?, "first_payment_voided").await,
        None => Ok(()),
    }
}

/// A try of a payment of an agreement was sent: its payment shows whose it is, and of which card.
pub(in crate::store::sqlite) async fn sent(
    connection: &mut SqliteConnection,
    attempt: AttemptId,
    payment: PaymentId,
) -> Result<(), StoreError> {
    let found = sqlx::query(
        "SELECT a.account, json_object('brand', a.brand, 'last4', a.last4, 'expiry', NULL) AS card FROM due_payment d \
         JOIN agreement a ON a.id = d.agreement WHERE d.payment = ?",
    );
    let Some(row) = found.bind(payment.to_string()).fetch_optional(&mut *connection).await? else { return Ok(()) };
    sqlx::query("UPDATE payment SET account = coalesce(account, ?) WHERE id = ?")
        .bind(row.try_get::<Option<&str>, _>("account")?)
        .bind(payment.to_string())
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE attempt SET card = coalesce(card, ?) WHERE id = ?")
        .bind(row.try_get::<&str, _>("card")?)
        .bind(attempt.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
