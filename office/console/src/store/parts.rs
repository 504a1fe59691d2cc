//! What a new payment has to do with others: parts of one sum, and payments that look the same.

use super::{StoreError, payments::NewPayment};
use async_trait::async_trait;
use wire::{Money, PaymentId};

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

/// What a new payment has to do with others.
#[async_trait]
pub(crate) trait Parts: Send + Sync {
    /// The sum that begins with this payment; none if it is no first part of anybody's.
    async fn sum(&self, first: PaymentId, extension: Option<&str>) -> Result<Option<Sum>, StoreError>;

    /// The newest payment of the same amount for the same account, invoice or reference since then, that was approved or
    /// may have been.
    async fn duplicate_of(&self, new: &NewPayment<'_>, since_ms: i64) -> Result<Option<PaymentId>, StoreError>;
}

/// How much of the sum a part has paid, or may pay yet, by the word of its state.
pub(super) fn counts(state: &str, asked: i64, approved: Option<i64>, refunded: i64) -> i64 {
    match state {
        "approved" => approved.unwrap_or(asked).saturating_sub(refunded),
        "waiting" | "authorizing" | "unknown" => asked,
        // Declined or not sent: another card may be keyed for it as long as its call is there, but nothing is taken now.
        _ => 0,
    }
}
