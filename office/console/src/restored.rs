//! Records that are missing after a restore from a backup, from the command line. It opens the database by itself and may be used
//! while the office runs, which goes on within seconds.

use crate::{
    clock::{now_ms, rfc3339},
    config::Config,
    rights::Right,
    store::{self, OfficeStore, StoreError, audit::Entry, restores::Missing},
};
use wire::text_pan_like;

/// A reason says something.
const REASON_CHARS_MIN: usize = 10;
const REASON_CHARS_MAX: usize = 500;

/// Records that are missing, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRecords {
    /// By which they are accepted.
    pub id: i64,
    /// Number of the first one.
    pub first: u64,
    /// Number of the last one.
    pub last: u64,
    /// RFC 3339: when the one before them was written; none: not known.
    pub after: Option<String>,
    /// RFC 3339: when the one after them was written; none: not known.
    pub before: Option<String>,
    /// Who has accepted it, when (RFC 3339) and why.
    pub accepted: Option<(String, String, String)>,
}

/// Why it was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Nobody of this e-mail.
    #[error("there is no user {0}")]
    NoUser(String),
    /// Without the right.
    #[error("{0} has not the right finance: tonewall user rights gives it")]
    NoRight(String),
    /// The reason.
    #[error("{0}")]
    Reason(#[from] ReasonError),
    /// No such records.
    #[error("no records of that number are missing: tonewall restored shows which are")]
    NotMissing,
    /// The database.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Why a reason is not taken. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// It says nothing, or too much.
    #[error("a reason has {REASON_CHARS_MIN} to {REASON_CHARS_MAX} printable characters")]
    Bad,
    /// Like a card number.
    #[error("the reason looks like a card number")]
    LooksLikeCard,
}

pub(crate) fn check_reason(reason: &str) -> Result<String, ReasonError> {
    let reason = reason.trim();
    if text_pan_like(reason) {
        return Err(ReasonError::LooksLikeCard);
    }
    let fits = (REASON_CHARS_MIN..=REASON_CHARS_MAX).contains(&reason.chars().count());
    if fits && !reason.chars().any(char::is_control) { Ok(reason.to_owned()) } else { Err(ReasonError::Bad) }
}

impl From<Missing> for MissingRecords {
    fn from(missing: Missing) -> Self {
        let Missing { id, first, last, after_ms, before_ms, accepted, .. } = missing;
        let accepted = accepted.map(|it| (it.who, rfc3339(it.at_ms), it.reason));
        Self { id, first, last, after: after_ms.map(rfc3339), before: before_ms.map(rfc3339), accepted }
    }
}

/// All that were ever missing, newest first.
pub async fn missing_records(config: &Config) -> Result<Vec<MissingRecords>, StoreError> {
    let store = store::open(&config.database).await?;
    let missing = store.missing().await;
    store.close().await;
    Ok(missing?.into_iter().map(MissingRecords::from).collect())
}

/// Those that stop the office, from a database that is only read and is not made; none where there is none.
pub async fn missing_unaccepted(config: &Config) -> Result<Vec<MissingRecords>, StoreError> {
    if !config.database.exists() {
        return Ok(Vec::new());
    }
    Ok(store::missing_in(&config.database).await?.into_iter().map(MissingRecords::from).collect())
}

/// Goes on without them, in the name of somebody who has the right `finance`.
pub async fn accept_missing(
    config: &Config,
    id: i64,
    email: &str,
    reason: &str,
) -> Result<MissingRecords, AcceptError> {
    let store = store::open(&config.database).await?;
    let accepted = accept(&*store, id, email, reason).await;
    store.close().await;
    accepted
}

async fn accept(store: &dyn OfficeStore, id: i64, email: &str, reason: &str) -> Result<MissingRecords, AcceptError> {
    let reason = check_reason(reason)?;
    let user = store.user_by_email(email).await?.ok_or_else(|| AcceptError::NoUser(email.to_owned()))?;
    if !user.rights.has(Right::Finance) {
        return Err(AcceptError::NoRight(user.email));
    }
    let entry = Entry {
        who: user.email,
        origin: "command line".to_owned(),
        ..Entry::system(now_ms(), "records_missing_accepted", &reason, &format!("missing {id}"))
    };
    let missing = store.accept_missing(id, &reason, &entry).await?;
    missing.map(MissingRecords::from).ok_or(AcceptError::NotMissing)
}
