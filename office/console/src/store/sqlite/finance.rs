//! What waits for people, in SQLite.

use super::{Sqlite, audit, deletions, payments};
use crate::{
    store::{
        StoreError,
        audit::Entry,
        finance::{CardDeletion, DeletionSaid, Finance, SaidOfDeletion, WAITING_MAX},
    },
    view::PaymentRow,
};
use async_trait::async_trait;
use wire::{AttemptId, PaymentId, Token};

#[async_trait]
impl Finance for Sqlite {
    async fn waiting_for_people(&self) -> Result<Vec<PaymentRow>, StoreError> {
        payments::waiting(&self.reader, WAITING_MAX).await
    }

    async fn review_accepted(&self, payment: PaymentId, entry: &Entry<'_>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE payment SET review = 'accepted' WHERE id = ? AND review = 'wanted'")
            .bind(payment.to_string())
            .execute(&mut *tx)
            .await?;
        audit::insert(&mut tx, entry).await?;
        Ok(tx.commit().await?)
    }

    async fn finding(
        &self,
        now_ms: i64,
        attempt: AttemptId,
        found: &str,
        user: i64,
        entry: &Entry<'_>,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = self.begin().await?;
        let id = attempt.to_string();
        let before: Option<(String, i64)> = sqlx::query_as("SELECT found, user_id FROM finding WHERE attempt = ?")
            .bind(&id)
            .fetch_optional(&mut *tx)
            .await?;
        let first = before.filter(|(before, by)| before == found && *by != user).map(|(_, by)| by);
        if first.is_none() {
            let put = "INSERT INTO finding (attempt, found, user_id, at) VALUES (?, ?, ?, ?) ON CONFLICT (attempt)
                       DO UPDATE SET found = excluded.found, user_id = excluded.user_id, at = excluded.at";
            sqlx::query(put).bind(&id).bind(found).bind(user).bind(now_ms).execute(&mut *tx).await?;
        }
        audit::insert(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(first)
    }

    async fn deletion_said(
        &self,
        now_ms: i64,
        said: SaidOfDeletion<'_>,
        entry: &Entry<'_>,
    ) -> Result<DeletionSaid, StoreError> {
        let mut tx = self.begin().await?;
        let answer = deletions::said(&mut tx, now_ms, said).await?;
        if matches!(answer, DeletionSaid::Noted | DeletionSaid::Second(_)) {
            audit::insert(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(answer)
    }

    async fn deletion_not_taken(&self, token: &Token) -> Result<(), StoreError> {
        let free =
            "UPDATE deletion_by_hand SET second_by = NULL, sent_at = NULL WHERE token = ? AND confirmed_at IS NULL";
        sqlx::query(free).bind(token.as_str()).execute(&self.writer).await?;
        Ok(())
    }

    async fn card_deletion(&self, payment: PaymentId) -> Result<Option<CardDeletion>, StoreError> {
        deletions::of_payment(&self.reader, payment).await
    }

    async fn payment_of_card(&self, token: &Token) -> Result<Option<PaymentId>, StoreError> {
        let query = sqlx::query_scalar("SELECT payment FROM kept_card WHERE token = ?").bind(token.as_str());
        let found: Option<String> = query.fetch_optional(&self.reader).await?;
        found.map(|id| id.parse().map_err(|_| StoreError::Damaged("payment id"))).transpose()
    }
}
