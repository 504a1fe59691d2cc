//! What both of the vault's databases have in common: what is deleted is overwritten, and the log does not keep it.

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Executor, Row, Sqlite, Transaction};
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use vault::StoreError;
use wire::Token;

/// Connections that only read.
const READERS_MAX: u32 = 4;
/// How long one process waits for the other's write.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Tries to empty the log, which waits for those who read right now.
const SETTLE_TRIES_MAX: u32 = 200;
const SETTLE_PAUSE: Duration = Duration::from_millis(25);

/// One database: one writer, some readers.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) writer: SqlitePool,
    pub(super) reader: SqlitePool,
}

impl Database {
    pub(super) async fn open(file: &Path, tables: &'static str) -> Result<Self, StoreError> {
        protect(file)?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_WAIT)
            // What is deleted is overwritten with zeros; copies that sorting and VACUUM make never go to a file.
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY");
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(stored)?;
        writer.execute(tables).await.map_err(stored)?;
        let reader = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_lazy_with(options.read_only(true));
        Ok(Self { writer, reader })
    }

    pub(super) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// A transaction that has the write lock from its beginning.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(stored)
    }

    /// Empties the log, so that nothing that was deleted stands in it.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await.map_err(stored)?;
        for _ in 0..SETTLE_TRIES_MAX {
            let row =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await.map_err(stored)?;
            if row.get::<i64, _>(0) == 0 {
                return Ok(());
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        Err(StoreError::new("deleted, but the log could not be emptied while somebody reads: do it again"))
    }

    /// A copy in one file, made while others write.
    pub(super) async fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_str().ok_or_else(|| StoreError::new("the backup's name is not UTF-8"))?;
        sqlx::query("VACUUM INTO ?").bind(to).execute(&self.writer).await.map_err(stored)?;
        std::fs::set_permissions(to, Permissions::from_mode(0o600)).map_err(StoreError::new)
    }
}

/// The file is for this user alone before SQLite opens it; the log beside it inherits that.
fn protect(file: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    let made = made.and_then(|made| made.set_permissions(Permissions::from_mode(0o600)));
    made.map_err(|error| StoreError::new(format!("{}: {error}", file.display())))
}

pub(super) fn stored(error: sqlx::Error) -> StoreError {
    StoreError::new(error)
}

/// A list of tokens, for `json_each`: as many as there are need one parameter.
pub(super) fn json(tokens: &[Token]) -> Result<String, StoreError> {
    serde_json::to_string(tokens).map_err(StoreError::new)
}

/// A column whose text is a word of ours.
pub(super) fn word<T: std::str::FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let text: &str = row.try_get(column).map_err(stored)?;
    text.parse().map_err(|_| StoreError::new(format!("{column}: a row is not readable")))
}

/// A column whose number is one of ours.
pub(super) fn number(row: &SqliteRow, column: &'static str) -> Result<u32, StoreError> {
    let number: i64 = row.try_get(column).map_err(stored)?;
    u32::try_from(number).map_err(|_| StoreError::new(format!("{column}: a row is not readable")))
}
