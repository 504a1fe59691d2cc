//! The journal's tables.

use super::JournalError;
use sqlx::{Executor, Row, SqliteConnection};
use wire::JournalId;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS journal (id TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS record (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS attempt (
    id TEXT PRIMARY KEY,
    payment TEXT NOT NULL,
    call TEXT NOT NULL,
    merchant TEXT NOT NULL,
    gateway TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    digest TEXT NOT NULL,
    sent_unix_ms INTEGER NOT NULL,
    deadline_unix_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('sent', 'unknown', 'approved', 'declined', 'rejected', 'abandoned'))
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS attempt_one_that_may_have_taken_money
    ON attempt (payment) WHERE state IN ('sent', 'unknown', 'approved');
CREATE INDEX IF NOT EXISTS attempt_open ON attempt (sent_unix_ms) WHERE state IN ('sent', 'unknown');
";

/// Creates what is missing; returns whose journal it is and the number of its newest record.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(JournalId, u64), JournalError> {
    connection.execute(TABLES).await?;
    let found = sqlx::query("SELECT id, acknowledged FROM journal").fetch_optional(&mut *connection).await?;
    let (id, acknowledged) = match found {
        Some(row) => (row.get::<String, _>(0), row.get::<i64, _>(1)),
        None => (create(connection).await?, 0),
    };
    let id = id.parse().map_err(|_| sqlx::Error::Protocol("the journal has no readable id".to_owned()))?;
    // Acknowledged records are deleted, so the newest number may only be known from what was acknowledged.
    let newest: i64 =
        sqlx::query("SELECT COALESCE(MAX(number), 0) FROM record").fetch_one(&mut *connection).await?.get(0);
    Ok((id, u64::try_from(newest.max(acknowledged)).unwrap_or(0)))
}

async fn create(connection: &mut SqliteConnection) -> Result<String, JournalError> {
    let id = JournalId(uuid::Uuid::now_v7()).to_string();
    sqlx::query("INSERT INTO journal (id) VALUES (?)").bind(&id).execute(connection).await?;
    Ok(id)
}
