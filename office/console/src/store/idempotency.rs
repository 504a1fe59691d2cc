//! Idempotency keys: the same request of the same user gets the same answer, and is done once.

use super::{Store, StoreError};
use sqlx::SqliteConnection;
use uuid::Uuid;

/// How long a key is remembered.
pub(crate) const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// Which request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) user: i64,
    pub(crate) path: &'a str,
    pub(crate) key: &'a str,
    pub(crate) body_hash: &'a [u8],
}

/// What is known of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is to be done, with ids made from this seed. If it was begun before and has no answer, the seed is the old
    /// one, so that the cde knows the command again.
    Do(Uuid),
    /// It is being done.
    Busy,
    /// It was another request.
    Mismatch,
    /// It was done; this was the answer.
    Done(u16, String),
}

/// Hash of the body, seed, status, answer.
type Columns = (Vec<u8>, String, Option<i64>, Option<String>);

impl Store {
    /// Claims a key for whoever has its turn. Without the turn only an answer that is there is told.
    pub(crate) async fn claim(
        &self,
        now_ms: i64,
        key: Key<'_>,
        seed: Uuid,
        has_turn: bool,
    ) -> Result<Claim, StoreError> {
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

    /// It was done, with this answer.
    pub(crate) async fn claim_done(&self, key: Key<'_>, status: u16, answer: &str) -> Result<(), StoreError> {
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

    /// It was refused: nothing was done, and the key is free again.
    pub(crate) async fn claim_void(&self, key: Key<'_>) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    #[tokio::test]
    async fn a_key_is_done_once_and_survives_a_restart_with_its_seed() {
        let (store, _folder) = store().await;
        let key = Key { user: 1, path: "/p", key: "k", body_hash: b"h" };
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(store.claim(0, key, one, false).await.unwrap(), Claim::Busy, "its first request is about to begin");
        assert_eq!(store.claim(0, key, one, true).await.unwrap(), Claim::Do(one));
        assert_eq!(store.claim(0, key, two, false).await.unwrap(), Claim::Busy);
        assert_eq!(store.claim(0, key, two, true).await.unwrap(), Claim::Do(one), "whoever served it is no more");
        store.claim_done(key, 201, "{}").await.unwrap();
        assert_eq!(store.claim(0, key, two, false).await.unwrap(), Claim::Done(201, "{}".into()));
        assert_eq!(store.claim(0, Key { body_hash: b"x", ..key }, two, true).await.unwrap(), Claim::Mismatch);
        assert_eq!(store.claim(0, Key { user: 2, ..key }, two, true).await.unwrap(), Claim::Do(two));
        assert_eq!(store.claim(KEPT_MS + 1, key, two, true).await.unwrap(), Claim::Do(two), "forgotten after a day");
    }
}
