//! What waits for people: approvals to look at, and attempts that two people must settle.

use super::{Store, StoreError, audit, payments};
use crate::view::PaymentRow;
use wire::{AttemptId, PaymentId};

/// The most payments shown at once.
const WAITING_MAX: i64 = 200;

impl Store {
    /// Payments that wait for people, oldest first.
    pub(crate) async fn waiting_for_people(&self) -> Result<Vec<PaymentRow>, StoreError> {
        payments::waiting(&self.reader, WAITING_MAX).await
    }

    /// Somebody has looked at an approval and keeps it. One that is not kept is rejected when its money is back: see
    /// [`Store::records`].
    pub(crate) async fn review_accepted(&self, payment: PaymentId, entry: &audit::Entry<'_>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE payment SET review = 'accepted' WHERE id = ? AND review = 'wanted'")
            .bind(payment.to_string())
            .execute(&mut *tx)
            .await?;
        audit::insert(&mut tx, entry).await?;
        Ok(tx.commit().await?)
    }

    /// Somebody has found out what became of an attempt. Returns who had found the same before, if that was somebody
    /// else: then it stands. A finding that differs takes the place of the one before, and waits for its own second.
    pub(crate) async fn finding(
        &self,
        now_ms: i64,
        attempt: AttemptId,
        found: &str,
        user: i64,
        entry: &audit::Entry<'_>,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = self.begin().await?;
        let id = attempt.to_string();
        let before: Option<(String, i64)> = sqlx::query_as("SELECT found, user_id FROM finding WHERE attempt = ?")
            .bind(&id)
            .fetch_optional(&mut *tx)
            .await?;
        let first = before.filter(|(before, by)| before == found && *by != user).map(|(_, by)| by);
        if first.is_none() {
            sqlx::query("INSERT OR REPLACE INTO finding (attempt, found, user_id, at) VALUES (?, ?, ?, ?)")
                .bind(&id)
                .bind(found)
                .bind(user)
                .bind(now_ms)
                .execute(&mut *tx)
                .await?;
        }
        audit::insert(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(first)
    }
}
