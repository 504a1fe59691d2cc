//! The cde's records, as the office stores them: each once, with its effects and its number.

use super::StoreError;
use async_trait::async_trait;
use std::collections::BTreeSet;
use wire::{JournalId, PaymentId, Record};

/// The most records that are stored in one transaction.
pub(crate) const GROUP_MAX: usize = 256;

/// What storing a group of records has done.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The newest record of the group that is stored, now or before.
    pub(crate) newest: Option<u64>,
    /// How many of them were not stored before.
    pub(crate) fresh: u64,
    /// The payments that those say something of.
    pub(crate) payments: BTreeSet<PaymentId>,
    /// Why the record after `newest`, and what follows it, was not stored.
    pub(crate) trouble: Option<StoreError>,
}

/// The cde's journal, as far as it is stored here.
#[async_trait]
pub(crate) trait Journal: Send + Sync {
    /// The journal last seen and the newest of its records that is stored.
    async fn door(&self) -> Result<Option<(JournalId, u64)>, StoreError>;

    /// The cde's journal is this one. A new journal begins at nothing.
    async fn journal(&self, journal: JournalId) -> Result<(), StoreError>;

    /// Stores records of the journal that [`Journal::journal`] named, in one transaction, up to the first that cannot be.
    /// Each journal begins at 1. Records that are missing are not passed over before somebody has accepted it
    /// ([`Restores`](super::restores::Restores)).
    async fn records(&self, records: &[Record]) -> Result<Stored, StoreError>;
}
