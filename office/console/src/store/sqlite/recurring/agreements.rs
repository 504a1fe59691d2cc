//! The rows of agreements, in SQLite.

use super::{due, outbox};
use crate::{
    recurring::{AgreementId, NewAgreement, brand_of, list::AgreementRow, messages, times::TakenAt},
    store::{
        StoreError,
        audit::Entry,
        payments::{json, word},
        sqlite::audit,
    },
};
use recurring::{Agreement, State};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use wire::NetworkId;

/// An agreement as it stands.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: AgreementId,
) -> Result<Option<AgreementRow>, StoreError> {
    let row = sqlx::query("SELECT * FROM agreement WHERE id = ?").bind(id.0.to_string());
    row.fetch_optional(connection).await?.map(|row| agreement_of(&row)).transpose()
}

/// Stores an agreement. False: it is there already, by its payment or its name.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    now_ms: i64,
    new: &NewAgreement,
) -> Result<bool, StoreError> {
    let taken_at = TakenAt::new(new.time, &new.zone)?;
    let told = Some(taken_at.day(now_ms)?);
    let done = sqlx::query(
        "INSERT INTO agreement (id, merchant, token, brand, last4, account, zone, time, reason, network_id, body, next_at, \
         created_at, updated_at, payment, extension, contact, made_by, remind_days, remind_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(new.id.0.to_string())
    .bind(new.merchant.as_str())
    .bind(new.token.as_str())
    .bind(word(&new.card.brand)?)
    .bind(new.card.last4.to_string())
    .bind(&new.account)
    .bind(&new.zone)
    .bind(new.time.to_string())
    .bind(word(&new.reason)?)
    .bind(new.network_id.as_ref().map(NetworkId::as_str))
    .bind(text(&new.agreement)?)
    .bind(taken_at.next_at(&new.agreement))
    .bind(now_ms)
    .bind(now_ms)
    .bind(new.payment.map(|payment| payment.to_string()))
    .bind(new.extension.as_str())
    .bind(&new.contact)
    .bind(&new.made_by)
    .bind(new.remind_days)
    .bind(messages::remind_at(&new.agreement, new.remind_days.into(), &taken_at, told))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// An agreement that stood so goes on as this one, with what that means for what is due of it.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    now_ms: i64,
    was: &AgreementRow,
    agreement: &Agreement,
) -> Result<(), StoreError> {
    let taken_at = was.taken_at()?;
    sqlx::query("UPDATE agreement SET body = ?, next_at = ?, remind_at = ?, updated_at = ? WHERE id = ?")
        .bind(text(agreement)?)
        .bind(taken_at.next_at(agreement))
        .bind(messages::remind_at(agreement, was.remind_days, &taken_at, None))
        .bind(now_ms)
        .bind(was.id.0.to_string())
        .execute(&mut *connection)
        .await?;
    due::keep_apart(connection, was.id, taken_at.next_taken_at(agreement)).await?;
    if was.agreement.state() == State::Paused && agreement.state() != State::Paused {
        due::go_on(connection, now_ms, was.id).await?;
    }
    if agreement.state() == State::Canceled {
        due::call_off(connection, was.id).await?;
    }
    Ok(())
}

/// Nothing is taken any more, for a reason that is not the agent's: the payer has revoked it at their bank, its first payment
/// was given back, or its card is gone.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    now_ms: i64,
    id: AgreementId,
    why: &str,
) -> Result<(), StoreError> {
    let Some(row) = find(connection, id).await? else { return Ok(()) };
    let mut agreement = row.agreement.clone();
    if agreement.cancel().is_err() {
        return Ok(());
    }
    put(connection, now_ms, &row, &agreement).await?;
    let entry = Entry {
        extension: Some(&row.extension),
        ..Entry::system(now_ms, "agreement_canceled", why, &id.0.to_string())
    };
    audit::insert(connection, &entry).await?;
    outbox::tell_of(connection, now_ms, id, messages::Kind::Canceled, None).await
}

/// An agreement, as its whole row says it.
pub(super) fn agreement_of(row: &SqliteRow) -> Result<AgreementRow, StoreError> {
    let payment: Option<&str> = row.try_get("payment")?;
    Ok(AgreementRow {
        id: id_of(row.try_get("id")?)?,
        merchant: row.try_get("merchant")?,
        brand: brand_of(row.try_get("brand")?)?,
        last4: row.try_get("last4")?,
        account: row.try_get("account")?,
        contact: row.try_get("contact")?,
        zone: row.try_get("zone")?,
        time: row.try_get::<&str, _>("time")?.parse().map_err(|_| StoreError::Damaged("time"))?,
        reason: row.try_get("reason")?,
        extension: row.try_get("extension")?,
        payment: payment.map(|id| id.parse().map_err(|_| StoreError::Damaged("payment id"))).transpose()?,
        remind_days: row.try_get("remind_days")?,
        made_by: row.try_get("made_by")?,
        agreement: json(row.try_get("body")?, "agreement")?,
        links: u32::try_from(row.try_get::<i64, _>("links")?).map_err(|_| StoreError::Damaged("number of links"))?,
        created_ms: row.try_get("created_at")?,
        updated_ms: row.try_get("updated_at")?,
    })
}

/// An agreement's id as it is stored.
pub(super) fn id_of(text: &str) -> Result<AgreementId, StoreError> {
    text.parse().map(AgreementId).map_err(|_| StoreError::Damaged("agreement id"))
}

fn text(agreement: &Agreement) -> Result<String, StoreError> {
    serde_json::to_string(agreement).map_err(|_| StoreError::Damaged("agreement"))
}
