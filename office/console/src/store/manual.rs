//! Payments that people key into the customer's own system, and how much of each stands there already.

use super::{StoreError, audit::Entry};
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{MerchantId, Money, PaymentId};

/// The most payments of one page.
pub(crate) const PAGE_MAX: i64 = 5_000;

/// A payment to be keyed, or keyed already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ManualPayment {
    /// UUID.
    pub(crate) payment: String,
    pub(crate) account: Option<String>,
    pub(crate) invoice: Option<String>,
    pub(crate) reference: Option<String>,
    /// What was taken and not given back.
    #[schema(value_type = crate::view::schema::Money)]
    pub(crate) taken: Money,
    /// What of that stands in the customer's system.
    #[schema(value_type = crate::view::schema::Money)]
    pub(crate) keyed: Money,
    /// What is to be keyed: below zero where money was given back after it was keyed.
    #[schema(value_type = crate::view::schema::Money)]
    pub(crate) to_key: Money,
    /// Who keyed it last.
    pub(crate) keyed_by: Option<String>,
    /// RFC 3339.
    pub(crate) keyed_at: Option<String>,
    /// RFC 3339.
    pub(crate) created_at: String,
}

/// What became of a mark.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    Done,
    /// The payment is another amount by now.
    Changed(Money),
    NoPayment,
}

/// Payments that people key into the customer's own system.
#[async_trait]
pub(crate) trait Manual: Send + Sync {
    /// By account: those with something to key, or those that are keyed; the first of them, or those after a payment.
    async fn manual_payments(
        &self,
        merchant: &MerchantId,
        done: bool,
        after: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<ManualPayment>, StoreError>;

    /// The customer's system shows this much of the payment from now on: all that was taken, or nothing.
    async fn mark_keyed(
        &self,
        now_ms: i64,
        payment: PaymentId,
        shown: Money,
        entry: &Entry<'_>,
    ) -> Result<Marked, StoreError>;
}
