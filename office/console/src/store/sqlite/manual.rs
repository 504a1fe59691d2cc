//! Payments that people key, in SQLite.

use super::{Sqlite, audit};
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        audit::Entry,
        manual::{Manual, ManualPayment, Marked},
    },
};
use async_trait::async_trait;
use sqlx::{Row, sqlite::SqliteRow};
use wire::{Currency, MerchantId, Money, PaymentId};

/// By which pages go on: nothing of it changes while people read.
const ORDER: &str =
    "(p.account IS NULL, coalesce(p.account, ''), coalesce(p.invoice, ''), coalesce(p.reference, ''), p.id)";

const SUMS: &str =
    "SELECT p.id, p.account, p.invoice, p.reference, p.currency, p.created_at, p.captured - p.refunded AS taken,
        coalesce((SELECT sum(minor) FROM keyed WHERE payment = p.id), 0) AS keyed,
        (SELECT who FROM keyed WHERE payment = p.id ORDER BY id DESC LIMIT 1) AS keyed_by,
        (SELECT at FROM keyed WHERE payment = p.id ORDER BY id DESC LIMIT 1) AS keyed_at
     FROM payment p";

#[async_trait]
impl Manual for Sqlite {
    async fn manual_payments(
        &self,
        merchant: &MerchantId,
        done: bool,
        after: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<ManualPayment>, StoreError> {
        let wanted = if done { "taken = keyed AND keyed_at IS NOT NULL" } else { "taken != keyed" };
        // All alternatives are ours: nothing that was sent is in the statement.
        let order = ORDER.trim_matches(['(', ')']);
        let sql = format!(
            "SELECT * FROM ({SUMS} WHERE p.merchant = ?1 AND (?2 IS NULL OR {ORDER} > (SELECT {order} FROM payment p WHERE p.id = ?2)))
             p WHERE {wanted} ORDER BY {order} LIMIT ?3"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(merchant.as_str())
            .bind(after.map(|payment| payment.to_string()))
            .bind(limit)
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(manual_of)
            .collect()
    }

    async fn mark_keyed(
        &self,
        now_ms: i64,
        payment: PaymentId,
        shown: Money,
        entry: &Entry<'_>,
    ) -> Result<Marked, StoreError> {
        let mut tx = self.begin().await?;
        let sql = format!("{SUMS} WHERE p.id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(payment.to_string()).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(Marked::NoPayment) };
        let ManualPayment { taken, keyed, .. } = manual_of(&row)?;
        if shown != taken && shown != (Money { minor: 0, ..taken }) {
            return Ok(Marked::Changed(taken));
        }
        if shown != keyed {
            sqlx::query("INSERT INTO keyed (payment, minor, who, at) VALUES (?, ?, ?, ?)")
                .bind(payment.to_string())
                .bind(shown.minor - keyed.minor)
                .bind(&entry.who)
                .bind(now_ms)
                .execute(&mut *tx)
                .await?;
            audit::insert(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(Marked::Done)
    }
}

fn manual_of(row: &SqliteRow) -> Result<ManualPayment, StoreError> {
    let currency: Currency =
        row.try_get::<&str, _>("currency")?.parse().map_err(|_| StoreError::Damaged("currency"))?;
    let money = |minor| Money { minor, currency };
    let (taken, keyed): (i64, i64) = (row.try_get("taken")?, row.try_get("keyed")?);
    Ok(ManualPayment {
        payment: row.try_get("id")?,
        account: row.try_get("account")?,
        invoice: row.try_get("invoice")?,
        reference: row.try_get("reference")?,
        taken: money(taken),
        keyed: money(keyed),
        to_key: money(taken - keyed),
        keyed_by: row.try_get("keyed_by")?,
        keyed_at: row.try_get::<Option<i64>, _>("keyed_at")?.map(rfc3339),
        created_at: rfc3339(row.try_get("created_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{manual::PAGE_MAX, sqlite::tests::sqlite};

    const MANY: usize = 23;

    /// The list ended at its most without a word.
    #[tokio::test]
    async fn pages_have_every_payment_once_in_one_order() {
        let (store, _folder) = sqlite().await;
        for n in 0..MANY {
            let account = [Some("b"), None, Some("a"), Some("")][n % 4];
            let (invoice, reference) = ((n % 3 == 0).then_some("i"), (n % 5 == 0).then_some("r"));
            sqlx::query(
                "INSERT INTO payment (id, call, extension, merchant, minor, currency, state, created_at, updated_at, captured,
                                      account, invoice, reference)
                 VALUES (?, '-', '1', 'main', 100, 'GBP', 'approved', 1, 1, 100, ?, ?, ?)",
            )
            .bind(uuid::Uuid::from_u128(u128::try_from(n).unwrap()).to_string())
            .bind(account)
            .bind(invoice)
            .bind(reference)
            .execute(store.writer())
            .await
            .unwrap();
        }
        let merchant: MerchantId = "main".parse().unwrap();
        let whole = store.manual_payments(&merchant, false, None, PAGE_MAX).await.unwrap();
        assert_eq!(whole.len(), MANY);
        assert_eq!(whole.last().unwrap().account, None, "those without an account come last");
        for limit in [1, 2, 7, 22] {
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let page = store.manual_payments(&merchant, false, after, limit).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.payment.parse().unwrap());
                paged.extend(page);
            }
            assert_eq!(paged, whole, "pages of {limit}");
        }
    }
}
