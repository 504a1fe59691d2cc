//! What people must look at of a payment's money, until somebody says that they have.

use super::{StoreError, audit};
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;
use wire::PaymentId;

/// The most shown with one payment.
pub(crate) const SHOWN_MAX: i64 = 100;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AlarmView {
    pub(crate) id: i64,
    /// `late_approval`, `not_reversed`, `not_forgotten`, `other_account`, `not_moto`, `disputed`, `undone` or `ended_otherwise`.
    pub(crate) alarm: String,
    /// RFC 3339.
    pub(crate) at: String,
    /// RFC 3339; null until somebody has looked at it.
    pub(crate) seen_at: Option<String>,
    /// Who that was.
    pub(crate) seen_by: Option<String>,
    /// What they found.
    pub(crate) note: Option<String>,
}

/// What of a payment's money people must look at.
#[async_trait]
pub(crate) trait Alarms: Send + Sync {
    /// Those of a payment, the oldest first, at most [`SHOWN_MAX`].
    async fn alarms(&self, payment: PaymentId) -> Result<Vec<AlarmView>, StoreError>;

    /// Somebody has looked at it. False when there is no such one; the first to say so stays.
    async fn alarm_seen(
        &self,
        payment: PaymentId,
        alarm: i64,
        note: Option<&str>,
        entry: &audit::Entry<'_>,
    ) -> Result<bool, StoreError>;

    /// How many wait of each kind, for the metrics.
    async fn alarm_counts(&self) -> Result<Vec<(String, i64)>, StoreError>;
}
