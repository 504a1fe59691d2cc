//! Gateways' reports in SQLite.

mod intake;

use super::Sqlite;
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        audit::Entry as Audited,
        payments::json,
        reconciliations::{DAY_MAX, DayRows, LISTED_MAX, NewReport, Reconciliations, ReportView},
    },
};
use async_trait::async_trait;
use reconcile::{Line, LineKind, Ours, Side, Stand, Window};
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::collections::{BTreeMap, btree_map::Entry};
use uuid::Uuid;
use wire::{AttemptId, AttemptKind, Currency, MerchantId, Money, Outcome};

#[async_trait]
impl Reconciliations for Sqlite {
    async fn reports(&self, merchant: &MerchantId, window: Option<Window>) -> Result<Vec<ReportView>, StoreError> {
        sqlx::query(
            "SELECT * FROM report WHERE merchant = ?1 AND state != 'leaving' AND (?2 IS NULL OR (first_at < ?3 AND last_at >= ?2))
             ORDER BY at DESC, id DESC LIMIT ?4",
        )
        .bind(merchant.as_str())
        .bind(window.map(|window| window.from))
        .bind(window.map(|window| window.until))
        .bind(LISTED_MAX)
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(report_of)
        .collect()
    }

    async fn day(&self, merchant: &MerchantId, window: Window) -> Result<DayRows, StoreError> {
        // Both are read in one transaction, so that a report that comes in between is wholly there or not at all.
        let mut tx = self.reader.begin().await?;
        let payments: Vec<String> = sqlx::query_scalar(
            // The order of the tables is meant (CROSS JOIN), and so is the plus: an index on an expression is not used for a
            // name that has a type. Another plan takes the square of the day.
            "SELECT a.payment FROM attempt a CROSS JOIN payment p ON p.id = a.payment
             WHERE p.merchant = ?1 AND a.sent_at >= ?2 AND a.sent_at < ?3
             UNION
             SELECT a.payment FROM report_line l CROSS JOIN report_name n ON n.line = l.id CROSS JOIN attempt a ON a.id = n.name
             WHERE l.merchant = ?1 AND l.at >= ?2 AND l.at < ?3
             UNION
             SELECT a.payment FROM report_line l CROSS JOIN report_name n ON n.line = l.id
               CROSS JOIN attempt a ON json_extract(a.outcome, '$.gateway_ref') = +n.name AND a.outcome IS NOT NULL
             WHERE l.merchant = ?1 AND l.at >= ?2 AND l.at < ?3",
        )
        .bind(merchant.as_str())
        .bind(window.from)
        .bind(window.until)
        .fetch_all(&mut *tx)
        .await?;
        let ours = attempts_of(&mut tx, merchant, &payments).await?;
        let lines = lines_of(&mut tx, merchant, window, &ours).await?;
        tx.rollback().await?;
        Ok(DayRows { ours, lines })
    }

    async fn report_insert(
        &self,
        now_ms: i64,
        new: &NewReport<'_>,
        entry: &Audited<'_>,
    ) -> Result<(ReportView, bool), StoreError> {
        self.take_in(now_ms, new, entry).await
    }

    async fn report_withdrawn(&self, id: Uuid, entry: &Audited<'_>) -> Result<Option<Vec<String>>, StoreError> {
        self.take_back(id, entry).await
    }

    async fn reports_swept(&self) -> Result<(), StoreError> {
        self.swept().await
    }
}

fn report_of(row: &SqliteRow) -> Result<ReportView, StoreError> {
    Ok(ReportView {
        id: row.try_get("id")?,
        merchant: row.try_get("merchant")?,
        source: row.try_get("source")?,
        format: row.try_get("format")?,
        state: row.try_get("state")?,
        name: row.try_get("name")?,
        lines: row.try_get("lines")?,
        stored: row.try_get("stored")?,
        fresh: row.try_get("fresh")?,
        conflicts: row.try_get("conflicts")?,
        skipped: row.try_get("skipped")?,
        first_at: row.try_get::<Option<i64>, _>("first_at")?.map(rfc3339),
        last_at: row.try_get::<Option<i64>, _>("last_at")?.map(rfc3339),
        who: row.try_get("who")?,
        at: rfc3339(row.try_get("at")?),
    })
}

async fn attempts_of(
    tx: &mut SqliteConnection,
    merchant: &MerchantId,
    payments: &[String],
) -> Result<Vec<Ours>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.id, a.payment, a.kind, coalesce(a.minor, p.minor) AS minor, a.outcome, a.sent_at, p.currency, p.capture,
                coalesce(p.account, p.invoice, p.reference) AS account,
                EXISTS (SELECT 1 FROM attempt v WHERE v.payment = a.payment AND v.number > a.number AND v.kind = 'void'
                        AND v.outcome ->> 'outcome' = 'approved') AS voided
         FROM attempt a JOIN payment p ON p.id = a.payment
         WHERE p.merchant = ?1 AND a.payment IN (SELECT value FROM json_each(?2)) ORDER BY a.sent_at, a.id LIMIT ?3",
    )
    .bind(merchant.as_str())
    .bind(json!(payments).to_string())
    .bind(i64::try_from(DAY_MAX + 1).unwrap_or(i64::MAX))
    .fetch_all(tx)
    .await?;
    rows.iter().map(ours_of).collect()
}

