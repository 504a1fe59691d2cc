//! The vault's wrapped keys in SQLite. Never in a backup of the records.

use super::sqlite::{Database, json, number, stored, word};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use std::path::Path;
use vault::{Keyring, Purpose, RecordKey, RootVersion, StoreError, Tenant, TenantKey};
use wire::Token;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS tenant_key (
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('records', 'fingerprints', 'transfer')),
    version INTEGER NOT NULL,
    root INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, purpose, version)
) STRICT;
CREATE TABLE IF NOT EXISTS record_key (
    token TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    kek INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    fingerprint BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS record_key_kek ON record_key (tenant, kek);
CREATE INDEX IF NOT EXISTS record_key_fingerprint ON record_key (tenant, fingerprint);
CREATE TABLE IF NOT EXISTS root (below INTEGER NOT NULL);
INSERT INTO root SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM root);
";

/// The wrapped keys.
#[derive(Clone, Debug)]
pub struct Keys(Database);

impl Keys {
    /// Opens the database, or makes it.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        Ok(Self(Database::open(file, TABLES).await?))
    }

    /// Folds the log and closes.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

impl Keyring for Keys {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let query = sqlx::query("SELECT DISTINCT tenant FROM tenant_key ORDER BY tenant");
        let rows = query.fetch_all(&self.0.reader).await.map_err(stored)?;
        rows.iter().map(|row| word(row, "tenant")).collect()
    }

    async fn tenant_keys(&self, tenant: &Tenant) -> Result<Vec<TenantKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT purpose, version, root, wrapped FROM tenant_key WHERE tenant = ? ORDER BY purpose DESC, version",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.0.reader)
        .await
        .map_err(stored)?;
        rows.iter().map(|row| tenant_key(row, "wrapped")).collect()
    }

    async fn add_tenant_keys(&self, tenant: &Tenant, keys: &[TenantKey]) -> Result<bool, StoreError> {
        let mut transaction = self.0.begin().await?;
        for key in keys {
            let added = sqlx::query(
                "INSERT INTO tenant_key (tenant, purpose, version, root, wrapped) SELECT ?1, ?2, ?3, ?4, ?5 \
                 WHERE ?4 >= (SELECT below FROM root) ON CONFLICT DO NOTHING",
            )
            .bind(tenant.as_str())
            .bind(key.purpose.as_str())
            .bind(key.version)
            .bind(key.root)
            .bind(&key.wrapped)
            .execute(&mut *transaction)
            .await
            .map_err(stored)?;
            if added.rows_affected() == 0 {
                transaction.rollback().await.map_err(stored)?;
                return Ok(false);
            }
        }
        transaction.commit().await.map_err(stored)?;
        Ok(true)
    }

    async fn rewrap_tenant_key(&self, tenant: &Tenant, from: RootVersion, key: &TenantKey) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tenant_key SET root = ?1, wrapped = ?2 WHERE tenant = ?3 AND purpose = ?4 AND version = ?5 AND root = ?6 \
             AND ?1 >= (SELECT below FROM root)",
        )
        .bind(key.root)
        .bind(&key.wrapped)
        .bind(tenant.as_str())
        .bind(key.purpose.as_str())
        .bind(key.version)
        .bind(from)
        .execute(&self.0.writer)
        .await;
        Ok(done.map_err(stored)?.rows_affected() == 1)
    }

    async fn close_roots(&self, below: RootVersion) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE root SET below = max(below, ?1) WHERE NOT EXISTS (SELECT 1 FROM tenant_key WHERE root < ?1)",
        );
        let done = done.bind(below).execute(&self.0.writer).await.map_err(stored)?;
        Ok(done.rows_affected() == 1)
    }

    async fn remove_kek(&self, tenant: &Tenant, version: u32) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "DELETE FROM tenant_key WHERE tenant = ?1 AND purpose = 'records' AND version = ?2 \
             AND NOT EXISTS (SELECT 1 FROM record_key WHERE tenant = ?1 AND kek = ?2) \
             AND EXISTS (SELECT 1 FROM tenant_key WHERE tenant = ?1 AND purpose = 'records' AND version > ?2)",
        )
        .bind(tenant.as_str())
        .bind(version)
        .execute(&self.0.writer)
        .await;
        Ok(done.map_err(stored)?.rows_affected() == 1)
    }

    async fn add_record_key(&self, tenant: &Tenant, key: &RecordKey) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO record_key (token, tenant, kek, wrapped, fingerprint) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE EXISTS (SELECT 1 FROM tenant_key WHERE tenant = ?2 AND purpose = 'records' AND version = ?3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(key.token.as_str())
        .bind(tenant.as_str())
        .bind(key.kek)
        .bind(&key.wrapped)
        .bind(key.fingerprint.as_slice())
        .execute(&self.0.writer)
        .await;
        Ok(done.map_err(stored)?.rows_affected() == 1)
    }

    async fn record_key(&self, tenant: &Tenant, token: &Token) -> Result<Option<(RecordKey, TenantKey)>, StoreError> {
        let found = sqlx::query(
            "SELECT k.token, k.kek, k.wrapped, k.fingerprint, t.purpose, t.version, t.root, t.wrapped AS kek_wrapped \
             FROM record_key k JOIN tenant_key t ON t.tenant = k.tenant AND t.purpose = 'records' AND t.version = k.kek \
             WHERE k.token = ? AND k.tenant = ?",
        )
        .bind(token.as_str())
        .bind(tenant.as_str())
        .fetch_optional(&self.0.reader)
        .await
        .map_err(stored)?;
        found.map(|row| Ok((record_key(&row)?, tenant_key(&row, "kek_wrapped")?))).transpose()
    }

    async fn wrapped_by(&self, tenant: &Tenant, kek: u32, limit: u32) -> Result<Vec<RecordKey>, StoreError> {
        let rows =
            sqlx::query("SELECT token, kek, wrapped, fingerprint FROM record_key WHERE tenant = ? AND kek = ? LIMIT ?");
        let rows = rows.bind(tenant.as_str()).bind(kek).bind(limit).fetch_all(&self.0.reader).await.map_err(stored)?;
        rows.iter().map(record_key).collect()
    }

    async fn rewrap(&self, tenant: &Tenant, from: u32, keys: &[RecordKey]) -> Result<u64, StoreError> {
        let mut transaction = self.0.begin().await?;
        let mut count = 0;
        for key in keys {
            count += rewrap_one(&mut transaction, tenant, from, key).await.map_err(stored)?;
        }
        transaction.commit().await.map_err(stored)?;
        Ok(count)
    }

    async fn find(&self, tenant: &Tenant, fingerprint: &[u8; 32], limit: u32) -> Result<Vec<Token>, StoreError> {
        let rows =
            sqlx::query("SELECT token FROM record_key WHERE tenant = ? AND fingerprint = ? ORDER BY token LIMIT ?")
                .bind(tenant.as_str())
                .bind(fingerprint.as_slice())
                .bind(limit)
                .fetch_all(&self.0.reader)
                .await
                .map_err(stored)?;
        rows.iter().map(|row| word(row, "token")).collect()
    }

    async fn remove(&self, tenant: &Tenant, tokens: &[Token]) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM record_key WHERE tenant = ? AND token IN (SELECT value FROM json_each(?))")
            .bind(tenant.as_str())
            .bind(json(tokens)?)
            .execute(&self.0.writer)
            .await;
        Ok(done.map_err(stored)?.rows_affected())
    }

    async fn remove_tenant(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        let mut transaction = self.0.begin().await?;
        let keys = sqlx::query("DELETE FROM record_key WHERE tenant = ?").bind(tenant.as_str());
        let keys = keys.execute(&mut *transaction).await.map_err(stored)?;
        let own = sqlx::query("DELETE FROM tenant_key WHERE tenant = ?").bind(tenant.as_str());
        own.execute(&mut *transaction).await.map_err(stored)?;
        transaction.commit().await.map_err(stored)?;
        Ok(keys.rows_affected())
    }

    async fn count(&self, tenant: &Tenant) -> Result<Vec<(u32, u64)>, StoreError> {
        let rows = sqlx::query("SELECT kek, count(*) FROM record_key WHERE tenant = ? GROUP BY kek ORDER BY kek");
        let rows = rows.bind(tenant.as_str()).fetch_all(&self.0.reader).await.map_err(stored)?;
        let count = |row: &SqliteRow| Ok((number(row, "kek")?, u64::try_from(row.get::<i64, _>(1)).unwrap_or(0)));
        rows.iter().map(count).collect()
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.0.settle().await
    }
}

