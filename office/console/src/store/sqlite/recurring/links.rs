//! Links to customers' calendars, in SQLite: their key, and the number of those that are valid.

use super::agreements;
use crate::{
    recurring::{
        AgreementId,
        links::{KEY_BYTES, Link, Made, Settings, is_one},
        list::AgreementRow,
    },
    store::{StoreError, sqlite::Sqlite},
};
use aws_lc_rs::rand;
use sqlx::{Row, SqliteConnection};

/// What office.toml says of links; their key is made the first time.
pub(super) async fn set(store: &Sqlite, public_url: Option<&str>, days: u16) -> Result<(), StoreError> {
    let mut key = [0_u8; KEY_BYTES];
    rand::fill(&mut key).map_err(|_| StoreError::Damaged("machine without random bytes"))?;
    sqlx::query(
        "INSERT INTO calendar_link (id, key, public_url, days) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE \
         SET public_url = excluded.public_url, days = excluded.days",
    )
    .bind(&key[..])
    .bind(public_url)
    .bind(days)
    .execute(&store.writer)
    .await?;
    Ok(())
}

/// A link for a customer of an agreement that stands so; none: links are switched off.
pub(super) async fn make(
    connection: &mut SqliteConnection,
    now_ms: i64,
    row: &AgreementRow,
) -> Result<Option<Made>, StoreError> {
    let found = sqlx::query("SELECT key, public_url, days FROM calendar_link WHERE id = 1");
    let Some(found) = found.fetch_optional(connection).await? else { return Ok(None) };
    let (key, public_url, days) = (found.try_get("key")?, found.try_get("public_url")?, found.try_get("days")?);
    Settings { key, public_url, days }.link(now_ms, row)
}

/// A link for whoever asks for one.
pub(super) async fn make_for(store: &Sqlite, now_ms: i64, id: AgreementId) -> Result<Option<Made>, StoreError> {
    let mut connection = store.writer.acquire().await?;
    let Some(row) = agreements::find(&mut connection, id).await? else { return Ok(None) };
    make(&mut connection, now_ms, &row).await
}

/// The agreement that a link shows.
pub(super) async fn shown(store: &Sqlite, now_ms: i64, text: &str) -> Result<Option<AgreementId>, StoreError> {
    if !is_one(text) {
        return Ok(None);
    }
    // Without a day that a link may be valid no link is, not even one that was made before.
    let key = sqlx::query_scalar("SELECT key FROM calendar_link WHERE id = 1 AND days > 0");
    let key: Option<Vec<u8>> = key.fetch_optional(&store.reader).await?;
    let Some(link) = key.and_then(|key| Link::read(text, &key, now_ms)) else { return Ok(None) };
    let number: Option<i64> = sqlx::query_scalar("SELECT links FROM agreement WHERE id = ?")
        .bind(link.agreement.0.to_string())
        .fetch_optional(&store.reader)
        .await?;
    Ok((number == Some(i64::from(link.number))).then_some(link.agreement))
}

/// All links of an agreement that were made until now are not valid any more.
pub(super) async fn take_back(connection: &mut SqliteConnection, id: AgreementId) -> Result<(), StoreError> {
    let others = sqlx::query("UPDATE agreement SET links = links + 1 WHERE id = ?");
    others.bind(id.0.to_string()).execute(connection).await?;
    Ok(())
}
