//! The vault's records in SQLite. Ciphertext only; may be backed up.

use super::sqlite::{Database, json, stored, word};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use std::path::Path;
use vault::{Overdue, Reason, Record, Row, Store, StoreError, Tenant};
use wire::Token;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS record (
    token TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    pan BLOB,
    expiry BLOB,
    stored_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    keep_until_ms INTEGER,
    gone_ms INTEGER,
    reason TEXT CHECK (reason IN ('shredded', 'retention')),
    CHECK ((pan IS NULL) = (gone_ms IS NOT NULL) AND (expiry IS NULL) = (pan IS NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS record_of_tenant ON record (tenant, token);
CREATE INDEX IF NOT EXISTS record_used ON record (tenant, used_ms) WHERE gone_ms IS NULL;
CREATE INDEX IF NOT EXISTS record_keep ON record (tenant, keep_until_ms) WHERE gone_ms IS NULL AND keep_until_ms IS NOT NULL;
";

/// The records.
#[derive(Clone, Debug)]
pub struct Records(Database);

impl Records {
    /// Opens the database, or makes it.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        Ok(Self(Database::open(file, TABLES).await?))
    }

    /// Folds the log and closes.
    pub async fn close(&self) {
        self.0.close().await;
    }

    /// A copy of all records in one file, while the vault is in use.
    pub async fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        self.0.copy(to).await
    }
}

impl Store for Records {
    async fn insert(&self, tenant: &Tenant, record: &Record) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO record (token, tenant, pan, expiry, stored_ms, used_ms, keep_until_ms) VALUES (?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT DO NOTHING",
        )
        .bind(record.token.as_str())
        .bind(tenant.as_str())
        .bind(&record.pan)
        .bind(&record.expiry)
        .bind(record.stored_ms)
        .bind(record.used_ms)
        .bind(record.keep_until_ms)
        .execute(&self.0.writer)
        .await;
        Ok(done.map_err(stored)?.rows_affected() == 1)
    }

    async fn record(&self, tenant: &Tenant, token: &Token) -> Result<Option<Row>, StoreError> {
        let found = sqlx::query(
            "SELECT token, pan, expiry, stored_ms, used_ms, keep_until_ms FROM record WHERE token = ? AND tenant = ?",
        )
        .bind(token.as_str())
        .bind(tenant.as_str())
        .fetch_optional(&self.0.reader)
        .await
        .map_err(stored)?;
        found.map(|row| Ok(record_of(&row)?.map_or(Row::Gone, Row::Kept))).transpose()
    }

    async fn used(&self, tenant: &Tenant, token: &Token, now_ms: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE record SET used_ms = ? WHERE token = ? AND tenant = ? AND gone_ms IS NULL")
            .bind(now_ms)
            .bind(token.as_str())
            .bind(tenant.as_str())
            .execute(&self.0.writer)
            .await
            .map_err(stored)?;
        Ok(())
    }

    async fn page(&self, tenant: &Tenant, after: Option<&Token>, limit: u32) -> Result<Vec<Record>, StoreError> {
        let rows = sqlx::query(
            "SELECT token, pan, expiry, stored_ms, used_ms, keep_until_ms FROM record \
             WHERE tenant = ? AND token > ? AND gone_ms IS NULL ORDER BY token LIMIT ?",
        )
        .bind(tenant.as_str())
        .bind(after.map_or("", Token::as_str))
        .bind(limit)
        .fetch_all(&self.0.reader)
        .await
        .map_err(stored)?;
        rows.iter().filter_map(|row| record_of(row).transpose()).collect()
    }

    async fn overdue(&self, tenant: &Tenant, rule: Overdue, limit: u32) -> Result<Vec<Token>, StoreError> {
        let rows = sqlx::query(
            "SELECT token FROM record WHERE tenant = ?1 AND gone_ms IS NULL AND keep_until_ms < ?2 \
             UNION SELECT token FROM record WHERE tenant = ?1 AND gone_ms IS NULL AND used_ms < ?3 LIMIT ?4",
        )
        .bind(tenant.as_str())
        .bind(rule.now_ms)
        .bind(rule.unused_since_ms)
        .bind(limit)
        .fetch_all(&self.0.reader)
        .await
        .map_err(stored)?;
        rows.iter().map(|row| word(row, "token")).collect()
    }

    async fn bury(&self, tenant: &Tenant, tokens: &[Token], at_ms: i64, reason: Reason) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "UPDATE record SET pan = NULL, expiry = NULL, gone_ms = ?, reason = ? \
             WHERE tenant = ? AND gone_ms IS NULL AND token IN (SELECT value FROM json_each(?))",
        )
        .bind(at_ms)
        .bind(reason.as_str())
        .bind(tenant.as_str())
        .bind(json(tokens)?)
        .execute(&self.0.writer)
        .await;
        Ok(done.map_err(stored)?.rows_affected())
    }

    async fn bury_all(&self, tenant: &Tenant, at_ms: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "UPDATE record SET pan = NULL, expiry = NULL, gone_ms = ?, reason = ? WHERE tenant = ? AND gone_ms IS NULL",
        )
        .bind(at_ms)
        .bind(Reason::Shredded.as_str())
        .bind(tenant.as_str())
        .execute(&self.0.writer)
        .await;
        Ok(done.map_err(stored)?.rows_affected())
    }

    async fn count(&self, tenant: &Tenant) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query("SELECT count(*) - count(gone_ms), count(gone_ms) FROM record WHERE tenant = ?")
            .bind(tenant.as_str())
            .fetch_one(&self.0.reader)
            .await
            .map_err(stored)?;
        let count = |place| u64::try_from(row.get::<i64, _>(place)).unwrap_or(0);
        Ok((count(0), count(1)))
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.0.settle().await
    }
}

/// `None` for a record that is gone.
fn record_of(row: &SqliteRow) -> Result<Option<Record>, StoreError> {
    let (Some(pan), Some(expiry)) = (row.get("pan"), row.get("expiry")) else { return Ok(None) };
    Ok(Some(Record {
        token: word(row, "token")?,
        pan,
        expiry,
        stored_ms: row.get("stored_ms"),
        used_ms: row.get("used_ms"),
        keep_until_ms: row.get("keep_until_ms"),
    }))
}
