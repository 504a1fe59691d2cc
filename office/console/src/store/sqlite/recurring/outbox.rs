//! Texts for customers, in SQLite: each once, in the transaction of its cause.

use super::{agreements, links};
use crate::{
    recurring::{
        AgreementId,
        list::{AgreementRow, MessageRow},
        messages::{self, About, Kind},
    },
    store::{StoreError, sqlite::Sqlite},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// Agreements that are looked at for reminders in one go.
const LOOKED_AT_MAX: i64 = 50;
/// Agreements of which a reminder is due.
pub(super) const TO_REMIND: &str = "SELECT id FROM agreement WHERE remind_at <= ? ORDER BY remind_at LIMIT ?";

/// Writes a text for the customer of an agreement that stands so. Of the same cause a second one is not written. Without a
/// contact and an account nobody could be told, and nothing is written.
pub(super) async fn tell(
    connection: &mut SqliteConnection,
    now_ms: i64,
    row: &AgreementRow,
    kind: Kind,
    about: Option<About>,
) -> Result<(), StoreError> {
    if row.contact.is_none() && row.account.is_none() {
        return Ok(());
    }
    let url = links::make(connection, now_ms, row).await?.and_then(|link| link.url);
    sqlx::query(
        "INSERT INTO message (key, agreement, kind, contact, account, subject, text, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
    )
    .bind(messages::key(row.id, kind, about, now_ms))
    .bind(row.id.0.to_string())
    .bind(kind.as_str())
    .bind(&row.contact)
    .bind(&row.account)
    .bind(kind.subject())
    .bind(messages::text(row, kind, about, url.as_deref()))
    .bind(now_ms)
    .execute(connection)
    .await?;
    Ok(())
}

/// The same of an agreement as it stands by now.
pub(super) async fn tell_of(
    connection: &mut SqliteConnection,
    now_ms: i64,
    id: AgreementId,
    kind: Kind,
    about: Option<About>,
) -> Result<(), StoreError> {
    match agreements::find(connection, id).await? {
        Some(row) => tell(connection, now_ms, &row, kind, about).await,
        None => Ok(()),
    }
}

/// Writes the reminders that are due, each agreement's in a transaction. Returns how many agreements were looked at.
pub(super) async fn remind(store: &Sqlite, now_ms: i64) -> Result<usize, StoreError> {
    let due = sqlx::query_scalar(TO_REMIND);
    let ids: Vec<String> = due.bind(now_ms).bind(LOOKED_AT_MAX).fetch_all(&store.writer).await?;
    for id in &ids {
        let mut tx = store.begin().await?;
        if let Some(row) = agreements::find(&mut tx, agreements::id_of(id)?).await? {
            remind_one(&mut tx, now_ms, &row).await?;
        }
        tx.commit().await?;
    }
    Ok(ids.len())
}

async fn remind_one(tx: &mut SqliteConnection, now_ms: i64, row: &AgreementRow) -> Result<(), StoreError> {
    let reminders = messages::reminders(row, now_ms)?;
    for about in reminders.due {
        tell(tx, now_ms, row, Kind::Reminder, Some(about)).await?;
    }
    let next = sqlx::query("UPDATE agreement SET remind_at = ? WHERE id = ?").bind(reminders.next_at);
    next.bind(row.id.0.to_string()).execute(tx).await?;
    Ok(())
}

/// A text as it is shown.
pub(super) fn message_of(row: &SqliteRow) -> Result<MessageRow, StoreError> {
    Ok(MessageRow {
        id: row.try_get("id")?,
        agreement: row.try_get("agreement")?,
        kind: row.try_get("kind")?,
        contact: row.try_get("contact")?,
        account: row.try_get("account")?,
        subject: row.try_get("subject")?,
        text: row.try_get("text")?,
        created_ms: row.try_get("created_at")?,
        taken_ms: row.try_get("taken_at")?,
    })
}
