//! What the office's store promises, whatever it is written in: the seam at which PostgreSQL will stand beside SQLite
//! (docs/decisions/0020-office-store.md). One file a noun says its words; a transaction is inside one call.
//!
//! What any implementation must keep is tested by `contract`, which also plays it against `model`.

pub(crate) mod alarms;
pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod bounced_orders;
#[cfg(test)]
mod contract;
pub(crate) mod finance;
pub(crate) mod idempotency;
pub(crate) mod journal;
pub(crate) mod manual;
#[cfg(test)]
mod model;
pub(crate) mod money;
pub(crate) mod parts;
pub(crate) mod payments;
pub(crate) mod reconciliations;
pub(crate) mod recorders;
pub(crate) mod recurring;
pub(crate) mod restores;
pub(crate) mod sessions;
mod sqlite;
pub(crate) mod users;

use alarms::Alarms;
use api_keys::ApiKeys;
use async_trait::async_trait;
use audit::Audit;
use bounced_orders::BouncedOrders;
use finance::Finance;
use idempotency::Idempotency;
use journal::Journal;
use manual::Manual;
use parts::Parts;
use payments::Payments;
use reconciliations::Reconciliations;
use recorders::Recorders;
use recurring::Recurring;
use restores::Restores;
use sessions::Sessions;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use users::Users;

use sqlite::Sqlite;
pub(crate) use sqlite::missing_in;
#[cfg(test)]
pub(crate) use sqlite::tests;

/// Why the database could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be made or protected.
    #[error("the database file {path} cannot be made readable by this user alone: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Written by a newer build.
    #[error("the database has schema version {0}, which is newer than this build: run the newer build")]
    TooNew(i64),
    /// A stored value is not one that we write.
    #[error("the database holds a {0} that this build does not understand")]
    Damaged(&'static str),
    /// The records do not continue where ours end.
    #[error(
        "records are missing here: the cde's journal goes on at record {got}, but the office has stored {stored}, and those between \
         them are gone. Was office.db restored from a backup? Nothing is stored or begun until somebody has looked and accepted it: \
         `tonewall restored` shows what is missing and how"
    )]
    Gap {
        /// The newest record stored.
        stored: u64,
        /// The record that came.
        got: u64,
    },
    /// What stands does not allow it. Nothing was written; said again it is refused again.
    #[error("the database refuses it: {0}")]
    Conflict(String),
    /// It cannot be reached, or has not done it: whether something was written is not known until it is asked again.
    #[error("the database failed: {0}")]
    Unavailable(String),
}

/// All of it. Every answer is given after what it speaks of is durable, and what was answered is seen by every call after
/// it, from whichever process. Calls may come from many tasks at once; each is done wholly or not at all. When whoever has asked
/// goes away in the middle, it is done before the next call of this process that writes, or never.
#[async_trait]
pub(crate) trait OfficeStore:
    Alarms
    + ApiKeys
    + Audit
    + BouncedOrders
    + Finance
    + Idempotency
    + Journal
    + Manual
    + Parts
    + Payments
    + Reconciliations
    + Recorders
    + Recurring
    + Restores
    + Sessions
    + Users
{
    /// Finishes what was begun, and lets go. After it nothing is taken.
    async fn close(&self);

    /// Can it be read and written?
    async fn healthy(&self) -> bool;
}

/// Opens the store of this office, makes it if needed, and brings it up to date. Which database that is, is said here alone.
pub(crate) async fn open(path: &Path) -> Result<Arc<dyn OfficeStore>, StoreError> {
    Ok(Arc::new(Sqlite::open(path).await?))
}
