//! Idempotency keys in SQLite.

use super::Sqlite;
use crate::store::{
    StoreError,
    idempotency::{Claim, Idempotency, KEPT_MS, Key},
};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use uuid::Uuid;

/// Hash of the body, seed, status, answer.
type Columns = (Vec<u8>, String, Option<i64>, Option<String>);

#[async_trait]
impl Idempotency for Sqlite {
    async fn claim(&self, now_ms: i64, key: Key<'_>, seed: Uuid, has_turn: bool) -> Result<Claim, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM idempotency WHERE created_at < ?").bind(now_ms - KEPT_MS).execute(&mut *tx).await?;
        let found = found(&mut tx, key).await?;
        let claim = match found {
            Some((body_hash, ..)) if body_hash != key.body_hash => Claim::Mismatch,
            Some((_, _, Some(status), Some(answer))) => {
                Claim::Done(u16::try_from(status).map_err(|_| StoreError::Damaged("status"))?, answer)
            }
            _ if !has_turn => Claim::Busy,
            Some((_, seed, ..)) => Claim::Do(Uuid::parse_str(&seed).map_err(|_| StoreError::Damaged("seed"))?),
            None => {
                begun(&mut tx, now_ms, key, seed).await?;
                Claim::Do(seed)
            }
        };
        tx.commit().await?;
        Ok(claim)
    }

    async fn claim_done(&self, key: Key<'_>, status: u16, answer: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE idempotency SET status = ?, answer = ? WHERE user_id = ? AND path = ? AND key = ?")
            .bind(i64::from(status))
            .bind(answer)
            .bind(key.user)
            .bind(key.path)
            .bind(key.key)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn claim_void(&self, key: Key<'_>) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM idempotency WHERE user_id = ? AND path = ? AND key = ?")
            .bind(key.user)
            .bind(key.path)
            .bind(key.key)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

async fn found(connection: &mut SqliteConnection, key: Key<'_>) -> Result<Option<Columns>, StoreError> {
    let row = sqlx::query_as(
        "SELECT body_hash, seed, status, answer FROM idempotency WHERE user_id = ? AND path = ? AND key = ?",
    );
    Ok(row.bind(key.user).bind(key.path).bind(key.key).fetch_optional(connection).await?)
}

async fn begun(connection: &mut SqliteConnection, now_ms: i64, key: Key<'_>, seed: Uuid) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO idempotency (user_id, path, key, body_hash, seed, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(key.user)
        .bind(key.path)
        .bind(key.key)
        .bind(key.body_hash)
        .bind(seed.to_string())
        .bind(now_ms)
        .execute(connection)
        .await?;
    Ok(())
}
