//! Agreements on recurring payments, and the jobs that take them.

use super::{StoreError, audit::Entry};
use crate::recurring::{
    AgreementId, Due,
    figures::Figures,
    jobs::{End, Job},
    late::MissedRow,
    links::Made,
    list::{AgreementRow, FirstTaken, MessageRow, TakenBack, Wanted},
    waiting::{At, Deed},
    watch::Watch,
};
#[cfg(test)]
use crate::recurring::{NewAgreement, Standing};
use async_trait::async_trait;
use jiff::Timestamp;
#[cfg(test)]
use recurring::Agreement;
use recurring::AgreementError;
use std::collections::BTreeMap;
use wire::{Advice, AttemptId, Outcome, PaymentId};

/// Changes an agreement, or refuses to.
#[cfg(test)]
pub(crate) type Change<'a> = Box<dyn FnOnce(&mut Agreement) -> Result<(), AgreementError> + Send + 'a>;

/// What schedulers do, any number of them on one store, and what people change under them.
#[async_trait]
pub(crate) trait Jobs: Send + Sync {
    /// Makes payments of what is due, and moves their agreements on. What is more than so many days late, or too near to the
    /// next one, is missed. Returns how many.
    async fn hand_out(&self, now_ms: i64, late_days_max: u16) -> Result<usize, StoreError>;

    /// Gives up what waits and is too late. Returns how many.
    async fn miss(&self, now_ms: i64) -> Result<usize, StoreError>;

    /// Writes the reminders that are due. Returns how many agreements were looked at.
    async fn remind(&self, now_ms: i64) -> Result<usize, StoreError>;

    /// Takes a payment for a while: one that nobody holds, whichever process asks. The id of its try is written down when this
    /// returns. Where none may be begun, only what was asked for before is taken, to be asked after.
    async fn lease(&self, now_ms: i64, lease_ms: i64, may_begin: bool) -> Result<Option<Job>, StoreError>;

    /// Writes how a try ended. Who has lost the lease writes nothing: whoever has it asks for the same attempt.
    async fn settle(&self, now_ms: i64, job: &Job, end: End) -> Result<(), StoreError>;

    /// When this card was charged this amount for this merchant, as far back as networks count, and how often this payment
    /// was declined before.
    async fn history(&self, now_ms: i64, job: &Job) -> Result<(Vec<Timestamp>, usize), StoreError>;

    /// When an attempt was asked for, its agreement was last changed, or it became too late to ask for it again, whichever came
    /// last; none: a record tells of it, or nobody has asked for it.
    async fn untold_since(&self, now_ms: i64, attempt: AttemptId) -> Result<Option<i64>, StoreError>;

    /// How an attempt has ended by the records, and what the network advised; none: they do not tell.
    async fn told(&self, attempt: AttemptId) -> Result<Option<(Outcome, Option<Advice>)>, StoreError>;

    /// Changes an agreement, with its row of the audit trail and the customer's text. None: there is no such agreement. A
    /// refused change changes nothing.
    async fn act(
        &self,
        at: At,
        id: AgreementId,
        deed: &Deed,
        entry: &Entry<'_>,
    ) -> Result<Option<Result<(), AgreementError>>, StoreError>;

    /// Stores an agreement.
    #[cfg(test)]
    async fn add(&self, now_ms: i64, new: &NewAgreement) -> Result<(), StoreError>;

    /// An agreement and its payments; none: there is no such agreement.
    #[cfg(test)]
    async fn standing(&self, id: AgreementId) -> Result<Option<Standing>, StoreError>;

    /// Changes an agreement; none: there is no such agreement. A refused change changes nothing.
    #[cfg(test)]
    async fn change_by(
        &self,
        now_ms: i64,
        id: AgreementId,
        change: Change<'_>,
    ) -> Result<Option<Result<(), AgreementError>>, StoreError>;
}

/// What is shown of agreements, and what customers are told.
#[async_trait]
pub(crate) trait Recurring: Send + Sync {
    /// The jobs.
    fn jobs(&self) -> &dyn Jobs;

    /// One agreement.
    async fn agreement(&self, id: AgreementId) -> Result<Option<AgreementRow>, StoreError>;

    /// Agreements, newest first.
    async fn agreements(&self, wanted: &Wanted<'_>) -> Result<Vec<AgreementRow>, StoreError>;

    /// What was taken by a payment on a call; none: nothing.
    async fn first_taken(&self, payment: PaymentId) -> Result<Option<FirstTaken>, StoreError>;

    /// Those of an agreement's payments whose money did not stay, or may not, by the number of the payment.
    async fn taken_back(&self, id: AgreementId) -> Result<BTreeMap<u32, TakenBack>, StoreError>;

    /// What has become of an agreement's payments, oldest first, at most the newest ones.
    async fn due_payments(&self, id: AgreementId) -> Result<Vec<Due>, StoreError>;

    /// Texts for customers after this one that nobody has taken, oldest first.
    async fn messages(&self, after: i64, limit: i64) -> Result<Vec<MessageRow>, StoreError>;

    /// The texts that customers of one agreement were to be told, oldest first.
    async fn messages_of(&self, id: AgreementId) -> Result<Vec<MessageRow>, StoreError>;

    /// Whoever sends a text has it. False: there is no such text. Saying it again changes nothing.
    async fn message_taken(&self, now_ms: i64, id: i64) -> Result<bool, StoreError>;

    /// Figures of recurring payments.
    async fn recurring_figures(&self, now_ms: i64, lease_ms: i64) -> Result<Figures, StoreError>;

    /// What the schedulers last knew of the clock.
    async fn clock_watch(&self) -> Result<Watch, StoreError>;

    /// Writes it down, and in the audit trail what somebody did, or what the clock did.
    async fn save_clock(&self, watch: &Watch, entry: Option<&Entry<'_>>) -> Result<(), StoreError>;

    /// What people are to decide about, of one extension or (none) of all, oldest first.
    async fn missed(&self, extension: Option<&str>, limit: i64) -> Result<Vec<MissedRow>, StoreError>;

    /// What office.toml says of links, for whoever writes texts; their key is made the first time.
    async fn set_links(&self, public_url: Option<&str>, days: u16) -> Result<(), StoreError>;

    /// A new link to an agreement; none: there is no such agreement, or there are no links.
    async fn make_link(&self, now_ms: i64, id: AgreementId) -> Result<Option<Made>, StoreError>;

    /// The agreement that a link shows; none: it is not valid, or not any more.
    async fn linked(&self, now_ms: i64, text: &str) -> Result<Option<AgreementId>, StoreError>;
}

#[cfg(test)]
impl dyn Jobs + '_ {
    /// Changes an agreement; none: there is no such agreement. A refused change changes nothing.
    pub(crate) async fn change(
        &self,
        now_ms: i64,
        id: AgreementId,
        change: impl FnOnce(&mut Agreement) -> Result<(), AgreementError> + Send,
    ) -> Result<Option<Result<(), AgreementError>>, StoreError> {
        self.change_by(now_ms, id, Box::new(change)).await
    }
}
