//! What a database that was restored from a backup has forgotten, and what of that nobody has any more.

use super::{StoreError, audit::Entry};
use async_trait::async_trait;
use wire::{AttemptKind, JournalId, MerchantId, Money, PaymentId};

/// The most that are shown.
pub(crate) const SHOWN_MAX: i64 = 100;

/// Records of the card side that are missing here and gone there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) id: i64,
    /// Their numbers.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Unix milliseconds: when the one before them was written, and the one after them; none: not known.
    pub(crate) after_ms: Option<i64>,
    pub(crate) before_ms: Option<i64>,
    pub(crate) noticed_ms: i64,
    pub(crate) accepted: Option<Accepted>,
}

/// Somebody has said that it goes on without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) at_ms: i64,
    pub(crate) who: String,
    pub(crate) reason: String,
}

impl Missing {
    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// A restore, as the card side has noticed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restore {
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    /// The newest record that was still here, and the newest that had been acknowledged.
    pub(crate) stored: u64,
    pub(crate) acknowledged: u64,
    /// Unix milliseconds: what was done from then on had been forgotten.
    pub(crate) since_ms: i64,
    /// How many records are gone.
    pub(crate) gone: u64,
    /// How many attempts were told again.
    pub(crate) told_again: u64,
}

/// Restores from backups.
#[async_trait]
pub(crate) trait Restores: Send + Sync {
    /// Records of this journal that would come next, are missing, and that nobody has accepted to go on without.
    async fn missing_next(&self, journal: JournalId) -> Result<Option<Missing>, StoreError>;

    /// All that were ever missing, newest first.
    async fn missing(&self) -> Result<Vec<Missing>, StoreError>;

    /// It goes on without these, with its row of the audit trail. None: there are no such; saying it again changes nothing.
    async fn accept_missing(&self, id: i64, reason: &str, entry: &Entry<'_>) -> Result<Option<Missing>, StoreError>;

    /// Restores, newest first.
    async fn restores(&self) -> Result<Vec<Restore>, StoreError>;

    /// Has the payment an attempt of this kind and amount (none: of any), which was not refused, from a time that a restore of the last hours had
    /// forgotten? The key of its request is forgotten for good: the same request may come again.
    async fn may_be_repeated(
        &self,
        now_ms: i64,
        payment: PaymentId,
        kind: AttemptKind,
        minor: Option<i64>,
    ) -> Result<bool, StoreError>;

    /// The oldest payment of this merchant that took just so much from a card on file, or may have, in such a time; of those that are
    /// not `besides`.
    async fn charge_repeated(
        &self,
        now_ms: i64,
        merchant: &MerchantId,
        amount: Money,
        besides: &[PaymentId],
    ) -> Result<Option<PaymentId>, StoreError>;
}
