//! Payments in SQLite.

use super::{Sqlite, recurring::offers};
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        payments::{ATTEMPTS_SHOWN_MAX, AttemptView, LIVE_MAX, NewPayment, Payments, json, word},
    },
    view::PaymentRow,
};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use wire::{CallId, Currency, Extension, Money, PaymentId, PaymentState};

/// A payment's columns with those of its newest attempt.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.call, p.extension, p.minor, p.currency, p.account, p.invoice, p.reference, p.state,
                    p.created_at, p.updated_at, a.card, a.outcome,
                    p.capture, p.approved, p.captured, p.refunded, p.review, p.needs_people,
                    p.surcharge, p.due, p.part_of, p.duplicate_of, p.kept,
                    (SELECT count(*) FROM money_alarm WHERE payment = p.id AND seen_at IS NULL) AS alarms,
                    (SELECT token FROM kept_card WHERE payment = p.id AND gone_at IS NULL) AS token,
                    coalesce((SELECT o.agreement FROM agreement_offer o WHERE o.payment = p.id),
                             (SELECT d.agreement FROM due_payment d WHERE d.payment = p.id)) AS agreement,
                    EXISTS (SELECT 1 FROM agreement WHERE payment = p.id)
                        OR EXISTS (SELECT 1 FROM due_payment WHERE payment = p.id) AS is_agreed,
                    (SELECT count(*) FROM attempt WHERE payment = p.id AND kind IN ('authorize', 'charge_stored', 'store')) AS attempts
             FROM payment p LEFT JOIN attempt a
               ON a.payment = p.id AND a.number = (SELECT max(number) FROM attempt
                                                   WHERE payment = p.id AND kind IN ('authorize', 'charge_stored', 'store')) ",
            $rest
        )
    };
}

#[async_trait]
impl Payments for Sqlite {
    async fn payment_insert(&self, now_ms: i64, new: &NewPayment<'_>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let is_new = insert(&mut tx, now_ms, new).await?;
        if let Some(offer) = new.offer {
            offers::insert(&mut tx, new.id, offer).await?;
        }
        tx.commit().await?;
        Ok(is_new)
    }

    async fn payment_refused(&self, id: PaymentId) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM payment WHERE id = ? AND state = 'waiting'
             AND NOT EXISTS (SELECT 1 FROM attempt WHERE payment = payment.id)",
        )
        .bind(id.to_string())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn keeper_of(&self, token: &wire::Token) -> Result<Option<String>, StoreError> {
        let found = sqlx::query_scalar(
            "SELECT p.extension FROM kept_card k JOIN payment p ON p.id = k.payment WHERE k.token = ?",
        );
        Ok(found.bind(token.as_str()).fetch_optional(&self.reader).await?)
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, StoreError> {
        let found = sqlx::query(select!("WHERE p.id = ?")).bind(id.to_string()).fetch_optional(&self.reader).await?;
        found.map(|row| row_of(&row)).transpose()
    }

    async fn payments_of_calls(&self, calls: &[CallId]) -> Result<Vec<PaymentRow>, StoreError> {
        let calls = serde_json::to_string(calls).map_err(|_| StoreError::Damaged("call"))?;
        sqlx::query(select!("WHERE p.call IN (SELECT value FROM json_each(?)) ORDER BY p.id DESC LIMIT ?"))
            .bind(calls)
            .bind(LIVE_MAX)
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(row_of)
            .collect()
    }

    async fn payments_page(
        &self,
        extension: &Extension,
        before: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<PaymentRow>, StoreError> {
        let before = before.map(|id| id.to_string());
        sqlx::query(select!("WHERE p.extension = ? AND (? IS NULL OR p.id < ?) ORDER BY p.id DESC LIMIT ?"))
            .bind(extension.as_str())
            .bind(&before)
            .bind(&before)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(row_of)
            .collect()
    }

    async fn payments_page_of_all(&self, before: Option<PaymentId>, limit: i64) -> Result<Vec<PaymentRow>, StoreError> {
        let before = before.map(|id| id.to_string());
        sqlx::query(select!("WHERE ?1 IS NULL OR p.id < ?1 ORDER BY p.id DESC LIMIT ?2"))
            .bind(&before)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(row_of)
            .collect()
    }

    async fn attempts(&self, payment: PaymentId) -> Result<Vec<AttemptView>, StoreError> {
        sqlx::query(
            "SELECT a.id, number, kind, a.minor, currency, card, outcome, sent_at, ended_at
             FROM attempt a LEFT JOIN payment p ON p.id = a.payment WHERE payment = ? ORDER BY number LIMIT ?",
        )
        .bind(payment.to_string())
        .bind(ATTEMPTS_SHOWN_MAX)
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(attempt_of)
        .collect()
    }

    async fn payment_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let counts = sqlx::query_as(
            "SELECT state, count(*) FROM payment WHERE state IN ('waiting', 'authorizing', 'unknown') GROUP BY state",
        );
        Ok(counts.fetch_all(&self.reader).await?)
    }

    async fn call_is_over(
        &self,
        now_ms: i64,
        call: CallId,
        unrecorded: Option<PaymentId>,
    ) -> Result<Vec<PaymentRow>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "UPDATE payment SET state = 'cancelled', updated_at = max(updated_at, ?)
             WHERE call = ? AND state = 'waiting' AND id IS DISTINCT FROM ? RETURNING id",
        )
        .bind(now_ms)
        .bind(call.to_string())
        .bind(unrecorded.map(|id| id.to_string()))
        .fetch_all(&self.writer)
        .await?;
        self.rows_of(ids).await
    }

    async fn caught_up(&self, now_ms: i64, alive: &[CallId]) -> Result<Vec<PaymentRow>, StoreError> {
        let alive = serde_json::to_string(alive).map_err(|_| StoreError::Damaged("call"))?;
        let ids: Vec<String> = sqlx::query_scalar(
            "UPDATE payment SET state = CASE state WHEN 'waiting' THEN 'cancelled' ELSE 'unknown' END, updated_at = max(updated_at, ?)
             WHERE state IN ('waiting', 'authorizing') AND call NOT IN (SELECT value FROM json_each(?)) RETURNING id",
        )
        .bind(now_ms)
        .bind(alive)
        .fetch_all(&self.writer)
        .await?;
        self.rows_of(ids).await
    }
}