async fn rewrap_one(
    connection: &mut SqliteConnection,
    tenant: &Tenant,
    from: u32,
    key: &RecordKey,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("UPDATE record_key SET kek = ?, wrapped = ? WHERE token = ? AND tenant = ? AND kek = ?")
        .bind(key.kek)
        .bind(&key.wrapped)
        .bind(key.token.as_str())
        .bind(tenant.as_str())
        .bind(from)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

fn tenant_key(row: &SqliteRow, wrapped: &'static str) -> Result<TenantKey, StoreError> {
    let purpose = match row.get("purpose") {
        "records" => Purpose::Records,
        "fingerprints" => Purpose::Fingerprints,
        "transfer" => Purpose::Transfer,
        _ => return Err(StoreError::new("purpose: a row is not readable")),
    };
    Ok(TenantKey { purpose, version: number(row, "version")?, root: number(row, "root")?, wrapped: row.get(wrapped) })
}

fn record_key(row: &SqliteRow) -> Result<RecordKey, StoreError> {
    let fingerprint: &[u8] = row.get("fingerprint");
    let fingerprint = fingerprint.try_into().map_err(|_| StoreError::new("fingerprint: a row is not readable"))?;
    Ok(RecordKey { token: word(row, "token")?, kek: number(row, "kek")?, wrapped: row.get("wrapped"), fingerprint })
}
