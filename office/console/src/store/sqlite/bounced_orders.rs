//! Orders of bounced calls in SQLite.

use super::Sqlite;
use crate::store::{
    StoreError,
    bounced_orders::{BouncedOrders, OrderRow},
};
use async_trait::async_trait;
use wire::{BouncedOrder, Currency, Extension, Money, PaymentId};

type Columns = (i64, String, i64, String, String, Option<String>, i64, i64, bool);

#[async_trait]
impl BouncedOrders for Sqlite {
    async fn bounced_order_insert(
        &self,
        now_ms: i64,
        user: i64,
        order: &BouncedOrder,
        expires_ms: i64,
        replaces: Option<PaymentId>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO bounced_order (payment, user_id, merchant, minor, currency, reference, back, created_at, expires_at, replaces)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(order.payment.to_string())
        .bind(user)
        .bind(order.merchant.as_str())
        .bind(order.amount.minor)
        .bind(order.amount.currency.code())
        .bind(order.reference.as_str())
        .bind(order.back.as_ref().map(Extension::as_str))
        .bind(now_ms)
        .bind(expires_ms)
        .bind(replaces.map(|before| before.to_string()))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn bounced_order(&self, payment: PaymentId) -> Result<Option<OrderRow>, StoreError> {
        let found: Option<Columns> = sqlx::query_as(
            "SELECT user_id, merchant, minor, currency, reference, back, created_at, expires_at, replaced_at IS NOT NULL
             OR EXISTS (SELECT 1 FROM bounced_order newer WHERE newer.replaces = bounced_order.payment)
             FROM bounced_order WHERE payment = ?",
        )
        .bind(payment.to_string())
        .fetch_optional(&self.reader)
        .await?;
        found.map(|columns| row(payment, columns)).transpose()
    }
}

fn row(payment: PaymentId, columns: Columns) -> Result<OrderRow, StoreError> {
    let (user, merchant, minor, currency, reference, back, created_ms, expires_ms, is_replaced) = columns;
    let currency: Currency = currency.parse().map_err(|_| StoreError::Damaged("currency"))?;
    Ok(OrderRow {
        payment,
        user,
        merchant: merchant.parse().map_err(|_| StoreError::Damaged("merchant"))?,
        amount: Money { minor, currency },
        reference: reference.parse().map_err(|_| StoreError::Damaged("reference"))?,
        back: back.map(|back| back.parse()).transpose().map_err(|_| StoreError::Damaged("extension"))?,
        created_ms,
        expires_ms,
        is_replaced,
    })
}
