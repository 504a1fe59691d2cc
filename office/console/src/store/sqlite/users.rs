//! Users in SQLite.

use super::Sqlite;
use crate::{
    rights::Rights,
    store::{
        StoreError,
        users::{Door, FAILURES_MAX, LOCK_MS, Role, User, UserRow, Users},
    },
};
use async_trait::async_trait;
use wire::Extension;

/// A user's columns, as [`user_of`] reads them.
pub(super) type UserColumns = (i64, String, String, String, Option<String>, String);

pub(super) fn user_of((id, name, email, role, extension, rights): UserColumns) -> Result<User, StoreError> {
    let role = match role.as_str() {
        "agent" => Role::Agent,
        "admin" => Role::Admin,
        _ => return Err(StoreError::Damaged("role")),
    };
    let extension = extension.map(|text| text.parse().map_err(|_| StoreError::Damaged("extension"))).transpose()?;
    let rights = rights.parse().map_err(|_| StoreError::Damaged("rights"))?;
    Ok(User { id, name, email, role, extension, rights })
}

#[async_trait]
impl Users for Sqlite {
    async fn user_insert(&self, now_ms: i64, user: &UserRow<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO user (email, name, role, extension, rights, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(user.email)
        .bind(user.name)
        .bind(user.role.as_str())
        .bind(user.extension.map(Extension::as_str))
        .bind(user.rights.to_string())
        .bind(user.password_hash)
        .bind(now_ms)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn user_rights(&self, email: &str, rights: &Rights) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE user SET rights = ? WHERE email = ?").bind(rights.to_string()).bind(email);
        Ok(update.execute(&self.writer).await?.rows_affected() > 0)
    }

    async fn users(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM user").fetch_one(&self.writer).await?)
    }

    async fn has_signed_in(&self, email: &str) -> Result<bool, StoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM audit WHERE who = ? AND what = 'sign_in' AND result IN ('link', 'password'))";
        Ok(sqlx::query_scalar(sql).bind(email).fetch_one(&self.writer).await?)
    }

    async fn user_name(&self, id: i64) -> Result<Option<String>, StoreError> {
        let email = sqlx::query_scalar("SELECT email FROM user WHERE id = ?").bind(id);
        Ok(email.fetch_optional(&self.reader).await?)
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let found: Option<UserColumns> =
            sqlx::query_as("SELECT id, name, email, role, extension, rights FROM user WHERE email = ?")
                .bind(email)
                .fetch_optional(&self.writer)
                .await?;
        found.map(user_of).transpose()
    }

    async fn extension_taken(&self, extension: &Extension) -> Result<bool, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM user WHERE extension = ?")
            .bind(extension.as_str())
            .fetch_one(&self.writer)
            .await?;
        Ok(count > 0)
    }

    async fn sign_in_begin(&self, now_ms: i64, email: &str) -> Result<Door, StoreError> {
        let mut tx = self.begin().await?;
        let found: Option<(i64, i64, i64, String)> =
            sqlx::query_as("SELECT id, failures, locked_until, password_hash FROM user WHERE email = ?")
                .bind(email)
                .fetch_optional(&mut *tx)
                .await?;
        let Some((id, failures, locked_until, hash)) = found else { return Ok(Door::Unknown) };
        if locked_until > now_ms {
            return Ok(Door::Locked(locked_until));
        }
        let failures = if locked_until > 0 { 1 } else { failures + 1 };
        let locked_until = if failures >= FAILURES_MAX { now_ms + LOCK_MS } else { 0 };
        let user: UserColumns = sqlx::query_as(
            "UPDATE user SET failures = ?, locked_until = ? WHERE id = ? RETURNING id, name, email, role, extension, rights",
        )
        .bind(failures)
        .bind(locked_until)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Door::Try(user_of(user)?, hash))
    }

    async fn sign_in_succeeded(&self, user: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE user SET failures = 0, locked_until = 0 WHERE id = ?")
            .bind(user)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
