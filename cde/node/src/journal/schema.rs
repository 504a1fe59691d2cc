//! The journal's tables, and the steps that bring an older journal up to date.

use super::JournalError;
use sqlx::{Connection, Row, SqliteConnection};
use wire::JournalId;

/// The steps, in order. One that has been released is never changed.
const STEPS: &[&str] = &[
    include_str!("first.sql"),
    include_str!("second.sql"),
    include_str!("third.sql"),
    include_str!("fourth.sql"),
    include_str!("heard.sql"),
    include_str!("credential.sql"),
    include_str!("forgetting.sql"),
    include_str!("orders.sql"),
    include_str!("codes.sql"),
    include_str!("restored.sql"),
    include_str!("by_hand.sql"),
];

/// Creates what is missing; returns whose journal it is and the number of its newest record.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(JournalId, u64), JournalError> {
    migrate(connection).await?;
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

/// A journal of the first schema has no version; its tables are there, and the first step leaves them.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), JournalError> {
    let version: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut *connection).await?.get(0);
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > STEPS.len() {
        return Err(JournalError::TooNew(version));
    }
    for (number, step) in (version + 1..).zip(STEPS.iter().skip(done)) {
        // One transaction a step: a process that dies in it finds it not done.
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {number}"));
        sqlx::raw_sql(version).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

async fn create(connection: &mut SqliteConnection) -> Result<String, JournalError> {
    let id = JournalId(uuid::Uuid::now_v7()).to_string();
    sqlx::query("INSERT INTO journal (id) VALUES (?)").bind(&id).execute(connection).await?;
    Ok(id)
}
