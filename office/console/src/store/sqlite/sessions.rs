//! Sessions and links in SQLite.

use super::{
    Sqlite,
    users::{UserColumns, user_of},
};
use crate::{
    secret::sha256,
    store::{
        StoreError,
        sessions::{AGE_MS, IDLE_MS, LINK_MS, SESSIONS_MAX, Sessions, TOUCH_MS},
        users::User,
    },
};
use async_trait::async_trait;

/// A user's columns, and when the session was last used.
type SessionColumns = (i64, String, String, String, Option<String>, String, i64);

#[async_trait]
impl Sessions for Sqlite {
    async fn session_begin(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE used_at <= ? OR created_at <= ?")
            .bind(now_ms - IDLE_MS)
            .bind(now_ms - AGE_MS)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "DELETE FROM session WHERE user_id = ?1 AND token_hash NOT IN
             (SELECT token_hash FROM session WHERE user_id = ?1 ORDER BY used_at DESC LIMIT ?2)",
        )
        .bind(user)
        .bind(SESSIONS_MAX - 1)
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO session (token_hash, user_id, created_at, used_at) VALUES (?, ?, ?, ?)")
            .bind(sha256(token.as_bytes()))
            .bind(user)
            .bind(now_ms)
            .bind(now_ms)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn session_user(&self, now_ms: i64, token: &str, touch: bool) -> Result<Option<User>, StoreError> {
        let hash = sha256(token.as_bytes());
        let found: Option<SessionColumns> = sqlx::query_as(
            "SELECT u.id, u.name, u.email, u.role, u.extension, u.rights, s.used_at
             FROM session s JOIN user u ON u.id = s.user_id
             WHERE s.token_hash = ? AND s.used_at > ? AND s.created_at > ?",
        )
        .bind(&hash)
        .bind(now_ms - IDLE_MS)
        .bind(now_ms - AGE_MS)
        .fetch_optional(&self.reader)
        .await?;
        let Some((id, name, email, role, extension, rights, used_at)) = found else { return Ok(None) };
        if touch && now_ms - used_at > TOUCH_MS {
            sqlx::query("UPDATE session SET used_at = ? WHERE token_hash = ?")
                .bind(now_ms)
                .bind(&hash)
                .execute(&self.writer)
                .await?;
        }
        user_of((id, name, email, role, extension, rights)).map(Some)
    }

    async fn session_end(&self, token: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM session WHERE token_hash = ?")
            .bind(sha256(token.as_bytes()))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn link_insert(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO sign_in_link (token_hash, user_id, expires_at) VALUES (?, ?, ?)")
            .bind(sha256(token.as_bytes()))
            .bind(user)
            .bind(now_ms + LINK_MS)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn link_take(&self, now_ms: i64, token: &str) -> Result<Option<User>, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sign_in_link WHERE expires_at <= ?").bind(now_ms).execute(&mut *tx).await?;
        let user: Option<i64> = sqlx::query_scalar("DELETE FROM sign_in_link WHERE token_hash = ? RETURNING user_id")
            .bind(sha256(token.as_bytes()))
            .fetch_optional(&mut *tx)
            .await?;
        let found: Option<UserColumns> =
            sqlx::query_as("SELECT id, name, email, role, extension, rights FROM user WHERE id = ?")
                .bind(user)
                .fetch_optional(&mut *tx)
                .await?;
        tx.commit().await?;
        found.map(user_of).transpose()
    }
}
