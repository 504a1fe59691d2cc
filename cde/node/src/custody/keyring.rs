//! The vault's wrapped keys in SQLite. Never in a backup of the records.

use super::sqlite::{Database, json, number, stored, word};
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor as _, Row as _, SqliteConnection};
use std::path::Path;
use vault::{Keyring, Purpose, RecordKey, RootVersion, StoreError, Tenant, TenantKey};
use wire::Token;

/// What opens a card, or tells its number to who can try all numbers, stands in a row of its own that never moves and never changes
/// its length, and is overwritten where it stands: SQLite leaves copies behind in the gaps of its pages when rows are moved from page to
/// page, which secure_delete does not wipe. Rows of `wrapped` are only added at the end, and those that are free are used again.
/// Those of records' keys begin with the fingerprint, by whose first twelve bits alone it is found.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS wrapped (
    place INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL,
    is_free INTEGER NOT NULL DEFAULT 0 CHECK (is_free IN (0, 1))
) STRICT;
CREATE INDEX IF NOT EXISTS wrapped_free ON wrapped (place) WHERE is_free = 1;
CREATE TABLE IF NOT EXISTS tenant_key (
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('records', 'fingerprints', 'transfer')),
    version INTEGER NOT NULL,
    root INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (tenant, purpose, version)
) STRICT;
CREATE TABLE IF NOT EXISTS record_key (
    token TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    kek INTEGER NOT NULL,
    place INTEGER NOT NULL,
    bucket TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS record_key_kek ON record_key (tenant, kek);
CREATE INDEX IF NOT EXISTS record_key_bucket ON record_key (tenant, bucket);
CREATE TABLE IF NOT EXISTS root (below INTEGER NOT NULL);
INSERT INTO root SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM root);
";

/// A keyring whose wrapped keys stood in the rows of their records.
const OLD: &str = "SELECT count(*) > 0 FROM pragma_table_info('record_key') WHERE name = 'wrapped'";
/// The number of a file (`user_version`) in which each has its place, and nothing is left of where they were.
const IN_PLACES: i64 = 1;
const RENAME: &str = "
ALTER TABLE tenant_key RENAME TO old_tenant_key;
ALTER TABLE record_key RENAME TO old_record_key;
DROP INDEX record_key_kek;
DROP INDEX record_key_fingerprint;
";
const MOVE: &str = "
INSERT INTO wrapped (place, bytes) SELECT rowid, CAST(fingerprint || wrapped AS BLOB) FROM old_record_key ORDER BY rowid;
INSERT INTO record_key (token, tenant, kek, place, bucket)
    SELECT token, tenant, kek, rowid, substr(hex(fingerprint), 1, 3) FROM old_record_key;
INSERT INTO wrapped (place, bytes)
    SELECT rowid + (SELECT coalesce(max(rowid), 0) FROM old_record_key), wrapped FROM old_tenant_key ORDER BY rowid;
INSERT INTO tenant_key (tenant, purpose, version, root, place)
    SELECT tenant, purpose, version, root, rowid + (SELECT coalesce(max(rowid), 0) FROM old_record_key) FROM old_tenant_key;
DROP TABLE old_record_key;
DROP TABLE old_tenant_key;
";

/// The wrapped keys.
#[derive(Clone, Debug)]
pub struct Keys(Database);

impl Keys {
    /// Opens the database, or makes it.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let keys = Self(Database::open(file, "SELECT 1").await?);
        keys.prepare().await?;
        Ok(keys)
    }

    /// Folds the log and closes.
    pub async fn close(&self) {
        self.0.close().await;
    }

    /// Makes the tables. Of a keyring from before there were places what SQLite has left of its keys anywhere goes as well.
    async fn prepare(&self) -> Result<(), StoreError> {
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.0.writer).await.map_err(stored)?;
        if version >= IN_PLACES {
            return Ok(());
        }
        let mut transaction = self.0.begin().await?;
        let is_old: bool = sqlx::query_scalar(OLD).fetch_one(&mut *transaction).await.map_err(stored)?;
        let steps: &[&'static str] = if is_old { &[RENAME, TABLES, MOVE] } else { &[TABLES] };
        for statements in steps {
            transaction.execute(*statements).await.map_err(stored)?;
        }
        transaction.commit().await.map_err(stored)?;
        self.0.writer.execute("VACUUM").await.map_err(stored)?;
        self.0.settle().await?;
        self.0.writer.execute("PRAGMA user_version = 1").await.map_err(stored)?;
        Ok(())
    }
}

/// Overwrites a place that is free and as long, or adds one at the end.
async fn place(connection: &mut SqliteConnection, wrapped: &[u8]) -> Result<i64, sqlx::Error> {
    let free = sqlx::query_scalar(
        "UPDATE wrapped SET bytes = ?1, is_free = 0 WHERE place = \
         (SELECT place FROM wrapped WHERE is_free = 1 AND length(bytes) = length(?1) LIMIT 1) RETURNING place",
    );
    if let Some(place) = free.bind(wrapped).fetch_optional(&mut *connection).await? {
        return Ok(place);
    }
    let at_the_end = sqlx::query_scalar("INSERT INTO wrapped (bytes) VALUES (?) RETURNING place");
    at_the_end.bind(wrapped).fetch_one(connection).await
}

