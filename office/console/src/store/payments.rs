//! Payments and their attempts, as they are stored and listed.

use super::StoreError;
use crate::{
    recurring::offers::Offer,
    view::{
        PaymentRow,
        schema::{self, AttemptKind, CardView, Outcome},
    },
};
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;
use wire::{CallId, CaptureTime, Extension, MerchantId, Money, PaymentId};

/// The most attempts shown with one payment.
pub(crate) const ATTEMPTS_SHOWN_MAX: i64 = 1_000;
/// The most stored payments of live calls that are loaded at once.
pub(crate) const LIVE_MAX: i64 = 10_000;

/// A payment that was ordered by the desk.
#[derive(Clone, Debug)]
pub(crate) struct NewPayment<'a> {
    pub(crate) id: PaymentId,
    pub(crate) call: CallId,
    pub(crate) extension: &'a Extension,
    pub(crate) merchant: &'a MerchantId,
    pub(crate) amount: Money,
    pub(crate) account: Option<&'a str>,
    pub(crate) invoice: Option<&'a str>,
    pub(crate) reference: Option<&'a str>,
    pub(crate) capture: CaptureTime,
    /// Of the amount, in minor units.
    pub(crate) surcharge: i64,
    /// Of a first part: what all parts together are to pay.
    pub(crate) due: Option<i64>,
    /// Of another part: the first.
    pub(crate) part_of: Option<PaymentId>,
    pub(crate) duplicate_of: Option<PaymentId>,
    /// What is agreed on with it.
    pub(crate) offer: Option<&'a Offer>,
}

/// One attempt as it is shown with its payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// UUID; also the idempotency key at the gateway.
    pub(crate) id: String,
    pub(crate) number: i64,
    /// What it does.
    #[schema(value_type = AttemptKind)]
    pub(crate) kind: wire::AttemptKind,
    /// How much was asked; null of one whose beginning was never told.
    #[schema(value_type = Option<schema::Money>)]
    pub(crate) amount: Option<Money>,
    #[schema(value_type = Option<CardView>)]
    pub(crate) card: Option<wire::CardView>,
    /// Null while it is in flight.
    #[schema(value_type = Option<Outcome>)]
    pub(crate) outcome: Option<wire::Outcome>,
    /// RFC 3339.
    pub(crate) sent_at: String,
    /// RFC 3339.
    pub(crate) ended_at: Option<String>,
}

/// Payments, and the attempts to take them.
#[async_trait]
pub(crate) trait Payments: Send + Sync {
    /// Stores a payment before the cde is asked to take it, so that its records find it. Storing it again changes
    /// nothing. True: it was not there.
    async fn payment_insert(&self, now_ms: i64, new: &NewPayment<'_>) -> Result<bool, StoreError>;

    /// Removes a payment that the cde refused to start; never one that has reached a gateway.
    async fn payment_refused(&self, id: PaymentId) -> Result<(), StoreError>;

    /// The extension whose payment kept a card; none: no such card is known.
    async fn keeper_of(&self, token: &wire::Token) -> Result<Option<String>, StoreError>;

    /// One payment.
    async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, StoreError>;

    /// The stored payments of these calls, newest first, at most [`LIVE_MAX`].
    async fn payments_of_calls(&self, calls: &[CallId]) -> Result<Vec<PaymentRow>, StoreError>;

    /// The payments of an extension, newest first, older than `before`.
    async fn payments_page(
        &self,
        extension: &Extension,
        before: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<PaymentRow>, StoreError>;

    /// Everybody's payments, newest first, older than `before`.
    async fn payments_page_of_all(&self, before: Option<PaymentId>, limit: i64) -> Result<Vec<PaymentRow>, StoreError>;

    /// The attempts of a payment, in order, at most [`ATTEMPTS_SHOWN_MAX`].
    async fn attempts(&self, payment: PaymentId) -> Result<Vec<AttemptView>, StoreError>;

    /// How many payments stand in each state that is not an end, for the metrics.
    async fn payment_counts(&self) -> Result<Vec<(String, i64)>, StoreError>;

    /// The call is over: what never reached a gateway is canceled, which is not known of a payment with an attempt
    /// whose record has yet to come. Returns what has changed.
    async fn call_is_over(
        &self,
        now_ms: i64,
        call: CallId,
        unrecorded: Option<PaymentId>,
    ) -> Result<Vec<PaymentRow>, StoreError>;

    /// Every record has been seen and these calls are alive: of the payments of all other calls, what was never sent is
    /// canceled, and what was sent without an end is unknown. Returns what has changed.
    async fn caught_up(&self, now_ms: i64, alive: &[CallId]) -> Result<Vec<PaymentRow>, StoreError>;
}

/// The word that a unit variant is serialized as.
pub(crate) fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(StoreError::Damaged("word")),
    }
}

pub(crate) fn json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged(what))
}
