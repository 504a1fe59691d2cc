//! Users, and their lockout after failed sign-ins.

use super::StoreError;
use crate::rights::Rights;
use async_trait::async_trait;
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
    /// This attempt is counted as a failure until [`Users::sign_in_succeeded`] takes it back, so that guesses made at
    /// the same time are all counted.
    Try(User, String),
}

/// Users.
#[async_trait]
pub(crate) trait Users: Send + Sync {
    /// Adds a user. A second one with the same e-mail, in whatever case, or the same extension is a conflict; `account`
    /// asks first, to explain it.
    async fn user_insert(&self, now_ms: i64, user: &UserRow<'_>) -> Result<(), StoreError>;

    /// Sets what a user may do with money, from their next request on. False when there is none with this e-mail.
    async fn user_rights(&self, email: &str, rights: &Rights) -> Result<bool, StoreError>;

    /// How many users there are.
    async fn users(&self) -> Result<i64, StoreError>;

    /// Has this user ever signed in?
    async fn has_signed_in(&self, email: &str) -> Result<bool, StoreError>;

    /// How a user is named in what is shown of deeds.
    async fn user_name(&self, id: i64) -> Result<Option<String>, StoreError>;

    /// The user with this e-mail.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;

    /// Does this extension belong to somebody?
    async fn extension_taken(&self, extension: &Extension) -> Result<bool, StoreError>;

    /// Begins a sign-in. Of many at once each is counted.
    async fn sign_in_begin(&self, now_ms: i64, email: &str) -> Result<Door, StoreError>;

    /// The password was right: nothing counts against the user any more.
    async fn sign_in_succeeded(&self, user: i64) -> Result<(), StoreError>;
}
