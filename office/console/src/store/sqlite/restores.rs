//! Restores from backups, in SQLite.

use super::{Sqlite, audit};
use crate::store::{
    StoreError,
    audit::Entry,
    idempotency::KEPT_MS,
    restores::{Accepted, Missing, Restore, Restores, SHOWN_MAX},
};
use async_trait::async_trait;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions, sqlite::SqliteRow};
use std::path::Path;
use wire::{AttemptKind, JournalId, MerchantId, Money, PaymentId, Record, RecordBody, Restored};

#[async_trait]
impl Restores for Sqlite {
    async fn missing_next(&self, journal: JournalId) -> Result<Option<Missing>, StoreError> {
        // Of several that begin there the newest counts: what came before is not what comes now.
        let query = "SELECT m.* FROM missing_records m JOIN door d ON d.journal = m.journal AND d.number = m.first - 1
                     WHERE m.journal = ? ORDER BY m.id DESC LIMIT 1";
        let row = sqlx::query(query).bind(journal.to_string()).fetch_optional(&self.writer).await?;
        let newest = row.as_ref().map(missing_of).transpose()?;
        Ok(newest.filter(|missing| missing.accepted.is_none()))
    }

    async fn missing(&self) -> Result<Vec<Missing>, StoreError> {
        let rows = sqlx::query("SELECT * FROM missing_records ORDER BY id DESC LIMIT ?").bind(SHOWN_MAX);
        rows.fetch_all(&self.writer).await?.iter().map(missing_of).collect()
    }

    async fn accept_missing(&self, id: i64, reason: &str, entry: &Entry<'_>) -> Result<Option<Missing>, StoreError> {
        let mut tx = self.begin().await?;
        let accepted = sqlx::query(
            "UPDATE missing_records SET accepted_at = ?, accepted_by = ?, reason = ? WHERE id = ? AND accepted_at IS NULL",
        );
        let accepted = accepted.bind(entry.at_ms).bind(&entry.who).bind(reason).bind(id).execute(&mut *tx).await?;
        if accepted.rows_affected() > 0 {
            audit::insert(&mut tx, entry).await?;
        }
        let row = sqlx::query("SELECT * FROM missing_records WHERE id = ?").bind(id).fetch_optional(&mut *tx).await?;
        let missing = row.as_ref().map(missing_of).transpose()?;
        tx.commit().await?;
        Ok(missing)
    }

    async fn restores(&self) -> Result<Vec<Restore>, StoreError> {
        let rows = sqlx::query("SELECT * FROM restored ORDER BY id DESC LIMIT ?").bind(SHOWN_MAX);
        rows.fetch_all(&self.writer).await?.iter().map(restore_of).collect()
    }

    async fn may_be_repeated(
        &self,
        now_ms: i64,
        payment: PaymentId,
        kind: AttemptKind,
        minor: Option<i64>,
    ) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM attempt a JOIN restored r ON a.sent_at BETWEEN r.since_at AND r.at
                     WHERE a.payment = ?1 AND a.kind = ?2 AND (?3 IS NULL OR a.minor = ?3) AND r.at > ?4
                       AND (a.outcome IS NULL OR a.outcome ->> 'outcome' IN ('approved', 'unknown')))";
        let query = sqlx::query_scalar(query).bind(payment.to_string()).bind(kind.as_str()).bind(minor);
        Ok(query.bind(now_ms.saturating_sub(KEPT_MS)).fetch_one(&self.writer).await?)
    }

    async fn charge_repeated(
        &self,
        now_ms: i64,
        merchant: &MerchantId,
        amount: Money,
        besides: &[PaymentId],
    ) -> Result<Option<PaymentId>, StoreError> {
        let query = "SELECT a.payment FROM restored r JOIN attempt a ON a.sent_at BETWEEN r.since_at AND r.at
                     JOIN payment p ON p.id = a.payment
                     WHERE r.at > ? AND a.kind = 'charge_stored' AND a.minor = ? AND p.currency = ? AND p.merchant = ?
                       AND (a.outcome IS NULL OR a.outcome ->> 'outcome' IN ('approved', 'unknown'))
                       AND a.payment NOT IN (SELECT value FROM json_each(?))
                     ORDER BY a.sent_at LIMIT 1";
        let besides = serde_json::to_string(besides).map_err(|_| StoreError::Damaged("payment id"))?;
        let query = sqlx::query_scalar(query).bind(now_ms.saturating_sub(KEPT_MS)).bind(amount.minor);
        let query = query.bind(amount.currency.code()).bind(merchant.as_str()).bind(besides);
        let like: Option<String> = query.fetch_optional(&self.writer).await?;
        like.map(|id| id.parse().map_err(|_| StoreError::Damaged("payment id"))).transpose()
    }
}

