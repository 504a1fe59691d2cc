//! Idempotency keys: the same request of the same user gets the same answer, and is done once.

use super::{Store, StoreError};
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
    /// It is to be done, with ids made from this seed. If it was begun by an office that is no more, or ended without
    /// an answer of the cde, the seed is the old one, so that the cde knows the command again.
    Do(Uuid),
    /// It is being done.
    Busy,
    /// It was another request.
    Mismatch,
    /// It was done; this was the answer.
    Done(u16, String),
}

/// Hash of the body, seed, instance, status, answer.
type Columns = (Vec<u8>, String, String, Option<i64>, Option<String>);

impl Store {
    /// Claims a key for this instance of the office.
    pub(crate) async fn claim(
        &self,
        now_ms: i64,
        instance: &str,
        key: Key<'_>,
        seed: Uuid,
    ) -> Result<Claim, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM idempotency WHERE created_at < ?").bind(now_ms - KEPT_MS).execute(&mut *tx).await?;
        let found: Option<Columns> = sqlx::query_as(
            "SELECT body_hash, seed, instance, status, answer FROM idempotency
             WHERE user_id = ? AND path = ? AND key = ?",
        )
        .bind(key.user)
        .bind(key.path)
        .bind(key.key)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((body_hash, old_seed, owner, status, answer)) = found else {
            sqlx::query(
                "INSERT INTO idempotency (user_id, path, key, body_hash, seed, instance, created_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(key.user)
            .bind(key.path)
            .bind(key.key)
            .bind(key.body_hash)
            .bind(seed.to_string())
            .bind(instance)
            .bind(now_ms)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            return Ok(Claim::Do(seed));
        };
        if body_hash != key.body_hash {
            return Ok(Claim::Mismatch);
        }
        if let (Some(status), Some(answer)) = (status, answer) {
            let status = u16::try_from(status).map_err(|_| StoreError::Damaged("status"))?;
            return Ok(Claim::Done(status, answer));
        }
        if owner == instance {
            return Ok(Claim::Busy);
        }
        let claim = sqlx::query("UPDATE idempotency SET instance = ? WHERE user_id = ? AND path = ? AND key = ?");
        claim.bind(instance).bind(key.user).bind(key.path).bind(key.key).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Claim::Do(Uuid::parse_str(&old_seed).map_err(|_| StoreError::Damaged("seed"))?))
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

    /// Nobody knows whether it was done: whoever comes again does the same, with the same seed.
    pub(crate) async fn claim_open(&self, key: Key<'_>) -> Result<(), StoreError> {
        sqlx::query("UPDATE idempotency SET instance = '' WHERE user_id = ? AND path = ? AND key = ?")
            .bind(key.user)
            .bind(key.path)
            .bind(key.key)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
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
        assert_eq!(store.claim(0, "a", key, one).await.unwrap(), Claim::Do(one));
        assert_eq!(store.claim(0, "a", key, two).await.unwrap(), Claim::Busy);
        assert_eq!(store.claim(0, "b", key, two).await.unwrap(), Claim::Do(one), "the first office is no more");
        store.claim_open(key).await.unwrap();
        assert_eq!(store.claim(0, "b", key, two).await.unwrap(), Claim::Do(one));
        store.claim_done(key, 201, "{}").await.unwrap();
        assert_eq!(store.claim(0, "b", key, two).await.unwrap(), Claim::Done(201, "{}".into()));
        assert_eq!(store.claim(0, "b", Key { body_hash: b"x", ..key }, two).await.unwrap(), Claim::Mismatch);
        assert_eq!(store.claim(0, "b", Key { user: 2, ..key }, two).await.unwrap(), Claim::Do(two));
        assert_eq!(store.claim(KEPT_MS + 1, "b", key, two).await.unwrap(), Claim::Do(two), "forgotten after a day");
    }
}