fn ours_of(row: &SqliteRow) -> Result<Ours, StoreError> {
    let kind = AttemptKind::from_name(row.try_get("kind")?).ok_or(StoreError::Damaged("attempt kind"))?;
    let currency = row.try_get::<&str, _>("currency")?.parse().map_err(|_| StoreError::Damaged("currency"))?;
    let outcome: Option<Outcome> =
        row.try_get::<Option<&str>, _>("outcome")?.map(|text| json(text, "outcome")).transpose()?;
    let asked = Money { minor: row.try_get("minor")?, currency };
    let (money, gateway_ref) = match &outcome {
        Some(Outcome::Approved { amount, gateway_ref, .. }) => (*amount, gateway_ref.clone()),
        _ => (asked, String::new()),
    };
    let is_voided: bool = row.try_get("voided")?;
    Ok(Ours {
        attempt: row.try_get::<&str, _>("id")?.parse().map_err(|_| StoreError::Damaged("attempt id"))?,
        payment: row.try_get::<&str, _>("payment")?.parse().map_err(|_| StoreError::Damaged("payment id"))?,
        kind,
        side: side_of(kind, row.try_get::<&str, _>("capture")? == "later"),
        money,
        stand: stand_of(outcome.as_ref(), is_voided),
        gateway_ref,
        at_unix_ms: row.try_get("sent_at")?,
        account: row.try_get("account")?,
    })
}

/// A reservation moves nothing; its captures do.
fn side_of(kind: AttemptKind, later: bool) -> Option<Side> {
    match kind {
        AttemptKind::Authorize | AttemptKind::ChargeStored => (!later).then_some(Side::Taken),
        AttemptKind::Capture => Some(Side::Taken),
        AttemptKind::Refund => Some(Side::GivenBack),
        AttemptKind::Void | AttemptKind::Store | AttemptKind::DeleteStored => None,
    }
}

/// What was voided is not settled: its gateway has nothing of it.
fn stand_of(outcome: Option<&Outcome>, is_voided: bool) -> Stand {
    match outcome {
        None | Some(Outcome::Unknown) => Stand::Unknown,
        Some(Outcome::Approved { .. }) if !is_voided => Stand::Done,
        Some(_) => Stand::NotDone,
    }
}

async fn lines_of(
    tx: &mut SqliteConnection,
    merchant: &MerchantId,
    window: Window,
    ours: &[Ours],
) -> Result<Vec<Line>, StoreError> {
    let attempts = ours.iter().map(|ours| ours.attempt.to_string());
    let names = ours.iter().map(|ours| ours.gateway_ref.clone()).filter(|name| !name.is_empty());
    let names: Vec<String> = attempts.chain(names).collect();
    let rows = sqlx::query(
        "WITH wanted AS (
             SELECT id FROM report_line WHERE merchant = ?1 AND at >= ?2 AND at < ?3
             UNION
             SELECT l.id FROM json_each(?4) j CROSS JOIN report_name n ON n.name = j.value CROSS JOIN report_line l ON l.id = n.line
             WHERE l.merchant = ?1),
         told AS (
             SELECT DISTINCT s.id FROM wanted w CROSS JOIN report_line l ON l.id = w.id
             CROSS JOIN report_line s ON s.merchant = l.merchant AND s.source = l.source AND s.key = l.key),
         here AS (
             SELECT t.id, max(h.copies) AS copies FROM told t CROSS JOIN report_holds h ON h.line = t.id
             CROSS JOIN report r ON r.id = h.report AND r.state = 'here' GROUP BY t.id)
         SELECT l.id, l.source, l.key, l.kind, l.minor, l.currency, l.fee_minor, l.fee_currency, l.at, w.copies, n.name
         FROM here w CROSS JOIN report_line l ON l.id = w.id LEFT JOIN report_name n ON n.line = l.id
         ORDER BY l.id, n.place",
    )
    .bind(merchant.as_str())
    .bind(window.from)
    .bind(window.until)
    .bind(json!(names).to_string())
    .fetch_all(tx)
    .await?;
    let mut lines: BTreeMap<i64, Line> = BTreeMap::new();
    for row in &rows {
        let id: i64 = row.try_get("id")?;
        if lines.len() > DAY_MAX {
            break;
        }
        let line = match lines.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(line_of(row)?),
        };
        let Some(name) = row.try_get::<Option<String>, _>("name")? else { continue };
        match name.parse::<AttemptId>() {
            Ok(attempt) => line.attempts.push(attempt),
            Err(_) => line.names.push(name),
        }
    }
    Ok(lines.into_values().collect())
}

fn line_of(row: &SqliteRow) -> Result<Line, StoreError> {
    let currency = |column| -> Result<Option<Currency>, StoreError> {
        let code: Option<&str> = row.try_get(column)?;
        code.map(|code| code.parse().map_err(|_| StoreError::Damaged("currency"))).transpose()
    };
    let fee = row.try_get::<Option<i64>, _>("fee_minor")?.zip(currency("fee_currency")?);
    Ok(Line {
        source: row.try_get("source")?,
        key: row.try_get("key")?,
        kind: LineKind::from_name(row.try_get("kind")?).ok_or(StoreError::Damaged("line kind"))?,
        names: Vec::new(),
        attempts: Vec::new(),
        money: Money {
            minor: row.try_get("minor")?,
            currency: currency("currency")?.ok_or(StoreError::Damaged("currency"))?,
        },
        fee: fee.map(|(minor, currency)| Money { minor, currency }),
        at_unix_ms: row.try_get("at")?,
        copies: row.try_get::<i64, _>("copies")?.try_into().unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests;
