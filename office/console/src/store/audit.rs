//! The audit trail: who, what, when, with what result, from where, about what. Rows are only ever added.

use super::{Store, StoreError};
use crate::clock::rfc3339;
use serde::Serialize;
use sqlx::SqliteConnection;
use utoipa::ToSchema;

/// The most rows shown with one payment.
const SHOWN_MAX: i64 = 500;

/// One row to be written.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) at_ms: i64,
    pub(crate) who: String,
    pub(crate) what: &'a str,
    pub(crate) result: String,
    /// The network address, or the part of the system.
    pub(crate) origin: String,
    pub(crate) object: String,
    pub(crate) extension: Option<&'a str>,
    pub(crate) payment: Option<String>,
}

impl<'a> Entry<'a> {
    /// Something that the office itself did.
    pub(crate) fn system(at_ms: i64, what: &'a str, result: &str, object: &str) -> Self {
        Self {
            at_ms,
            who: "system".to_owned(),
            what,
            result: result.to_owned(),
            origin: "office".to_owned(),
            object: object.to_owned(),
            extension: None,
            payment: None,
        }
    }
}

/// One row as it is shown with its payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) result: String,
    pub(crate) origin: String,
}

impl Store {
    /// Adds a row.
    pub(crate) async fn audit(&self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await?;
        insert(&mut connection, entry).await
    }

    /// The rows about a payment, oldest first.
    pub(crate) async fn audit_of_payment(&self, payment: &str) -> Result<Vec<AuditView>, StoreError> {
        let rows: Vec<(i64, String, String, String, String)> =
            sqlx::query_as("SELECT at, who, what, result, origin FROM audit WHERE payment = ? ORDER BY at, id LIMIT ?")
                .bind(payment)
                .bind(SHOWN_MAX)
                .fetch_all(&self.reader)
                .await?;
        let view = |(at, who, what, result, origin)| AuditView { at: rfc3339(at), who, what, result, origin };
        Ok(rows.into_iter().map(view).collect())
    }
}

/// Adds a row within a transaction.
pub(super) async fn insert(connection: &mut SqliteConnection, entry: &Entry<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (at, who, what, result, origin, object, extension, payment) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.at_ms)
    .bind(&entry.who)
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
