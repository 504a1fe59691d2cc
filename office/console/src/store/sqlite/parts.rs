//! Parts of sums, and payments that look the same, in SQLite.

use super::Sqlite;
use crate::store::{
    StoreError,
    parts::{Parts, Sum, counts},
    payments::NewPayment,
};
use async_trait::async_trait;
use wire::{Currency, Money, PaymentId};

/// Id, due, amount without surcharge, currency, state, approved, surcharge, refunded.
type PartColumns = (String, Option<i64>, i64, String, String, Option<i64>, i64, i64);

#[async_trait]
impl Parts for Sqlite {
    async fn sum(&self, first: PaymentId, extension: Option<&str>) -> Result<Option<Sum>, StoreError> {
        let rows: Vec<PartColumns> = sqlx::query_as(
            "SELECT id, due, minor - surcharge, currency, state, approved, surcharge, refunded FROM payment
             WHERE (id = ?1 AND part_of IS NULL OR part_of = ?1) AND (?2 IS NULL OR extension = ?2) ORDER BY id <> ?1, id",
        )
        .bind(first.to_string())
        .bind(extension)
        .fetch_all(&self.writer)
        .await?;
        let Some((_, due, asked, currency, ..)) = rows.first().filter(|row| row.0 == first.to_string()) else {
            return Ok(None);
        };
        let currency: Currency = currency.parse().map_err(|_| StoreError::Damaged("currency"))?;
        let due = due.unwrap_or(*asked);
        let (mut taken, mut parts) = (0_i64, Vec::new());
        for (id, _, asked, _, state, approved, surcharge, refunded) in &rows {
            taken = taken.saturating_add(counts(state, *asked, approved.map(|minor| minor - surcharge), *refunded));
            parts.push(id.parse().map_err(|_| StoreError::Damaged("payment id"))?);
        }
        let money = |minor| Money { minor, currency };
        let remaining = money(due.saturating_sub(taken).max(0));
        Ok(Some(Sum { due: money(due), remaining, is_exceeded: taken > due, parts }))
    }

    async fn duplicate_of(&self, new: &NewPayment<'_>, since_ms: i64) -> Result<Option<PaymentId>, StoreError> {
        if new.account.or(new.invoice).or(new.reference).is_none() {
            return Ok(None);
        }
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM payment WHERE minor = ? AND created_at >= ? AND currency = ? AND merchant = ? AND id != ?
             AND account IS NOT DISTINCT FROM ? AND invoice IS NOT DISTINCT FROM ?
             AND reference IS NOT DISTINCT FROM ? AND state IN ('approved', 'authorizing', 'unknown')
             ORDER BY created_at DESC LIMIT 1",
        )
        .bind(new.amount.minor)
        .bind(since_ms)
        .bind(new.amount.currency.code())
        .bind(new.merchant.as_str())
        .bind(new.id.to_string())
        .bind(new.account)
        .bind(new.invoice)
        .bind(new.reference)
        .fetch_optional(&self.writer)
        .await?;
        found.map(|id| id.parse().map_err(|_| StoreError::Damaged("payment id"))).transpose()
    }
}
