//! Alarms in SQLite.

use super::{Sqlite, audit};
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        alarms::{AlarmView, Alarms, SHOWN_MAX},
        audit::Entry,
        payments::word,
    },
};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use wire::{MoneyAlarm, PaymentId};

/// Id, which it is, when, and who has seen it when and what they found.
type Columns = (i64, String, i64, Option<i64>, Option<String>, Option<String>);

#[async_trait]
impl Alarms for Sqlite {
    async fn alarms(&self, payment: PaymentId) -> Result<Vec<AlarmView>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, alarm, at, seen_at, seen_by, note FROM money_alarm WHERE payment = ? ORDER BY id LIMIT ?",
        )
        .bind(payment.to_string())
        .bind(SHOWN_MAX)
        .fetch_all(&self.reader)
        .await?;
        let view = |(id, alarm, at, seen_at, seen_by, note): Columns| {
            let (at, seen_at) = (rfc3339(at), seen_at.map(rfc3339));
            AlarmView { id, alarm, at, seen_at, seen_by, note }
        };
        Ok(rows.into_iter().map(view).collect())
    }

    async fn alarm_seen(
        &self,
        payment: PaymentId,
        alarm: i64,
        note: Option<&str>,
        entry: &Entry<'_>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let found: Option<Option<i64>> =
            sqlx::query_scalar("SELECT seen_at FROM money_alarm WHERE id = ? AND payment = ?")
                .bind(alarm)
                .bind(payment.to_string())
                .fetch_optional(&mut *tx)
                .await?;
        if found == Some(None) {
            sqlx::query("UPDATE money_alarm SET seen_at = ?, seen_by = ?, note = ? WHERE id = ?")
                .bind(entry.at_ms)
                .bind(&entry.who)
                .bind(note)
                .bind(alarm)
                .execute(&mut *tx)
                .await?;
            audit::insert(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(found.is_some())
    }

    async fn alarm_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let counts = sqlx::query_as("SELECT alarm, count(*) FROM money_alarm WHERE seen_at IS NULL GROUP BY alarm");
        Ok(counts.fetch_all(&self.reader).await?)
    }
}

/// Keeps what the card side has raised. What has a mark of its own (`review`, `needs_people`) is none of these, nor is what
/// only tells that a rule has given money back.
pub(super) async fn raised(
    tx: &mut SqliteConnection,
    at: i64,
    payment: PaymentId,
    alarm: MoneyAlarm,
) -> Result<(), StoreError> {
    use MoneyAlarm as A;
    if matches!(alarm, A::Review | A::NeedsPeople | A::LateApprovalReversed | A::ChecksFailed) {
        return Ok(());
    }
    // A payment of an agreement is tried again and again, and what goes on is told after each start of the card side: while nobody has
    // looked, it says nothing new. And the last try to delete a card may end after people have said that it is gone.
    let is_once = matches!(alarm, A::OtherAccount | A::NotForgotten | A::NotReversed);
    let is_of_card = alarm == A::NotForgotten;
    sqlx::query(
        "INSERT INTO money_alarm (payment, alarm, at) SELECT ?1, ?2, ?3 WHERE NOT (?4 AND EXISTS \
         (SELECT 1 FROM money_alarm WHERE payment = ?1 AND alarm = ?2 AND seen_at IS NULL)) AND NOT (?5 AND coalesce( \
         (SELECT min(forgotten_at IS NOT NULL) FROM kept_card WHERE payment = ?1), 0))",
    )
    .bind(payment.to_string())
    .bind(word(&alarm)?)
    .bind(at)
    .bind(is_once)
    .bind(is_of_card)
    .execute(tx)
    .await?;
    Ok(())
}
