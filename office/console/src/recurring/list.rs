//! Agreements as they are shown.

use super::jobs::AgreementId;
use super::times::TakenAt;
use crate::store::StoreError;
use recurring::Agreement;
use wire::{Brand, Money, PaymentId};

/// The most payments of the past that are shown.
pub(crate) const PAST_MAX: i64 = 500;

/// An agreement, as it stands.
#[derive(Clone, Debug)]
pub(crate) struct AgreementRow {
    pub(crate) id: AgreementId,
    pub(crate) merchant: String,
    pub(crate) brand: Brand,
    pub(crate) last4: String,
    pub(crate) account: Option<String>,
    pub(crate) contact: Option<String>,
    pub(crate) zone: String,
    pub(crate) time: jiff::civil::Time,
    pub(crate) reason: String,
    pub(crate) extension: String,
    /// The payment that it began with.
    pub(crate) payment: Option<PaymentId>,
    pub(crate) remind_days: i64,
    pub(crate) made_by: Option<String>,
    pub(crate) agreement: Agreement,
    /// The number of its links that are valid: see `links`.
    pub(crate) links: u32,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

impl AgreementRow {
    /// When its payments are taken.
    pub(crate) fn taken_at(&self) -> Result<TakenAt, StoreError> {
        TakenAt::new(self.time, &self.zone)
    }
}

/// Which agreements are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// None: everybody's.
    pub(crate) extension: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    /// Older than this one.
    pub(crate) before: Option<AgreementId>,
    pub(crate) limit: i64,
}

/// Money that was taken on the call that an agreement began with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstTaken {
    pub(crate) at_ms: i64,
    pub(crate) amount: Money,
    /// What of it was refunded.
    pub(crate) given_back: Money,
}

/// What has become of the money of one payment after it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TakenBack {
    /// What was refunded, or voided; zero: nothing.
    pub(crate) given_back: Money,
    /// The cardholder's bank has asked for it back. Whether it gets it is not known here.
    pub(crate) is_disputed: bool,
}

/// A text for a customer.
#[derive(Clone, Debug)]
pub(crate) struct MessageRow {
    pub(crate) id: i64,
    pub(crate) agreement: String,
    pub(crate) kind: String,
    pub(crate) contact: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) created_ms: i64,
    pub(crate) taken_ms: Option<i64>,
}
