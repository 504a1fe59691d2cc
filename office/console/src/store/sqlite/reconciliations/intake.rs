//! A report on its way in and out, in steps that let others write between them. Its lines are written down one group after
//! another, and nothing of it is seen before the last step says that it is here; taken back, it is gone at once, and its
//! lines leave one group after another. What was begun and not ended is swept away.

use super::report_of;
use crate::store::{
    StoreError,
    audit::Entry,
    reconciliations::{NewReport, ReportView},
    sqlite::{Sqlite, audit},
};
use reconcile::Line;
use serde_json::{Value, json};
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

/// Lines that are written down, or away, at once: some ten milliseconds in which nobody else writes.
const GROUP: usize = 1_000;
/// The word of a format whose keys may be those of other movements in another file.
const BY_NAMES: &str = "columns";

impl Sqlite {
    /// The report that is the same, if it is here.
    pub(super) async fn known(&self, new: &NewReport<'_>) -> Result<Option<ReportView>, StoreError> {
        let sql =
            "SELECT * FROM report WHERE merchant = ? AND source = ? AND format = ? AND sha256 = ? AND state = 'here'";
        let row = sqlx::query(sql)
            .bind(new.merchant.as_str())
            .bind(new.source)
            .bind(new.format)
            .bind(new.sha256)
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(report_of).transpose()
    }

    /// Stores a report with its lines, or finds the one that is the same; true if it is new. One at a time: see
    /// [`Self::swept`].
    pub(super) async fn take_in(
        &self,
        now_ms: i64,
        new: &NewReport<'_>,
        entry: &Entry<'_>,
    ) -> Result<(ReportView, bool), StoreError> {
        if let Some(known) = self.known(new).await? {
            return Ok((known, false));
        }
        self.swept().await?;
        self.begin_report(now_ms, new, &entry.who).await?;
        for lines in new.report.lines.chunks(GROUP) {
            let mut tx = self.begin().await?;
            insert_lines(&mut tx, new, lines).await?;
            tx.commit().await?;
        }
        Ok((self.publish(new.id, entry).await?, true))
    }

    /// Takes a report back that was given in by mistake: from now on nothing of it counts, and [`Self::swept`] clears
    /// its lines away. None if there is no such report; else the names of later ones that shared lines with it before it was
    /// written down which report holds which line: they must be given in again, and count as new then.
    pub(super) async fn take_back(&self, id: Uuid, entry: &Entry<'_>) -> Result<Option<Vec<String>>, StoreError> {
        let (mut tx, id) = (self.begin().await?, id.to_string());
        let row = sqlx::query(
            "UPDATE report SET state = 'leaving' WHERE id = ? AND state = 'here' RETURNING merchant, source",
        )
        .bind(&id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        // Ids are in the order in which reports came (UUIDv7).
        let again = sqlx::query_scalar(
            "UPDATE report SET sha256 = randomblob(32)
             WHERE merchant = ? AND source = ? AND id > ? AND NOT whole AND state = 'here' RETURNING name",
        )
        .bind(row.try_get::<&str, _>("merchant")?)
        .bind(row.try_get::<&str, _>("source")?)
        .bind(&id)
        .fetch_all(&mut *tx)
        .await?;
        audit::insert(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Some(again))
    }

    /// Clears away what is not here: reports that were taken back, and those whose taking in was broken off. Never while one
    /// is taken in.
    pub(super) async fn swept(&self) -> Result<(), StoreError> {
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT id FROM report WHERE state != 'here'").fetch_all(&self.reader).await?;
        for id in ids {
            while self.sweep_group(&id).await? {}
        }
        Ok(())
    }

    async fn begin_report(&self, now_ms: i64, new: &NewReport<'_>, who: &str) -> Result<(), StoreError> {
        let times = || new.report.lines.iter().map(|line| line.at_unix_ms);
        sqlx::query(
            "INSERT INTO report (id, merchant, source, format, name, sha256, lines, stored, fresh, conflicts, skipped,
                                 first_at, last_at, who, at, state, whole)
             VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?, ?, 'coming', true)",
        )
        .bind(new.id.to_string())
        .bind(new.merchant.as_str())
        .bind(new.source)
        .bind(new.format)
        .bind(new.name)
        .bind(new.sha256)
        .bind(count(new.report.lines.len()))
        .bind(count(new.report.skipped))
        .bind(times().min())
        .bind(times().max())
        .bind(who)
        .bind(now_ms)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// What is new in it is counted before others have to wait for it: only one report is taken in at a time.
    async fn publish(&self, id: Uuid, entry: &Entry<'_>) -> Result<ReportView, StoreError> {
        let id = id.to_string();
        let (fresh, conflicts): (i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE NOT EXISTS (
                        SELECT 1 FROM report_holds o JOIN report r ON r.id = o.report
                        WHERE o.line = h.line AND o.report != ?1 AND r.state = 'here')),
                    count(*) FILTER (WHERE EXISTS (
                        SELECT 1 FROM report_line l CROSS JOIN report_line s
                          ON s.merchant = l.merchant AND s.source = l.source AND s.key = l.key AND s.story != l.story
                        CROSS JOIN report_holds o ON o.line = s.id CROSS JOIN report r ON r.id = o.report AND r.state = 'here'
                        WHERE l.id = h.line))
             FROM report_holds h WHERE h.report = ?1",
        )
        .bind(&id)
        .fetch_one(&self.reader)
        .await?;
        let mut tx = self.begin().await?;
        let row = sqlx::query("UPDATE report SET state = 'here', fresh = ?, conflicts = ? WHERE id = ? RETURNING *")
            .bind(fresh)
            .bind(conflicts)
            .bind(&id)
            .fetch_one(&mut *tx)
            .await?;
        let view = report_of(&row)?;
        audit::insert(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(view)
    }