/// Overwrites what stands there. What is of another length, as when another kind of key store wraps it, gets another place.
async fn replace(connection: &mut SqliteConnection, old: i64, wrapped: &[u8]) -> Result<i64, sqlx::Error> {
    let write = sqlx::query("UPDATE wrapped SET bytes = ?1 WHERE place = ?2 AND length(bytes) = length(?1)");
    if write.bind(wrapped).bind(old).execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(old);
    }
    let wipe = sqlx::query("UPDATE wrapped SET bytes = zeroblob(length(bytes)), is_free = 1 WHERE place = ?");
    wipe.bind(old).execute(&mut *connection).await?;
    place(connection, wrapped).await
}

impl Keyring for Keys {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let query = sqlx::query("SELECT DISTINCT tenant FROM tenant_key ORDER BY tenant");
        let rows = query.fetch_all(&self.0.reader).await.map_err(stored)?;
        rows.iter().map(|row| word(row, "tenant")).collect()
    }

    async fn tenant_keys(&self, tenant: &Tenant) -> Result<Vec<TenantKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT purpose, version, root, bytes AS wrapped FROM tenant_key JOIN wrapped USING (place) WHERE tenant = ? \
             ORDER BY purpose DESC, version",
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
            let place = place(&mut transaction, &key.wrapped).await.map_err(stored)?;
            let added = sqlx::query(
                "INSERT INTO tenant_key (tenant, purpose, version, root, place) SELECT ?1, ?2, ?3, ?4, ?5 \
                 WHERE ?4 >= (SELECT below FROM root) ON CONFLICT DO NOTHING",
            )
            .bind(tenant.as_str())
            .bind(key.purpose.as_str())
            .bind(key.version)
            .bind(key.root)
            .bind(place)
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
        let mut transaction = self.0.begin().await?;
        let place: Option<i64> = sqlx::query_scalar(
            "UPDATE tenant_key SET root = ?1 WHERE tenant = ?2 AND purpose = ?3 AND version = ?4 AND root = ?5 \
             AND ?1 >= (SELECT below FROM root) RETURNING place",
        )
        .bind(key.root)
        .bind(tenant.as_str())
        .bind(key.purpose.as_str())
        .bind(key.version)
        .bind(from)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(stored)?;
        let Some(place) = place else { return Ok(false) };
        let replaced = replace(&mut transaction, place, &key.wrapped).await.map_err(stored)?;
        let moved = sqlx::query("UPDATE tenant_key SET place = ? WHERE place = ?").bind(replaced).bind(place);
        moved.execute(&mut *transaction).await.map_err(stored)?;
        transaction.commit().await.map_err(stored)?;
        Ok(true)
    }

    async fn close_roots(&self, below: RootVersion) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE root SET below = max(below, ?1) WHERE NOT EXISTS (SELECT 1 FROM tenant_key WHERE root < ?1)",
        );
        let done = done.bind(below).execute(&self.0.writer).await.map_err(stored)?;
        Ok(done.rows_affected() == 1)
    }

    async fn remove_kek(&self, tenant: &Tenant, version: u32) -> Result<bool, StoreError> {
        let mut transaction = self.0.begin().await?;
        let done = sqlx::query(
            "UPDATE wrapped SET bytes = zeroblob(length(bytes)), is_free = 1 WHERE place = (SELECT place FROM tenant_key \
             WHERE tenant = ?1 AND purpose = 'records' AND version = ?2 \
             AND NOT EXISTS (SELECT 1 FROM record_key WHERE tenant = ?1 AND kek = ?2) \
             AND EXISTS (SELECT 1 FROM tenant_key WHERE tenant = ?1 AND purpose = 'records' AND version > ?2))",
        );
        let done = done.bind(tenant.as_str()).bind(version).execute(&mut *transaction).await.map_err(stored)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let row = sqlx::query("DELETE FROM tenant_key WHERE tenant = ? AND purpose = 'records' AND version = ?");
        row.bind(tenant.as_str()).bind(version).execute(&mut *transaction).await.map_err(stored)?;
        transaction.commit().await.map_err(stored)?;
        Ok(true)
    }

    async fn add_record_key(&self, tenant: &Tenant, key: &RecordKey) -> Result<bool, StoreError> {
        let mut transaction = self.0.begin().await?;
        let place = place(&mut transaction, &kept(key)).await.map_err(stored)?;
        let done = sqlx::query(
            "INSERT INTO record_key (token, tenant, kek, place, bucket) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE EXISTS (SELECT 1 FROM tenant_key WHERE tenant = ?2 AND purpose = 'records' AND version = ?3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(key.token.as_str())
        .bind(tenant.as_str())
        .bind(key.kek)
        .bind(place)
        .bind(bucket(&key.fingerprint))
        .execute(&mut *transaction)
        .await
        .map_err(stored)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        transaction.commit().await.map_err(stored)?;
        Ok(true)
    }

    async fn record_key(&self, tenant: &Tenant, token: &Token) -> Result<Option<(RecordKey, TenantKey)>, StoreError> {
        let found = sqlx::query(
            "SELECT k.token, k.kek, w.bytes, t.purpose, t.version, t.root, v.bytes AS kek_wrapped \
             FROM record_key k JOIN tenant_key t ON t.tenant = k.tenant AND t.purpose = 'records' AND t.version = k.kek \
             JOIN wrapped w ON w.place = k.place JOIN wrapped v ON v.place = t.place WHERE k.token = ? AND k.tenant = ?",
        )
        .bind(token.as_str())
        .bind(tenant.as_str())
        .fetch_optional(&self.0.reader)
        .await
        .map_err(stored)?;
        found.map(|row| Ok((record_key(&row)?, tenant_key(&row, "kek_wrapped")?))).transpose()
    }

    async fn wrapped_by(&self, tenant: &Tenant, kek: u32, limit: u32) -> Result<Vec<RecordKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT token, kek, bytes FROM record_key JOIN wrapped USING (place) \
             WHERE tenant = ? AND kek = ? LIMIT ?",
        );
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
        let rows = sqlx::query(
            "SELECT token FROM record_key JOIN wrapped USING (place) WHERE tenant = ? AND bucket = ? AND substr(bytes, 1, 32) = ? \
             ORDER BY token LIMIT ?",
        )
        .bind(tenant.as_str())
        .bind(bucket(fingerprint))
        .bind(fingerprint.as_slice())
        .bind(limit)
        .fetch_all(&self.0.reader)
        .await
        .map_err(stored)?;
        rows.iter().map(|row| word(row, "token")).collect()
    }

    async fn remove(&self, tenant: &Tenant, tokens: &[Token]) -> Result<u64, StoreError> {
        let (mut transaction, tokens) = (self.0.begin().await?, json(tokens)?);
        let keys = sqlx::query(
            "UPDATE wrapped SET bytes = zeroblob(length(bytes)), is_free = 1 WHERE place IN (SELECT place FROM record_key \
             WHERE tenant = ? AND token IN (SELECT value FROM json_each(?)))",
        );
        keys.bind(tenant.as_str()).bind(&tokens).execute(&mut *transaction).await.map_err(stored)?;
        let rows = sqlx::query("DELETE FROM record_key WHERE tenant = ? AND token IN (SELECT value FROM json_each(?))");
        let rows = rows.bind(tenant.as_str()).bind(&tokens).execute(&mut *transaction).await.map_err(stored)?;
        transaction.commit().await.map_err(stored)?;
        Ok(rows.rows_affected())
    }

    async fn remove_tenant(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        let mut transaction = self.0.begin().await?;
        let keys = sqlx::query(
            "UPDATE wrapped SET bytes = zeroblob(length(bytes)), is_free = 1 WHERE place IN (SELECT place FROM record_key WHERE tenant = ?1 \
             UNION ALL SELECT place FROM tenant_key WHERE tenant = ?1)",
        );
        keys.bind(tenant.as_str()).execute(&mut *transaction).await.map_err(stored)?;
        let rows = sqlx::query("DELETE FROM record_key WHERE tenant = ?").bind(tenant.as_str());
        let rows = rows.execute(&mut *transaction).await.map_err(stored)?;
        let own = sqlx::query("DELETE FROM tenant_key WHERE tenant = ?").bind(tenant.as_str());
        own.execute(&mut *transaction).await.map_err(stored)?;
        transaction.commit().await.map_err(stored)?;
        Ok(rows.rows_affected())
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
    let place: Option<i64> =
        sqlx::query_scalar("UPDATE record_key SET kek = ? WHERE token = ? AND tenant = ? AND kek = ? RETURNING place")
            .bind(key.kek)
            .bind(key.token.as_str())
            .bind(tenant.as_str())
            .bind(from)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(place) = place else { return Ok(0) };
    let replaced = replace(&mut *connection, place, &kept(key)).await?;
    if replaced != place {
        let moved = sqlx::query("UPDATE record_key SET place = ? WHERE token = ?").bind(replaced);
        moved.bind(key.token.as_str()).execute(connection).await?;
    }
    Ok(1)
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
    let kept: &[u8] = row.get("bytes");
    let parts = kept.split_first_chunk().ok_or_else(|| StoreError::new("bytes: a row is not readable"))?;
    let (fingerprint, wrapped): (&[u8; 32], &[u8]) = parts;
    let (fingerprint, wrapped) = (*fingerprint, wrapped.to_vec());
    Ok(RecordKey { token: word(row, "token")?, kek: number(row, "kek")?, wrapped, fingerprint })
}

/// What stands in its place.
fn kept(key: &RecordKey) -> Vec<u8> {
    [key.fingerprint.as_slice(), &key.wrapped].concat()
}

/// Of some thousand of them one is a card's: few enough to look through, and too many to tell it by.
fn bucket(fingerprint: &[u8; 32]) -> String {
    let [first, second, ..] = *fingerprint;
    format!("{first:02X}{:X}", second >> 4)
}
