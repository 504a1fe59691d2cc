//! What waits for people: approvals to look at, attempts that two people must settle, and cards that two people say they have
//! deleted at a gateway that does not.

use super::{StoreError, audit::Entry};
use crate::view::PaymentRow;
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{AttemptId, Found, MerchantId, PaymentId, Token};

/// The most payments shown at once.
pub(crate) const WAITING_MAX: i64 = 200;

/// How a kept card goes that is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeletionState {
    /// It is charged no more; its gateway has not said yet that it has deleted it.
    Asked,
    /// It is gone, as whoever had it says: the gateway, the vault, or both.
    Deleted,
    /// Two people say that they have deleted it at the gateway; the gateway has not said so.
    ByHand,
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CardDeletion {
    /// The card. It charges nothing.
    pub(crate) token: String,
    pub(crate) state: DeletionState,
    /// RFC 3339: since when it stands so.
    pub(crate) since: String,
    /// Who says that it was deleted by hand; null where nobody does. It counts when another one confirms it.
    pub(crate) said_by: Option<String>,
    /// RFC 3339.
    pub(crate) said_at: Option<String>,
    /// Where and how, in their words.
    pub(crate) reason: Option<String>,
    /// Who has confirmed it.
    pub(crate) confirmed_by: Option<String>,
}

/// What somebody has found out of a card that its gateway does not delete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SaidOfDeletion<'a> {
    pub(crate) token: &'a Token,
    /// Is it deleted there? If it is not, nobody's word of before counts any more.
    pub(crate) found: Found,
    /// Where and how; the first of two must say.
    pub(crate) reason: Option<&'a str>,
    /// Who says it.
    pub(crate) user: i64,
    /// Unix milliseconds. A second person's word that was sent to the card side after this is on its way: it may still come back as a
    /// record.
    pub(crate) on_its_way_after_ms: i64,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeletionSaid {
    /// No such card.
    NoCard,
    /// It is not being forgotten: it can be charged.
    NotForgetting,
    /// It is gone already.
    Gone,
    /// Nobody has said so before, and the reason is missing.
    NoReason,
    /// It is written down. Another one must say the same.
    Noted,
    /// Somebody else has said it before: the card side is to be told.
    Second(Second),
    /// Nothing can be taken back any more: the card side is being told what two people say.
    OnItsWay,
}

/// A second person's word. It is noted as on its way until the card side's record of it comes, or [`Finance::deletion_not_taken`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Second {
    /// Who has said it before.
    pub(crate) first: i64,
    /// Whose card it is.
    pub(crate) merchant: MerchantId,
    /// Was such a word on its way already?
    pub(crate) is_again: bool,
}

/// What waits for people.
#[async_trait]
pub(crate) trait Finance: Send + Sync {
    /// Payments that wait for people, oldest first, at most [`WAITING_MAX`].
    async fn waiting_for_people(&self) -> Result<Vec<PaymentRow>, StoreError>;

    /// Somebody has looked at an approval and keeps it. One that is not kept is rejected when its money is back: see
    /// [`super::journal::Journal::records`].
    async fn review_accepted(&self, payment: PaymentId, entry: &Entry<'_>) -> Result<(), StoreError>;

    /// Somebody has found out what became of an attempt. Returns who had found the same before, if that was somebody
    /// else: then it stands. A finding that differs takes the place of the one before, and waits for its own second.
    async fn finding(
        &self,
        now_ms: i64,
        attempt: AttemptId,
        found: &str,
        user: i64,
        entry: &Entry<'_>,
    ) -> Result<Option<i64>, StoreError>;

    /// Somebody has looked for a card at a gateway that does not delete it.
    async fn deletion_said(
        &self,
        now_ms: i64,
        said: SaidOfDeletion<'_>,
        entry: &Entry<'_>,
    ) -> Result<DeletionSaid, StoreError>;

    /// The card side has not taken a second person's word, and no other is on its way: what people say may be taken back again.
    async fn deletion_not_taken(&self, token: &Token) -> Result<(), StoreError>;

    /// How the card that was kept with a payment goes; none where there is none, or it may still be charged.
    async fn card_deletion(&self, payment: PaymentId) -> Result<Option<CardDeletion>, StoreError>;

    /// The payment by which a card was kept.
    async fn payment_of_card(&self, token: &Token) -> Result<Option<PaymentId>, StoreError>;
}
