//! Sessions of the desk, and the links that begin one without a password. Only hashes of their tokens are stored.

use super::{
    Store, StoreError,
    users::{User, UserColumns, user_of},
};
use crate::secret::sha256;

/// A session that is not used for this long is over (PCI DSS 8.2.8).
pub(crate) const IDLE_MS: i64 = 15 * 60 * 1000;
/// No session is older.
pub(crate) const AGE_MS: i64 = 12 * 60 * 60 * 1000;
/// A link works for this long, once.
pub(crate) const LINK_MS: i64 = 10 * 60 * 1000;
/// The most sessions of one user; the one longest unused goes first.
const SESSIONS_MAX: i64 = 16;
/// Use is written down at most this often, to spare the disk.
const TOUCH_MS: i64 = 15 * 1000;

/// A user's columns, and when the session was last used.
type SessionColumns = (i64, String, String, String, Option<String>, String, i64);

impl Store {
    /// Begins a session.
    pub(crate) async fn session_begin(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE used_at <= ? OR created_at <= ?")
            .bind(now_ms - IDLE_MS)
            .bind(now_ms - AGE_MS)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "DELETE FROM session WHERE token_hash IN
             (SELECT token_hash FROM session WHERE user_id = ? ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
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

    /// Whose session this is, if it is alive. With `touch` it counts as used.
    pub(crate) async fn session_user(&self, now_ms: i64, token: &str, touch: bool) -> Result<Option<User>, StoreError> {
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

    /// Ends a session.
    pub(crate) async fn session_end(&self, token: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM session WHERE token_hash = ?")
            .bind(sha256(token.as_bytes()))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Adds a sign-in link's token.
    pub(crate) async fn link_insert(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO sign_in_link (token_hash, user_id, expires_at) VALUES (?, ?, ?)")
            .bind(sha256(token.as_bytes()))
            .bind(user)
            .bind(now_ms + LINK_MS)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Takes a link's token: the second time it is not there.
    pub(crate) async fn link_take(&self, now_ms: i64, token: &str) -> Result<Option<User>, StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        tests::store,
        users::{Role, UserRow},
    };

    async fn with_user() -> (Store, crate::store::tests::Folder) {
        let (store, folder) = store().await;
        let row = UserRow {
            email: "a@b",
            name: "A",
            role: Role::Admin,
            extension: None,
            rights: &crate::Rights::default(),
            password_hash: "x",
        };
        store.user_insert(0, &row).await.unwrap();
        (store, folder)
    }

    #[tokio::test]
    async fn a_session_ends_when_idle_and_when_old() {
        let (store, _folder) = with_user().await;
        store.session_begin(0, 1, "t").await.unwrap();
        assert!(store.session_user(IDLE_MS - 1, "t", false).await.unwrap().is_some());
        assert!(store.session_user(IDLE_MS, "t", false).await.unwrap().is_none(), "looking without touching");
        let mut now = 0;
        while now + IDLE_MS / 2 < AGE_MS {
            now += IDLE_MS / 2;
            assert!(store.session_user(now, "t", true).await.unwrap().is_some(), "used at {now}");
        }
        assert!(store.session_user(AGE_MS, "t", true).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_link_works_once_and_not_after_ten_minutes() {
        let (store, _folder) = with_user().await;
        store.link_insert(0, 1, "one").await.unwrap();
        store.link_insert(0, 1, "two").await.unwrap();
        assert!(store.link_take(1, "one").await.unwrap().is_some());
        assert!(store.link_take(1, "one").await.unwrap().is_none());
        assert!(store.link_take(LINK_MS, "two").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_user_has_a_bounded_number_of_sessions() {
        let (store, _folder) = with_user().await;
        for n in 0..SESSIONS_MAX + 3 {
            store.session_begin(n, 1, &format!("t{n}")).await.unwrap();
        }
        assert!(store.session_user(20, "t2", false).await.unwrap().is_none());
        assert!(store.session_user(20, "t3", false).await.unwrap().is_some());
    }
}
