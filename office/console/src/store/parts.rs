//! What a new payment has to do with others: parts of one sum, and payments that look the same.

use super::{Store, StoreError, payments::NewPayment};
use wire::{Currency, Money, PaymentId};

/// The most parts of one sum.
pub(crate) const PARTS_MAX: usize = 20;

/// A sum that is paid in parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    /// What all parts together are to pay.
    pub(crate) due: Money,
    /// What is neither paid nor on its way. What is open counts as paid, so that no order of answers takes too much.
    pub(crate) remaining: Money,
    /// Is more paid or on its way than is due?
    pub(crate) is_exceeded: bool,
    /// The parts, the first one first.
    pub(crate) parts: Vec<PaymentId>,
}

/// Id, due, amount without surcharge, currency, state, approved, surcharge, refunded.
type PartColumns = (String, Option<i64>, i64, String, String, Option<i64>, i64, i64);

impl Store {
    /// The sum that begins with this payment; none if it is no first part of anybody's.
    pub(crate) async fn sum(&self, first: PaymentId, extension: Option<&str>) -> Result<Option<Sum>, StoreError> {
        let rows: Vec<PartColumns> = sqlx::query_as(
            "SELECT id, due, minor - surcharge, currency, state, approved, surcharge, refunded FROM payment
             WHERE (id = ?1 AND part_of IS NULL OR part_of = ?1) AND (?2 IS NULL OR extension = ?2) ORDER BY id",
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

    /// The newest payment of the same amount for the same account, invoice or reference since then, that was approved or
    /// may have been.
    pub(crate) async fn duplicate_of(
        &self,
        new: &NewPayment<'_>,
        since_ms: i64,
    ) -> Result<Option<PaymentId>, StoreError> {
        if new.account.or(new.invoice).or(new.reference).is_none() {
            return Ok(None);
        }
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM payment WHERE minor = ? AND created_at >= ? AND currency = ? AND merchant = ? AND id != ?
             AND account IS ? AND invoice IS ? AND reference IS ? AND state IN ('approved', 'authorizing', 'unknown')
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

/// How much of the sum a part has paid, or may pay yet.
fn counts(state: &str, asked: i64, approved: Option<i64>, refunded: i64) -> i64 {
    match state {
        "approved" => approved.unwrap_or(asked).saturating_sub(refunded),
        "waiting" | "authorizing" | "unknown" => asked,
        // Declined or not sent: another card may be keyed for it as long as its call is there, but nothing is taken now.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;
    use wire::{CallId, CaptureTime};

    const fn pounds(minor: i64) -> Money {
        Money { minor, currency: Currency::GBP }
    }

    async fn add(store: &Store, id: u128, minor: i64, part_of: Option<u128>, due: Option<i64>) -> PaymentId {
        let id = PaymentId(uuid::Uuid::from_u128(id));
        let new = NewPayment {
            id,
            call: CallId(uuid::Uuid::from_u128(1)),
            extension: &"1001".parse().unwrap(),
            merchant: &"main".parse().unwrap(),
            amount: pounds(minor),
            account: Some("A-1"),
            invoice: None,
            reference: None,
            capture: CaptureTime::Now,
            surcharge: 0,
            due,
            part_of: part_of.map(|id| PaymentId(uuid::Uuid::from_u128(id))),
            duplicate_of: None,
        };
        store.payment_insert(1_000, &new).await.unwrap();
        id
    }

    async fn set(store: &Store, id: PaymentId, state: &str, approved: Option<i64>) {
        sqlx::query("UPDATE payment SET state = ?, approved = ? WHERE id = ?")
            .bind(state)
            .bind(approved)
            .bind(id.to_string())
            .execute(&store.writer)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_is_open_counts_as_paid_and_what_was_approved_in_part_counts_so() {
        let (store, _folder) = store().await;
        let first = add(&store, 1, 60, None, Some(100)).await;
        let left = async |store: &Store| store.sum(first, Some("1001")).await.unwrap().unwrap().remaining;
        assert_eq!(left(&store).await, pounds(40));
        set(&store, first, "approved", Some(25)).await;
        assert_eq!(left(&store).await, pounds(75));
        let second = add(&store, 2, 75, Some(1), None).await;
        assert_eq!(left(&store).await, pounds(0));
        set(&store, second, "unknown", None).await;
        assert_eq!(left(&store).await, pounds(0));
        set(&store, second, "declined", None).await;
        assert_eq!(left(&store).await, pounds(75));
        assert_eq!(store.sum(first, None).await.unwrap().unwrap().parts, [first, second]);
        assert_eq!(store.sum(second, None).await.unwrap(), None, "it begins no sum");
        assert_eq!(store.sum(first, Some("1002")).await.unwrap(), None, "nor is it another's");
    }

    #[tokio::test]
    async fn a_payment_looks_like_another_only_if_that_one_may_have_taken_money() {
        let (store, _folder) = store().await;
        let first = add(&store, 1, 60, None, None).await;
        let extension = "1001".parse().unwrap();
        let merchant = "main".parse().unwrap();
        let same = |account, amount| NewPayment {
            id: PaymentId(uuid::Uuid::from_u128(9)),
            call: CallId(uuid::Uuid::from_u128(1)),
            extension: &extension,
            merchant: &merchant,
            amount,
            account,
            invoice: None,
            reference: None,
            capture: CaptureTime::Now,
            surcharge: 0,
            due: None,
            part_of: None,
            duplicate_of: None,
        };
        assert_eq!(store.duplicate_of(&same(Some("A-1"), pounds(60)), 0).await.unwrap(), None, "it only waits");
        set(&store, first, "unknown", None).await;
        assert_eq!(store.duplicate_of(&same(Some("A-1"), pounds(60)), 0).await.unwrap(), Some(first));
        assert_eq!(store.duplicate_of(&same(Some("A-1"), pounds(60)), 1_001).await.unwrap(), None, "too long ago");
        assert_eq!(store.duplicate_of(&same(Some("A-2"), pounds(60)), 0).await.unwrap(), None);
        assert_eq!(store.duplicate_of(&same(Some("A-1"), pounds(61)), 0).await.unwrap(), None);
        assert_eq!(store.duplicate_of(&same(None, pounds(60)), 0).await.unwrap(), None, "nothing to know it by");
    }
}