    /// False when nothing of the report is left.
    async fn sweep_group(&self, id: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let lines: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM report_holds WHERE report = ?1
             AND line IN (SELECT line FROM report_holds WHERE report = ?1 LIMIT ?2) RETURNING line",
        )
        .bind(id)
        .bind(count(GROUP))
        .fetch_all(&mut *tx)
        .await?;
        if lines.is_empty() {
            sqlx::query("DELETE FROM report WHERE id = ?").bind(id).execute(&mut *tx).await?;
        } else {
            let left = json!(lines).to_string();
            for sql in [
                "DELETE FROM report_name WHERE line IN (SELECT value FROM json_each(?))
                 AND NOT EXISTS (SELECT 1 FROM report_holds h WHERE h.line = report_name.line)",
                "DELETE FROM report_line WHERE id IN (SELECT value FROM json_each(?))
                 AND NOT EXISTS (SELECT 1 FROM report_holds h WHERE h.line = report_line.id)",
            ] {
                sqlx::query(sql).bind(&left).execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        Ok(!lines.is_empty())
    }
}

#[cfg(test)]
impl Sqlite {
    /// All but the last step of taking a report in.
    pub(super) async fn broken_off(&self, new: &NewReport<'_>) {
        self.begin_report(1, new, "amy").await.unwrap();
        let mut tx = self.begin().await.unwrap();
        insert_lines(&mut tx, new, &new.report.lines).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn insert_lines(tx: &mut SqliteConnection, new: &NewReport<'_>, lines: &[Line]) -> Result<(), StoreError> {
    let by_names = new.format == BY_NAMES;
    let rows: Vec<Value> = lines.iter().map(|line| row(line, by_names)).collect();
    let rows = json!(rows).to_string();
    let named = "FROM json_each(?3) j CROSS JOIN report_line l
                 ON l.merchant = ?1 AND l.source = ?2 AND l.key = j.value->>0 AND l.story = j.value->>1";
    // Nothing that was sent is in the statements.
    let holds = format!("INSERT INTO report_holds (report, line, copies) SELECT ?4, l.id, j.value->>2 {named}");
    let names = format!(
        "INSERT INTO report_name (line, place, name) SELECT l.id, n.key, n.value {named} CROSS JOIN json_each(j.value->9) n
         WHERE true ON CONFLICT DO NOTHING"
    );
    sqlx::query(
        "INSERT INTO report_line (merchant, source, key, story, kind, minor, currency, fee_minor, fee_currency, at)
         SELECT ?1, ?2, value->>0, value->>1, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8
         FROM json_each(?3) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(new.merchant.as_str())
    .bind(new.source)
    .bind(&rows)
    .execute(&mut *tx)
    .await?;
    for (sql, report) in [(holds, Some(new.id.to_string())), (names, None)] {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(new.merchant.as_str()).bind(new.source).bind(&rows);
        let query = match report {
            Some(report) => query.bind(report),
            None => query,
        };
        query.execute(&mut *tx).await?;
    }
    sqlx::query("UPDATE report SET stored = stored + ? WHERE id = ?")
        .bind(count(lines.len()))
        .bind(new.id.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

fn row(line: &Line, by_names: bool) -> Value {
    let fee = line.fee.map(|fee| (fee.minor, fee.currency.code())).unzip();
    let (kind, currency) = (line.kind.as_str(), line.money.currency.code());
    json!([
        line.key,
        line.story(by_names),
        line.copies,
        kind,
        line.money.minor,
        currency,
        fee.0,
        fee.1,
        line.at_unix_ms,
        line.all_names()
    ])
}