impl Sqlite {
    async fn rows_of(&self, ids: Vec<String>) -> Result<Vec<PaymentRow>, StoreError> {
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            let id = id.parse().map_err(|_| StoreError::Damaged("payment id"))?;
            rows.extend(self.payment(id).await?);
        }
        Ok(rows)
    }
}

/// Payments that wait for people, oldest first.
pub(super) async fn waiting(reader: &SqlitePool, limit: i64) -> Result<Vec<PaymentRow>, StoreError> {
    sqlx::query(select!(
        "WHERE p.review = 'wanted' OR p.needs_people = 1
                        OR p.id IN (SELECT payment FROM money_alarm WHERE seen_at IS NULL)
                        OR p.id IN (SELECT k.payment FROM deletion_by_hand d JOIN kept_card k ON k.token = d.token
                                    WHERE d.confirmed_at IS NULL AND k.forgotten_at IS NULL)
                        ORDER BY p.id LIMIT ?"
    ))
    .bind(limit)
    .fetch_all(reader)
    .await?
    .iter()
    .map(row_of)
    .collect()
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    now_ms: i64,
    new: &NewPayment<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO payment
         (id, call, extension, merchant, minor, currency, account, invoice, reference, state, created_at, updated_at, capture,
          surcharge, due, part_of, duplicate_of)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
    )
    .bind(new.id.to_string())
    .bind(new.call.to_string())
    .bind(new.extension.as_str())
    .bind(new.merchant.as_str())
    .bind(new.amount.minor)
    .bind(new.amount.currency.code())
    .bind(new.account)
    .bind(new.invoice)
    .bind(new.reference)
    .bind(now_ms)
    .bind(now_ms)
    .bind(word(&new.capture)?)
    .bind(new.surcharge)
    .bind(new.due)
    .bind(new.part_of.map(|id| id.to_string()))
    .bind(new.duplicate_of.map(|id| id.to_string()))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

fn parsed<T: std::str::FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    row.try_get::<&str, _>(column)?.parse().map_err(|_| StoreError::Damaged(column))
}

fn optional<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, StoreError> {
    row.try_get::<Option<&str>, _>(column)?.map(|text| json(text, column)).transpose()
}

fn row_of(row: &SqliteRow) -> Result<PaymentRow, StoreError> {
    let state = serde_json::Value::String(row.try_get("state")?);
    let currency = parsed::<Currency>(row, "currency")?;
    let money = |minor| Money { minor, currency };
    Ok(PaymentRow {
        id: parsed(row, "id")?,
        call: parsed(row, "call")?,
        extension: row.try_get("extension")?,
        amount: money(row.try_get("minor")?),
        account: row.try_get("account")?,
        invoice: row.try_get("invoice")?,
        reference: row.try_get("reference")?,
        state: serde_json::from_value::<PaymentState>(state).map_err(|_| StoreError::Damaged("state"))?,
        attempts: u8::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u8::MAX),
        card: optional(row, "card")?,
        outcome: optional(row, "outcome")?,
        later: row.try_get::<&str, _>("capture")? == "later",
        approved: row.try_get::<Option<i64>, _>("approved")?.map(money),
        captured: money(row.try_get("captured")?),
        refunded: money(row.try_get("refunded")?),
        review: row.try_get("review")?,
        needs_people: row.try_get("needs_people")?,
        alarms: row.try_get("alarms")?,
        surcharge: money(row.try_get("surcharge")?),
        due: row.try_get::<Option<i64>, _>("due")?.map(money),
        part_of: id_of(row, "part_of")?,
        duplicate_of: id_of(row, "duplicate_of")?,
        kept: row.try_get::<Option<&str>, _>("kept")?.map(|word| json(&format!("\"{word}\""), "kept")).transpose()?,
        token: row.try_get("token")?,
        agreement: row.try_get("agreement")?,
        is_agreed: row.try_get("is_agreed")?,
        created_ms: row.try_get("created_at")?,
        updated_ms: row.try_get("updated_at")?,
    })
}

fn id_of(row: &SqliteRow, column: &'static str) -> Result<Option<PaymentId>, StoreError> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|_| StoreError::Damaged(column))).transpose()
}

fn amount_of(row: &SqliteRow) -> Result<Option<Money>, StoreError> {
    let (minor, currency) = (row.try_get::<Option<i64>, _>("minor")?, row.try_get::<Option<&str>, _>("currency")?);
    let Some((minor, currency)) = minor.zip(currency) else { return Ok(None) };
    let currency = currency.parse::<Currency>().map_err(|_| StoreError::Damaged("currency"))?;
    Ok(Some(Money { minor, currency }))
}

fn attempt_of(row: &SqliteRow) -> Result<AttemptView, StoreError> {
    Ok(AttemptView {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        kind: wire::AttemptKind::from_name(row.try_get("kind")?).ok_or(StoreError::Damaged("attempt kind"))?,
        amount: amount_of(row)?,
        card: optional(row, "card")?,
        outcome: optional(row, "outcome")?,
        sent_at: rfc3339(row.try_get("sent_at")?),
        ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(rfc3339),
    })
}
