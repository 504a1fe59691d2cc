//! Orders of bounced calls that were made ahead of them.

use super::StoreError;
use async_trait::async_trait;
use wire::{BouncedOrder, Extension, MerchantId, Money, PaymentId, Reference};

/// One, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub(crate) payment: PaymentId,
    /// Whose.
    pub(crate) user: i64,
    pub(crate) merchant: MerchantId,
    pub(crate) amount: Money,
    pub(crate) reference: Reference,
    pub(crate) back: Option<Extension>,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: i64,
    pub(crate) is_replaced: bool,
}

/// Orders that the cde has taken. Their codes are not here.
#[async_trait]
pub(crate) trait BouncedOrders: Send + Sync {
    /// Stores an order, and which one it has taken the place of in the cde: whether that one is stored before it or after.
    async fn bounced_order_insert(
        &self,
        now_ms: i64,
        user: i64,
        order: &BouncedOrder,
        expires_ms: i64,
        replaces: Option<PaymentId>,
    ) -> Result<(), StoreError>;

    /// One order.
    async fn bounced_order(&self, payment: PaymentId) -> Result<Option<OrderRow>, StoreError>;
}
