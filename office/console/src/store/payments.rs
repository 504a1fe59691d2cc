//! Payments and their attempts, as they are stored and listed.

use super::{Store, StoreError};
use crate::{
    clock::rfc3339,
    view::{
        PaymentRow,
        schema::{self, AttemptKind, CardView, Outcome},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use utoipa::ToSchema;
use wire::{CallId, CaptureTime, Currency, Extension, MerchantId, Money, PaymentId, PaymentState};

/// The most attempts shown with one payment.
const ATTEMPTS_SHOWN_MAX: i64 = 1_000;
/// The most stored payments of live calls that are loaded at once.
const LIVE_MAX: i64 = 10_000;

/// A payment's columns with those of its newest attempt.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.call, p.extension, p.minor, p.currency, p.account, p.invoice, p.reference, p.state,
                    p.created_at, p.updated_at, a.card, a.outcome,
                    p.capture, p.approved, p.captured, p.refunded, p.review, p.needs_people,
                    p.surcharge, p.due, p.part_of, p.duplicate_of,
                    (SELECT count(*) FROM attempt WHERE payment = p.id AND kind IN ('authorize', 'charge_stored')) AS attempts
             FROM payment p LEFT JOIN attempt a
               ON a.payment = p.id AND a.number = (SELECT max(number) FROM attempt
                                                   WHERE payment = p.id AND kind IN ('authorize', 'charge_stored')) ",
            $rest
        )
    };
}

/// A payment that was ordered by the desk.
#[derive(Clone, Debug)]
pub(crate) struct NewPayment<'a> {
    pub(crate) id: PaymentId,
    pub(crate) call: CallId,
    pub(crate) extension: &'a Extension,
    pub(crate) merchant: &'a MerchantId,
    pub(crate) amount: Money,
    pub(crate) account: Option<&'a str>,
    pub(crate) invoice: Option<&'a str>,
    pub(crate) reference: Option<&'a str>,
    pub(crate) capture: CaptureTime,
    /// Of the amount, in minor units.
    pub(crate) surcharge: i64,
    /// Of a first part: what all parts together are to pay.
    pub(crate) due: Option<i64>,
    /// Of another part: the first.
    pub(crate) part_of: Option<PaymentId>,
    pub(crate) duplicate_of: Option<PaymentId>,
}

/// One attempt as it is shown with its payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// UUID; also the idempotency key at the gateway.
    pub(crate) id: String,
    pub(crate) number: i64,
    /// What it does.
    #[schema(value_type = AttemptKind)]
    pub(crate) kind: wire::AttemptKind,
    /// How much was asked; null of one whose beginning was never told.
    #[schema(value_type = Option<schema::Money>)]
    pub(crate) amount: Option<Money>,
    #[schema(value_type = Option<CardView>)]
    pub(crate) card: Option<wire::CardView>,
    /// Null while it is in flight.
    #[schema(value_type = Option<Outcome>)]
    pub(crate) outcome: Option<wire::Outcome>,
    /// RFC 3339.
    pub(crate) sent_at: String,
    /// RFC 3339.
    pub(crate) ended_at: Option<String>,
}

impl Store {
    /// Stores a payment before the cde is asked to take it, so that its records find it. Storing it again changes
    /// nothing.
    pub(crate) async fn payment_insert(&self, now_ms: i64, new: &NewPayment<'_>) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await?;
        insert(&mut connection, now_ms, new).await
    }

    /// Removes a payment that the cde refused to start; never one that has reached a gateway.
    pub(crate) async fn payment_refused(&self, id: PaymentId) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM payment WHERE id = ? AND state = 'waiting'
             AND NOT EXISTS (SELECT 1 FROM attempt WHERE payment = payment.id)",
        )
        .bind(id.to_string())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// One payment.
    pub(crate) async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, StoreError> {
        let found = sqlx::query(select!("WHERE p.id = ?")).bind(id.to_string()).fetch_optional(&self.reader).await?;
        found.map(|row| row_of(&row)).transpose()
    }

    /// The stored payments of these calls.
    pub(crate) async fn payments_of_calls(&self, calls: &[CallId]) -> Result<Vec<PaymentRow>, StoreError> {
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

    /// The payments of an extension, newest first, older than `before`.
    pub(crate) async fn payments_page(
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

    /// The attempts of a payment, in order.
    pub(crate) async fn attempts(&self, payment: PaymentId) -> Result<Vec<AttemptView>, StoreError> {
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

    /// How many payments stand in each state that is not an end, for the metrics.
    pub(crate) async fn payment_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let counts = sqlx::query_as(
            "SELECT state, count(*) FROM payment WHERE state IN ('waiting', 'authorizing', 'unknown') GROUP BY state",
        );
        Ok(counts.fetch_all(&self.reader).await?)
    }

    /// The call is over: what never reached a gateway is canceled, which is not known of a payment with an attempt
    /// whose record has yet to come. Returns what has changed.
    pub(crate) async fn call_is_over(
        &self,
        now_ms: i64,
        call: CallId,
        unrecorded: Option<PaymentId>,
    ) -> Result<Vec<PaymentRow>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "UPDATE payment SET state = 'cancelled', updated_at = max(updated_at, ?)
             WHERE call = ? AND state = 'waiting' AND id IS NOT ? RETURNING id",
        )
        .bind(now_ms)
        .bind(call.to_string())
        .bind(unrecorded.map(|id| id.to_string()))
        .fetch_all(&self.writer)
        .await?;
        self.rows_of(ids).await
    }

    /// Every record has been seen and these calls are alive: of the payments of all other calls, what was never sent is
    /// canceled, and what was sent without an end is unknown. Returns what has changed.
    pub(crate) async fn caught_up(&self, now_ms: i64, alive: &[CallId]) -> Result<Vec<PaymentRow>, StoreError> {
        let alive = serde_json::to_string(alive).map_err(|_| StoreError::Damaged("call"))?;
        let ids: Vec<String> = sqlx::query_scalar(
            "UPDATE payment SET state = iif(state = 'waiting', 'cancelled', 'unknown'), updated_at = max(updated_at, ?)
             WHERE state IN ('waiting', 'authorizing') AND call NOT IN (SELECT value FROM json_each(?)) RETURNING id",
        )
        .bind(now_ms)
        .bind(alive)
        .fetch_all(&self.writer)
        .await?;
        self.rows_of(ids).await
    }

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
    sqlx::query(select!("WHERE p.review = 'wanted' OR p.needs_people = 1 ORDER BY p.id LIMIT ?"))
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
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR IGNORE INTO payment
         (id, call, extension, merchant, minor, currency, account, invoice, reference, state, created_at, updated_at, capture,
          surcharge, due, part_of, duplicate_of)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?, ?, ?, ?, ?)",
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
    Ok(())
}

/// The word that a unit variant is serialized as.
pub(crate) fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(StoreError::Damaged("word")),
    }
}

pub(crate) fn json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged(what))
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
        surcharge: money(row.try_get("surcharge")?),
        due: row.try_get::<Option<i64>, _>("due")?.map(money),
        part_of: id_of(row, "part_of")?,
        duplicate_of: id_of(row, "duplicate_of")?,
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
