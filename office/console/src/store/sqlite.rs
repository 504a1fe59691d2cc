//! The office's store in SQLite: one file in write-ahead mode, every commit on disk before it is answered, one writer.

mod alarms;
mod api_keys;
pub(super) mod audit;
mod bounced_orders;
mod deletions;
mod finance;
mod idempotency;
mod manual;
mod parts;
mod payments;
mod reconciliations;
mod recorders;
mod records;
mod recurring;
mod restores;
mod sessions;
mod users;

pub(crate) use restores::missing_in;

use super::{OfficeStore, StoreError};
use async_trait::async_trait;
use sqlx::{
    Sqlite as Driver, SqlitePool, Transaction,
    error::ErrorKind as Violated,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::Path,
    time::Duration,
};

/// The schema's steps, in order. A step that has been released is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_invoice.sql"),
    include_str!("../../migrations/0003_turns.sql"),
    include_str!("../../migrations/0004_money.sql"),
    include_str!("../../migrations/0005_recurring.sql"),
    include_str!("../../migrations/0006_parts.sql"),
    include_str!("../../migrations/0007_kept.sql"),
    include_str!("../../migrations/0008_agreements.sql"),
    include_str!("../../migrations/0009_reconciliation.sql"),
    include_str!("../../migrations/0010_api_keys.sql"),
    include_str!("../../migrations/0011_late.sql"),
    include_str!("../../migrations/0012_report_sources.sql"),
    include_str!("../../migrations/0013_recorder_hooks.sql"),
    include_str!("../../migrations/0014_bounced_orders.sql"),
    include_str!("../../migrations/0015_calendar.sql"),
    include_str!("../../migrations/0016_restored.sql"),
    include_str!("../../migrations/0017_by_hand.sql"),
    include_str!("../../migrations/0018_replaced_orders.sql"),
    include_str!("../../migrations/0019_word_on_its_way.sql"),
];
/// Connections that only read.
const READERS_MAX: u32 = 4;
/// How long a connection waits for another process's write.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// The superuser's id.
const ROOT: u32 = 0;
/// How long a request waits for a connection.
const ACQUIRE_WAIT: Duration = Duration::from_secs(10);

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    reader: SqlitePool,
}

/// By what has failed. Whoever asked decides by that; the words are for the log.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let kind = error.as_database_error().map(|error| error.kind());
        match kind {
            Some(
                Violated::UniqueViolation
                | Violated::ForeignKeyViolation
                | Violated::NotNullViolation
                | Violated::CheckViolation,
            ) => Self::Conflict(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl Sqlite {
    /// Opens the file, makes it if needed, and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        protect(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_WAIT);
        let pool = |max| SqlitePoolOptions::new().max_connections(max).acquire_timeout(ACQUIRE_WAIT);
        let writer = pool(1).connect_with(options.clone()).await?;
        let reader = pool(READERS_MAX).connect_lazy_with(options.read_only(true));
        let store = Self { writer, reader };
        store.migrate().await?;
        Ok(store)
    }

    /// A transaction that holds the write lock from its beginning, so that it cannot fail half-way for another writer.
    async fn begin(&self) -> Result<Transaction<'static, Driver>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// The connection that writes, for a test that looks at rows.
    #[cfg(test)]
    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)").execute(&mut *tx).await?;
        let version: Option<i64> =
            sqlx::query_scalar("SELECT max(version) FROM schema_version").fetch_one(&mut *tx).await?;
        let version = version.unwrap_or(0);
        let done = usize::try_from(version).map_err(|_| StoreError::Damaged("schema version"))?;
        if done > MIGRATIONS.len() {
            return Err(StoreError::TooNew(version));
        }
        for (number, step) in (version + 1..).zip(MIGRATIONS.iter().skip(done)) {
            sqlx::raw_sql(*step).execute(&mut *tx).await?;
            sqlx::query("INSERT INTO schema_version (version) VALUES (?)").bind(number).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}

#[async_trait]
impl OfficeStore for Sqlite {
    async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn healthy(&self) -> bool {
        let Ok(tx) = self.begin().await else { return false };
        tx.rollback().await.is_ok()
    }
}

/// Makes the file for this user alone before SQLite opens it; its write-ahead log inherits the mode.
fn protect(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().create_new(true).append(true).mode(0o600).open(path) {
        Ok(file) => give_to_folders_owner(&file, path)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// What root makes in the office's folder (`tonewall user add`) would otherwise be closed to the office. SQLite gives
/// the log beside the file the same owner.
fn give_to_folders_owner(file: &File, path: &Path) -> std::io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let (own, owner) = (file.metadata()?, std::fs::metadata(folder)?);
    if own.uid() == ROOT && owner.uid() != ROOT {
        return fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::audit::{Audit, Entry};
    use sqlx::ConnectOptions;
    use std::{path::PathBuf, sync::Arc};

    /// A store in a new temporary folder, which the caller removes by dropping the guard.
    pub(crate) async fn store() -> (Arc<dyn OfficeStore>, Folder) {
        let (store, folder) = sqlite().await;
        (Arc::new(store), folder)
    }

    /// The same, by its name.
    pub(crate) async fn sqlite() -> (Sqlite, Folder) {
        let folder = Folder::new();
        (Sqlite::open(&folder.0.join("office.db")).await.unwrap(), folder)
    }

    pub(crate) struct Folder(pub(crate) PathBuf);

    impl Folder {
        pub(crate) fn new() -> Self {
            let path = std::env::temp_dir().join(format!("tonewall-store-{}", uuid::Uuid::now_v7()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Folder {
        /// No answer can be kept any more, as if the disk were full.
        pub(crate) async fn fill(&self) {
            self.order("CREATE TRIGGER full BEFORE UPDATE ON idempotency BEGIN SELECT RAISE(ABORT, 'full'); END").await;
        }

        /// There is room again.
        pub(crate) async fn free(&self) {
            self.order("DROP TRIGGER full").await;
        }

        /// What waits is due by any clock, and never too late.
        pub(crate) async fn make_due(&self) {
            self.order("UPDATE due_payment SET ready_at = 0, late_at = NULL").await;
        }

        async fn order(&self, sql: &'static str) {
            let file = SqliteConnectOptions::new().filename(self.0.join("office.db"));
            sqlx::raw_sql(sql).execute(&mut file.connect().await.unwrap()).await.unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn the_file_is_for_its_owner_alone_and_opens_again() {
        let (store, folder) = sqlite().await;
        let path = folder.0.join("office.db");
        for file in [path.clone(), folder.0.join("office.db-wal")] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        store.close().await;
        assert!(Sqlite::open(&path).await.unwrap().healthy().await);
    }

    #[tokio::test]
    async fn a_newer_schema_is_not_touched() {
        let (store, folder) = sqlite().await;
        sqlx::query("INSERT INTO schema_version VALUES (99)").execute(&store.writer).await.unwrap();
        store.close().await;
        assert!(matches!(Sqlite::open(&folder.0.join("office.db")).await, Err(StoreError::TooNew(99))));
    }

    #[tokio::test]
    async fn the_audit_trail_cannot_be_changed() {
        let (store, _folder) = sqlite().await;
        store.audit(&Entry::system(1, "test", "ok", "-")).await.unwrap();
        for sql in ["UPDATE audit SET who = 'x'", "DELETE FROM audit"] {
            assert!(sqlx::query(sql).execute(&store.writer).await.is_err(), "{sql}");
        }
    }
}
