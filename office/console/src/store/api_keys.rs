//! API keys: each acts for a user, has a name by which people tell it from the user's others, and ends when it is revoked.

use super::{StoreError, audit, users::User};
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

/// Use is written down at most this often, to spare the disk.
pub(crate) const TOUCH_MS: i64 = 60 * 1000;

/// A key as it is listed. The key itself is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// Ours.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// E-mail address of the user that it acts for.
    pub user: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, to the minute; null when it was never shown, or not since this is written down.
    pub last_used_at: Option<String>,
    /// RFC 3339; null while it is good.
    pub revoked_at: Option<String>,
    /// E-mail address, or `system` for the command line.
    pub revoked_by: Option<String>,
}

impl ApiKey {
    /// How the audit trail names it.
    pub(crate) fn object(&self) -> String {
        format!("{} of {}", self.name, self.user)
    }
}

/// A key that was shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nobody's.
    Unknown,
    /// It was good; its name.
    Revoked(String),
    /// For whom it acts, and its name.
    Good(User, String),
}

/// API keys.
#[async_trait]
pub(crate) trait ApiKeys: Send + Sync {
    /// Adds an API key of a user. False when the user has a good one of this name.
    async fn api_key_insert(&self, now_ms: i64, user: i64, name: &str, key: &str) -> Result<bool, StoreError>;

    /// Whose key this is. With `touch` it counts as used.
    async fn api_key_shown(&self, now_ms: i64, key: &str, touch: bool) -> Result<Shown, StoreError>;

    /// Every key, the good ones first, each group by user and age.
    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// Ends a key for good, with a row of the audit trail. False when there is none or it was ended before.
    async fn api_key_revoke(&self, id: i64, by: &str, entry: &audit::Entry<'_>) -> Result<bool, StoreError>;
}
