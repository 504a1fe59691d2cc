//! The audit trail in SQLite.

use super::Sqlite;
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        audit::{Audit, AuditView, Entry, SHOWN_MAX},
    },
};
use async_trait::async_trait;
use sqlx::SqliteConnection;

#[async_trait]
impl Audit for Sqlite {
    async fn audit(&self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await?;
        insert(&mut connection, entry).await
    }

    async fn audit_of_object(&self, object: &str) -> Result<Vec<AuditView>, StoreError> {
        let sql = "SELECT at, who, api_key, what, result, origin FROM audit WHERE object = ? ORDER BY at, id LIMIT ?";
        let rows: Vec<Columns> = sqlx::query_as(sql).bind(object).bind(SHOWN_MAX).fetch_all(&self.writer).await?;
        Ok(rows.into_iter().map(view).collect())
    }

    async fn audit_of_payment(&self, payment: &str) -> Result<Vec<AuditView>, StoreError> {
        let sql = "SELECT at, who, api_key, what, result, origin FROM audit WHERE payment = ? ORDER BY at, id LIMIT ?";
        let rows: Vec<Columns> = sqlx::query_as(sql).bind(payment).bind(SHOWN_MAX).fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(view).collect())
    }
}

/// The columns of [`AuditView`].
type Columns = (i64, String, Option<String>, String, String, String);

fn view((at, who, api_key, what, result, origin): Columns) -> AuditView {
    AuditView { at: rfc3339(at), who, api_key, what, result, origin }
}

/// Adds a row within a transaction.
pub(crate) async fn insert(connection: &mut SqliteConnection, entry: &Entry<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (at, who, api_key, what, result, origin, object, extension, payment)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.at_ms)
    .bind(&entry.who)
    .bind(&entry.api_key)
    .bind(entry.what)
    .bind(&entry.result)
    .bind(&entry.origin)
    .bind(&entry.object)
    .bind(entry.extension)
    .bind(&entry.payment)
    .execute(connection)
    .await?;
    Ok(())
}
