//! The office's database: SQLite in write-ahead mode, every commit on disk before it is answered, one writer.

pub(crate) mod audit;
pub(crate) mod finance;
pub(crate) mod idempotency;
pub(crate) mod parts;
pub(crate) mod payments;
pub(crate) mod records;
pub(crate) mod sessions;
pub(crate) mod users;

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

/// The schema's steps, in order. A step that has been released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_invoice.sql"),
    include_str!("../migrations/0003_turns.sql"),
    include_str!("../migrations/0004_money.sql"),
    include_str!("../migrations/0005_recurring.sql"),
    include_str!("../migrations/0006_parts.sql"),
];
/// Connections that only read.
const READERS_MAX: u32 = 4;
/// How long a connection waits for another process's write.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// The superuser's id.
const ROOT: u32 = 0;
/// How long a request waits for a connection.
const ACQUIRE_WAIT: Duration = Duration::from_secs(10);

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
    #[error("the cde's journal goes on at record {got}, but the office has stored {stored}: records are missing here")]
    Gap {
        /// The newest record stored.
        stored: u64,
        /// The record that came.
        got: u64,
    },
    /// Anything else.
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
}

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
}

impl Store {
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

    /// Flushes and closes.
    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Can it be read and written?
    pub(crate) async fn healthy(&self) -> bool {
        let Ok(tx) = self.begin().await else { return false };
        tx.rollback().await.is_ok()
    }

    /// A transaction that holds the write lock from its beginning, so that it cannot fail half-way for another writer.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// The connection that writes.
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

    /// A store in a new temporary folder, which the caller removes by dropping the guard.
    pub(crate) async fn store() -> (Store, Folder) {
        let folder = Folder::new();
        (Store::open(&folder.0.join("office.db")).await.unwrap(), folder)
    }

    pub(crate) struct Folder(pub(crate) PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("tonewall-store-{}", uuid::Uuid::now_v7()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn the_file_is_for_its_owner_alone_and_opens_again() {
        let (store, folder) = store().await;
        let path = folder.0.join("office.db");
        for file in [path.clone(), folder.0.join("office.db-wal")] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        store.close().await;
        assert!(Store::open(&path).await.unwrap().healthy().await);
    }

    #[tokio::test]
    async fn a_newer_schema_is_not_touched() {
        let (store, folder) = store().await;
        sqlx::query("INSERT INTO schema_version VALUES (99)").execute(&store.writer).await.unwrap();
        store.close().await;
        assert!(matches!(Store::open(&folder.0.join("office.db")).await, Err(StoreError::TooNew(99))));
    }

    #[tokio::test]
    async fn the_audit_trail_cannot_be_changed() {
        let (store, _folder) = store().await;
        store.audit(&audit::Entry::system(1, "test", "ok", "-")).await.unwrap();
        for sql in ["UPDATE audit SET who = 'x'", "DELETE FROM audit"] {
            assert!(sqlx::query(sql).execute(&store.writer).await.is_err(), "{sql}");
        }
    }
}
