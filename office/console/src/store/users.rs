//! Users, their lockout after failed sign-ins, and the API keys that act for them.

use super::{Store, StoreError};
use crate::{rights::Rights, secret::sha256};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::Extension;

/// After this many failures in a row the user is locked (PCI DSS 8.3.4).
pub(crate) const FAILURES_MAX: i64 = 10;
/// For this long.
pub(crate) const LOCK_MS: i64 = 30 * 60 * 1000;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes payments on the calls of one extension.
    Agent,
    /// Looks after users; sees calls only with an extension of their own.
    Admin,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Admin => "admin",
        }
    }
}

/// A user, as the rest of the office knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: Role,
    pub(crate) extension: Option<Extension>,
    pub(crate) rights: Rights,
}

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

/// A user to be stored; the rules have been checked.
#[derive(Debug)]
pub(crate) struct UserRow<'a> {
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    pub(crate) extension: Option<&'a Extension>,
    pub(crate) rights: &'a Rights,
    pub(crate) password_hash: &'a str,
}

/// What somebody who wants to sign in meets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// No such user.
    Unknown,
    /// Locked until this Unix millisecond.
    Locked(i64),
    /// This attempt is counted as a failure until [`Store::sign_in_succeeded`] takes it back, so that guesses made at
    /// the same time are all counted.
    Try(User, String),
}

impl Store {
    /// Adds a user. A second one with the same e-mail or extension is a database error, which `account` explains.
    pub(crate) async fn user_insert(&self, now_ms: i64, user: &UserRow<'_>) -> Result<(), StoreError> {
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

    /// Sets what a user may do with money. False when there is none with this e-mail.
    pub(crate) async fn user_rights(&self, email: &str, rights: &Rights) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE user SET rights = ? WHERE email = ?").bind(rights.to_string()).bind(email);
        Ok(update.execute(&self.writer).await?.rows_affected() > 0)
    }

    /// How many users there are.
    pub(crate) async fn users(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM user").fetch_one(&self.writer).await?)
    }

    /// Has this user ever signed in?
    pub(crate) async fn has_signed_in(&self, email: &str) -> Result<bool, StoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM audit WHERE who = ? AND what = 'sign_in' AND result IN ('link', 'password'))";
        Ok(sqlx::query_scalar(sql).bind(email).fetch_one(&self.writer).await?)
    }

    /// The user with this e-mail.
    pub(crate) async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let found: Option<UserColumns> =
            sqlx::query_as("SELECT id, name, email, role, extension, rights FROM user WHERE email = ?")
                .bind(email)
                .fetch_optional(&self.writer)
                .await?;
        found.map(user_of).transpose()
    }

    /// Does this extension belong to somebody?
    pub(crate) async fn extension_taken(&self, extension: &Extension) -> Result<bool, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM user WHERE extension = ?")
            .bind(extension.as_str())
            .fetch_one(&self.writer)
            .await?;
        Ok(count > 0)
    }

    /// Begins a sign-in.
    pub(crate) async fn sign_in_begin(&self, now_ms: i64, email: &str) -> Result<Door, StoreError> {
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

    /// The password was right: nothing counts against the user any more.
    pub(crate) async fn sign_in_succeeded(&self, user: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE user SET failures = 0, locked_until = 0 WHERE id = ?")
            .bind(user)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Adds an API key of a user.
    pub(crate) async fn api_key_insert(&self, now_ms: i64, user: i64, name: &str, key: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO api_key (key_hash, user_id, name, created_at) VALUES (?, ?, ?, ?)")
            .bind(sha256(key.as_bytes()))
            .bind(user)
            .bind(name)
            .bind(now_ms)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The user that an API key acts for.
    pub(crate) async fn user_by_api_key(&self, key: &str) -> Result<Option<User>, StoreError> {
        let found: Option<UserColumns> = sqlx::query_as(
            "SELECT u.id, u.name, u.email, u.role, u.extension, u.rights
             FROM api_key k JOIN user u ON u.id = k.user_id WHERE k.key_hash = ?",
        )
        .bind(sha256(key.as_bytes()))
        .fetch_optional(&self.reader)
        .await?;
        found.map(user_of).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    async fn add(store: &Store) {
        let row = UserRow {
            email: "amy@example.com",
            name: "Amy",
            role: Role::Agent,
            extension: Some(&"1001".parse().unwrap()),
            rights: &Rights::default(),
            password_hash: "x",
        };
        store.user_insert(0, &row).await.unwrap();
    }

    #[tokio::test]
    async fn ten_failures_lock_for_half_an_hour() {
        let (store, _folder) = store().await;
        add(&store).await;
        for _ in 0..FAILURES_MAX {
            assert!(matches!(store.sign_in_begin(5, "AMY@example.com").await.unwrap(), Door::Try(..)));
        }
        let until = 5 + LOCK_MS;
        assert_eq!(store.sign_in_begin(until - 1, "amy@example.com").await.unwrap(), Door::Locked(until));
        assert!(matches!(store.sign_in_begin(until, "amy@example.com").await.unwrap(), Door::Try(..)));
        assert!(matches!(store.sign_in_begin(until, "amy@example.com").await.unwrap(), Door::Try(..)));
        assert_eq!(store.sign_in_begin(0, "nobody@example.com").await.unwrap(), Door::Unknown);
    }

    #[tokio::test]
    async fn a_success_forgives_the_failures_before_it() {
        let (store, _folder) = store().await;
        add(&store).await;
        for _ in 0..3 * FAILURES_MAX {
            let Door::Try(user, _) = store.sign_in_begin(5, "amy@example.com").await.unwrap() else { panic!("locked") };
            store.sign_in_succeeded(user.id).await.unwrap();
        }
    }
}
