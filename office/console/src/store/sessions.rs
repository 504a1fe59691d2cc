//! Sessions of the desk, and the links that begin one without a password. Only hashes of their tokens are stored.

use super::{StoreError, users::User};
use async_trait::async_trait;

/// A session that is not used for this long is over (PCI DSS 8.2.8).
pub(crate) const IDLE_MS: i64 = 15 * 60 * 1000;
/// No session is older.
pub(crate) const AGE_MS: i64 = 12 * 60 * 60 * 1000;
/// A link works for this long, once.
pub(crate) const LINK_MS: i64 = 10 * 60 * 1000;
/// The most sessions of one user; the one longest unused goes first.
pub(crate) const SESSIONS_MAX: i64 = 16;
/// Use is written down at most this often, to spare the disk.
pub(crate) const TOUCH_MS: i64 = 15 * 1000;

/// Sessions and sign-in links.
#[async_trait]
pub(crate) trait Sessions: Send + Sync {
    /// Begins a session; what is over, and what is too much of this user's, ends.
    async fn session_begin(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError>;

    /// Whose session this is, if it is alive. With `touch` it counts as used.
    async fn session_user(&self, now_ms: i64, token: &str, touch: bool) -> Result<Option<User>, StoreError>;

    /// Ends a session.
    async fn session_end(&self, token: &str) -> Result<(), StoreError>;

    /// Adds a sign-in link's token.
    async fn link_insert(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError>;

    /// Takes a link's token: the second time it is not there.
    async fn link_take(&self, now_ms: i64, token: &str) -> Result<Option<User>, StoreError>;
}
