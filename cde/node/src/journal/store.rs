//! What a journal promises, whatever it is written in: the seam at which PostgreSQL will stand beside SQLite
//! (docs/decisions/0016-stores.md). Its words are attempts and records; a transaction is inside one call.
//!
//! What any implementation must keep is tested by `contract`, which also plays it against `model`.

use super::{Account, Ending, Journal, JournalError, NewAttempt, OpenAttempt, TakenOrder, Wanted};
use call::{CodeState, KeptOrder};
use wire::{AttemptId, AuditEvent, Outcome, PaymentId, Record, Refusal};

/// Why a store has not done something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What stands does not allow it. Nothing was written; said again it is refused again.
    #[error("{0:?}")]
    Conflict(Conflict),
    /// It cannot be reached, or has too much to do: whether it was written is not known until it can be asked.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is there is not what was written: people must look.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// What stands against an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Its payment has one that may have taken money, or this very one was begun before.
    SecondAttempt,
    /// Another payment of the same order has one that took money or may have.
    SameOrder,
    /// This very one, which follows another, was begun before.
    BegunBefore,
    /// What has become of the payment's money.
    Refused(Refusal),
}

impl From<JournalError> for StoreError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::SecondAttempt => Self::Conflict(Conflict::SecondAttempt),
            JournalError::SameOrder => Self::Conflict(Conflict::SameOrder),
            JournalError::BegunBefore => Self::Conflict(Conflict::BegunBefore),
            JournalError::Refused(why) => Self::Conflict(Conflict::Refused(why)),
            error @ (JournalError::Row(_) | JournalError::Unreadable(_)) => Self::Corrupt(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

/// Attempts before they are sent, and records until the office has them.
///
/// Every answer is given after what it speaks of is durable. Calls may come from many tasks at once; each is one
/// transaction.
pub trait JournalStore: Clone + Send + Sync + 'static {
    /// Puts an attempt down, with its record. Only after `Ok` may it be sent.
    ///
    /// # Errors
    /// [`Conflict`] where the payment's money does not allow it.
    fn begin(&self, attempt: NewAttempt) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes how an attempt ended, with its records; false when it had ended before, because the first word stands and only
    /// an unknown one is replaced. An approval that is to be given back is told as unknown until it is.
    fn end(&self, attempt: AttemptId, ending: Ending) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// An attempt that is proved not to have been executed goes to another gateway, by this credential; false when it is not
    /// in flight.
    fn move_to(
        &self,
        attempt: AttemptId,
        gateway: &str,
        credential: Option<&str>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// How an attempt stands: an approval that is given back, or is to be, is none.
    fn standing(&self, attempt: AttemptId) -> impl Future<Output = Result<Option<Outcome>, StoreError>> + Send;

    /// Attempts without a known outcome, oldest first.
    fn open_attempts(&self) -> impl Future<Output = Result<Vec<OpenAttempt>, StoreError>> + Send;

    /// Orders of bounced calls that must not be taken again, the oldest first: those whose outcome is not known, and those that
    /// were approved in the last hours and not given back.
    fn taken_orders(&self) -> impl Future<Output = Result<Vec<TakenOrder>, StoreError>> + Send;

    /// Keeps an order of a bounced call that was made ahead of it; what it replaces is not good any more.
    fn keep_order(&self, order: KeptOrder) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Its code is used, once; false when it was not good any more.
    fn use_code(&self, payment: PaymentId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Orders that were made ahead, those that end first first, and for some hours those that are over.
    fn kept_orders(&self) -> impl Future<Output = Result<Vec<(KeptOrder, CodeState)>, StoreError>> + Send;

    /// A payment's approved authorization, and what has become of its money.
    fn account(&self, payment: PaymentId) -> impl Future<Output = Result<Option<Account>, StoreError>> + Send;

    /// Approvals that are to be given back and have not been, oldest first.
    fn reversals_wanted(&self) -> impl Future<Output = Result<Vec<Wanted>, StoreError>> + Send;

    /// Writes the row that an event of a gateway has brought up, once; false when this event was heard before.
    fn audit_once(
        &self,
        gateway: &str,
        event: &str,
        row: AuditEvent,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Records after a number, in order and without gaps, at most a page.
    fn after(&self, number: u64) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// The office has every record up to this one; a number that was never given is ignored. How long they are kept from then on is
    /// the store's own.
    fn acknowledge(&self, number: u64) -> impl Future<Output = ()> + Send;
}

/// SQLite: one file, one writer, what waits is committed together.
impl JournalStore for Journal {
    async fn begin(&self, attempt: NewAttempt) -> Result<(), StoreError> {
        Ok(Self::begin(self, attempt).await?)
    }

    async fn end(&self, attempt: AttemptId, ending: Ending) -> Result<bool, StoreError> {
        Ok(Self::end(self, attempt, ending).await?)
    }

    async fn move_to(&self, attempt: AttemptId, gateway: &str, credential: Option<&str>) -> Result<bool, StoreError> {
        Ok(Self::move_to(self, attempt, gateway, credential).await?)
    }

    async fn standing(&self, attempt: AttemptId) -> Result<Option<Outcome>, StoreError> {
        Ok(Self::standing(self, attempt).await?)
    }

    async fn open_attempts(&self) -> Result<Vec<OpenAttempt>, StoreError> {
        let (mut all, mut after, newest) = (Vec::new(), Some(0), self.newest_attempt().await?);
        while let Some(place) = after {
            let (page, next) = Self::open_attempts(self, (place, newest)).await?;
            all.extend(page);
            after = next;
        }
        Ok(all)
    }

    async fn taken_orders(&self) -> Result<Vec<TakenOrder>, StoreError> {
        Ok(Self::taken_orders(self).await?)
    }

    async fn keep_order(&self, order: KeptOrder) -> Result<(), StoreError> {
        Ok(Self::keep_order(self, order).await?)
    }

    async fn use_code(&self, payment: PaymentId) -> Result<bool, StoreError> {
        Ok(Self::use_code(self, payment).await?)
    }

    async fn kept_orders(&self) -> Result<Vec<(KeptOrder, CodeState)>, StoreError> {
        Ok(Self::kept_orders(self).await?)
    }

    async fn account(&self, payment: PaymentId) -> Result<Option<Account>, StoreError> {
        Ok(Self::account(self, payment).await?)
    }

    async fn reversals_wanted(&self) -> Result<Vec<Wanted>, StoreError> {
        let (mut all, mut after, newest) = (Vec::new(), Some(0), self.newest_attempt().await?);
        while let Some(place) = after {
            let (page, next) = Self::reversals_wanted(self, (place, newest)).await?;
            all.extend(page);
            after = next;
        }
        Ok(all)
    }

    async fn audit_once(&self, gateway: &str, event: &str, row: AuditEvent) -> Result<bool, StoreError> {
        Ok(Self::audit_once(self, gateway, event, row).await?)
    }

    async fn after(&self, number: u64) -> Result<Vec<Record>, StoreError> {
        Ok(Self::after(self, number).await?)
    }

    async fn acknowledge(&self, number: u64) {
        Self::acknowledge(self, number).await;
    }
}