/// May this record be stored after that one although some are missing between them? What is missing is noted, for people.
pub(super) async fn may_pass(tx: &mut SqliteConnection, newest: u64, record: &Record) -> Result<bool, StoreError> {
    let (first, last) = (number(newest.saturating_add(1))?, number(record.number.saturating_sub(1))?);
    let query = "SELECT accepted_at IS NOT NULL FROM missing_records
                 WHERE journal = (SELECT journal FROM door) AND first = ? AND last = ?";
    let known: Option<bool> = sqlx::query_scalar(query).bind(first).bind(last).fetch_optional(&mut *tx).await?;
    if let Some(is_accepted) = known {
        return Ok(is_accepted);
    }
    // An attempt that is told again has its own time.
    let before = (!matches!(record.body, RecordBody::AttemptToldAgain(_))).then_some(record.at_unix_ms);
    let note = "INSERT INTO missing_records (journal, first, last, after_at, before_at, noticed_at)
                SELECT journal, ?, ?, (SELECT at FROM audit WHERE origin = 'cde' ORDER BY id DESC LIMIT 1), ?, ? FROM door";
    let note = sqlx::query(note).bind(first).bind(last).bind(before).bind(crate::clock::now_ms());
    note.execute(&mut *tx).await?;
    let entry = Entry::system(crate::clock::now_ms(), "records_missing", &format!("{first} to {last}"), "door");
    audit::insert(tx, &entry).await?;
    Ok(false)
}

/// What the card side says of a restore. Agreements may have been changed since the backup: their payments are held.
pub(super) async fn noted(tx: &mut SqliteConnection, at: i64, told: &Restored) -> Result<(), StoreError> {
    let stored = number(told.stored)?;
    let before = "SELECT after_at FROM missing_records WHERE journal = (SELECT journal FROM door) AND first = ?";
    let before: Option<Option<i64>> =
        sqlx::query_scalar(before).bind(stored.saturating_add(1)).fetch_optional(&mut *tx).await?;
    let since = if told.gone > 0 { before.flatten() } else { told.since_unix_ms };
    sqlx::query(
        "INSERT INTO restored (at, stored, acknowledged, since_at, gone, told_again) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(at)
    .bind(stored)
    .bind(number(told.acknowledged)?)
    .bind(since.unwrap_or(0))
    .bind(number(told.gone)?)
    .bind(number(told.told_again)?)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO clock_seen (id, wall_ms, up_ms, boot, held_ms, held)
         SELECT 1, ?1, 0, '', ?1, 'restored' WHERE EXISTS (SELECT 1 FROM agreement)
         ON CONFLICT (id) DO UPDATE SET held_ms = excluded.held_ms, held = excluded.held",
    )
    .bind(at)
    .execute(tx)
    .await?;
    Ok(())
}

/// What nobody has accepted to go on without, in a database that is only read: it may be a running office's, or an older version's.
pub(crate) async fn missing_in(path: &Path) -> Result<Vec<Missing>, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'missing_records')")
        .fetch_one(&mut connection)
        .await?;
    if !there {
        return Ok(Vec::new());
    }
    let rows =
        sqlx::query("SELECT * FROM missing_records WHERE accepted_at IS NULL ORDER BY id").fetch_all(&mut connection);
    rows.await?.iter().map(missing_of).collect()
}

fn missing_of(row: &SqliteRow) -> Result<Missing, StoreError> {
    let accepted = row.try_get::<Option<i64>, _>("accepted_at")?;
    let said = (row.try_get::<Option<String>, _>("accepted_by")?, row.try_get::<Option<String>, _>("reason")?);
    Ok(Missing {
        id: row.try_get("id")?,
        first: count(row, "first")?,
        last: count(row, "last")?,
        after_ms: row.try_get("after_at")?,
        before_ms: row.try_get("before_at")?,
        noticed_ms: row.try_get("noticed_at")?,
        accepted: accepted.map(|at_ms| Accepted {
            at_ms,
            who: said.0.unwrap_or_default(),
            reason: said.1.unwrap_or_default(),
        }),
    })
}

fn restore_of(row: &SqliteRow) -> Result<Restore, StoreError> {
    Ok(Restore {
        at_ms: row.try_get("at")?,
        stored: count(row, "stored")?,
        acknowledged: count(row, "acknowledged")?,
        since_ms: row.try_get("since_at")?,
        gone: count(row, "gone")?,
        told_again: count(row, "told_again")?,
    })
}

fn number(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Damaged("record number"))
}

fn count(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Damaged("record number"))
}

#[cfg(test)]
mod tests;
