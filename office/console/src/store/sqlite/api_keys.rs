//! API keys in SQLite.

use super::{
    Sqlite, audit,
    users::{UserColumns, user_of},
};
use crate::{
    clock::rfc3339,
    secret::sha256,
    store::{
        StoreError,
        api_keys::{ApiKey, ApiKeys, Shown, TOUCH_MS},
        audit::Entry,
    },
};
use async_trait::async_trait;

/// The columns of [`ApiKey`].
type Columns = (i64, String, String, i64, Option<i64>, Option<i64>, Option<String>);

/// A user's columns, then the key's id, name, last use and end.
type ShownColumns = (i64, String, String, String, Option<String>, String, i64, String, Option<i64>, Option<i64>);

#[async_trait]
impl ApiKeys for Sqlite {
    async fn api_key_insert(&self, now_ms: i64, user: i64, name: &str, key: &str) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO api_key (key_hash, user_id, name, created_at) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM api_key WHERE user_id = ?2 AND name = ?3 AND revoked_at IS NULL)",
        );
        let insert = insert.bind(sha256(key.as_bytes())).bind(user).bind(name).bind(now_ms);
        Ok(insert.execute(&self.writer).await?.rows_affected() > 0)
    }

    async fn api_key_shown(&self, now_ms: i64, key: &str, touch: bool) -> Result<Shown, StoreError> {
        let found: Option<ShownColumns> = sqlx::query_as(
            "SELECT u.id, u.name, u.email, u.role, u.extension, u.rights, k.id, k.name, k.used_at, k.revoked_at
             FROM api_key k JOIN user u ON u.id = k.user_id WHERE k.key_hash = ?",
        )
        .bind(sha256(key.as_bytes()))
        .fetch_optional(&self.reader)
        .await?;
        let Some((user, called, email, role, extension, rights, id, name, used_at, revoked_at)) = found else {
            return Ok(Shown::Unknown);
        };
        if revoked_at.is_some() {
            return Ok(Shown::Revoked(name));
        }
        if touch && used_at.is_none_or(|used_at| now_ms - used_at > TOUCH_MS) {
            let update = sqlx::query("UPDATE api_key SET used_at = ? WHERE id = ?").bind(now_ms).bind(id);
            update.execute(&self.writer).await?;
        }
        let columns: UserColumns = (user, called, email, role, extension, rights);
        Ok(Shown::Good(user_of(columns)?, name))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT k.id, k.name, u.email, k.created_at, k.used_at, k.revoked_at, k.revoked_by
             FROM api_key k JOIN user u ON u.id = k.user_id ORDER BY k.revoked_at IS NOT NULL, u.email, k.created_at, k.id",
        )
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.into_iter().map(listed).collect())
    }

    async fn api_key_revoke(&self, id: i64, by: &str, entry: &Entry<'_>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let update =
            sqlx::query("UPDATE api_key SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL")
                .bind(entry.at_ms)
                .bind(by)
                .bind(id);
        if update.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }
}

fn listed((id, name, user, created_at, used_at, revoked_at, revoked_by): Columns) -> ApiKey {
    ApiKey {
        id,
        name,
        user,
        created_at: rfc3339(created_at),
        last_used_at: used_at.map(rfc3339),
        revoked_at: revoked_at.map(rfc3339),
        revoked_by,
    }
}
