//! Recurring payments as jobs in the office's database. Any number of schedulers may work on one database, and each may die at
//! any time.
//!
//! # Invariants
//! - A payment that is due becomes a row in the transaction that moves its agreement on: the row's key is the payment.
//! - A try has its id in the database before anybody is asked for money, and keeps it until its outcome is known. Whoever
//!   takes over from a dead scheduler asks again **with the same id**, and the cde does an attempt once.
//! - What is not known is asked again, never tried again under another id.
//! - A lease that has run out writes nothing: its fence is an old one.
//! - Of an agreement one payment is asked for at a time. What could not be taken in its time is taken at most so late that it
//!   keeps its distance to the next one; after that people decide.
//! - While the clock is in doubt nothing is begun.
//!
//! # Layout
//! - [`Scheduler`]: one turn after the other. [`Charge`]: the seam to whoever charges a stored card.
//! - `jobs`: what is due, and what follows from how a try ends. `times`: the moments of its days.
//! - `door`: charges through the card side. `run`: the schedulers of this process. `figures`: how they do.
//! - `late`: what was missed. `waiting`: changes, also of what is due and was not tried. `watch`: is the clock right?
//! - `offers`: what is agreed on with a payment, and how it becomes an agreement. `list`: what is shown of agreements.
//! - `messages`: what customers are told. `links`: each one's own calendar.
//!
//! Here it is decided. What is written down stands behind `Jobs` and the store's `Recurring`.

mod door;
pub(crate) mod figures;
pub(crate) mod jobs;
pub(crate) mod late;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod messages;
pub(crate) mod offers;
pub(crate) mod run;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod times;
pub(crate) mod waiting;
pub(crate) mod watch;

use crate::store::{self, OfficeStore, StoreError, recurring::Jobs};
use jiff::Timestamp;
use recurring::{Credential, Decline, Policy, Verdict, after_decline};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use wire::{Advice, AttemptId, Brand, Currency, Extension, MerchantId, Money, PaymentId, Token};

pub use jobs::{AgreementId, Due, DueState, NewAgreement, Standing};

/// How long it is waited before somebody is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// What became of an attempt that is not known, in milliseconds.
    pub ask_ms: i64,
    /// For what was proved not to have been done, in milliseconds; twice as long each time that it is proved again.
    pub try_ms: i64,
    /// How many days late a payment may be taken.
    pub late_days_max: u16,
}

/// The longest wait between tries of what is not done.
const TRY_MS_MAX: i64 = 6 * 60 * 60 * 1000;
/// Days that a payment may be late, where the merchant has not said.
pub(crate) const LATE_DAYS_DEFAULT: u16 = 7;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Default for Pauses {
    /// A minute, five, and a week.
    fn default() -> Self {
        Self { ask_ms: 60 * 1000, try_ms: 5 * 60 * 1000, late_days_max: LATE_DAYS_DEFAULT }
    }
}

impl Pauses {
    /// How long it is waited before the next try of what was proved not to be done, so many times before.
    fn try_again_ms(self, refused: u32) -> i64 {
        let doubled = 1_i64.checked_shl(refused.min(30)).unwrap_or(i64::MAX);
        self.try_ms.saturating_mul(doubled).min(TRY_MS_MAX.max(self.try_ms))
    }
}

/// A charge of a stored card, as it is asked of the cde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeOrder {
    /// The idempotency key: the same attempt is the same charge.
    pub attempt: AttemptId,
    /// The payment that it is a try of.
    pub payment: PaymentId,
    /// Whose desk shows it.
    pub extension: Extension,
    /// For whom.
    pub merchant: MerchantId,
    /// The card.
    pub token: Token,
    /// How much.
    pub amount: Money,
    /// What the networks want to know of it.
    pub credential: Credential,
    /// False: the agreement was canceled or paused meanwhile, it is too late, or the clock is in doubt. It is asked after, and
    /// not begun.
    pub may_begin: bool,
}

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charged {
    /// The money is taken.
    Approved,
    /// The bank said no; nothing was taken.
    Declined {
        /// The network's code.
        code: Option<String>,
        /// What the gateway makes of it.
        said: Option<Advice>,
    },
    /// Proved not executed.
    NotDone,
    /// The card is not kept any more: no try can be better than this one.
    NoCard,
    /// It did not reach the cde, or was not begun there, this time. Of an earlier time that says nothing.
    NotSent,
    /// Not known yet.
    Unknown,
}

/// Who charges stored cards. An attempt that is asked for again is not done again: its outcome is told, or `Unknown`.
pub trait Charge: Send + Sync {
    /// Asks for a charge, and what became of it.
    fn charge(&self, order: &ChargeOrder) -> impl Future<Output = Charged> + Send;
}

/// One of those who work on the jobs.
pub struct Scheduler<C> {
    store: Arc<dyn OfficeStore>,
    charge: C,
    policy: Policy,
    pauses: Pauses,
    lease_ms: i64,
}

impl<C: Charge> Scheduler<C> {
    /// Over a database. A lease must be longer than a charge takes, or two ask for it at a time, which does no harm.
    pub async fn open(database: &Path, charge: C, policy: Policy, lease_ms: i64) -> Result<Self, StoreError> {
        Ok(Self { store: store::open(database).await?, charge, policy, pauses: Pauses::default(), lease_ms })
    }

    /// What is written down.
    pub(crate) fn jobs(&self) -> &dyn Jobs {
        self.store.jobs()
    }

    /// Hands out what is due, reminds of what is to come, and takes one payment on. False when there was nothing to do.
    pub async fn turn(&self, now_ms: i64) -> Result<bool, StoreError> {
        let prepared = self.prepare(now_ms).await?;
        Ok(self.take_one(now_ms, true).await? || prepared)
    }

    /// Hands out what is due, gives up what is late and reminds of what is to come: nobody is asked for money. False when there
    /// was nothing to do.
    pub(crate) async fn prepare(&self, now_ms: i64) -> Result<bool, StoreError> {
        let handed_out = self.jobs().hand_out(now_ms, self.pauses.late_days_max).await?;
        let missed = self.jobs().miss(now_ms).await?;
        let reminded = self.jobs().remind(now_ms).await?;
        Ok(handed_out + missed + reminded > 0)
    }

    /// Takes one payment on; where none may be begun, one that was asked for before. False when none waits.
    pub(crate) async fn take_one(&self, now_ms: i64, may_begin: bool) -> Result<bool, StoreError> {
        let Some(job) = self.jobs().lease(now_ms, self.lease_ms, may_begin).await? else { return Ok(false) };
        let charged = match self.charge.charge(&job.order).await {
            // By a clock in doubt nothing is long ago, and nothing too late for another try.
            Charged::NotDone if !may_begin => Charged::Unknown,
            charged => charged,
        };
        self.settle(now_ms, &job, &charged).await?;
        Ok(true)
    }

    async fn settle(&self, now_ms: i64, job: &jobs::Job, charged: &Charged) -> Result<(), StoreError> {
        let end = match charged {
            Charged::Approved => jobs::End::Paid,
            Charged::NotSent if !job.is_fresh => jobs::End::Ask { ready_at: now_ms.saturating_add(self.pauses.ask_ms) },
            Charged::NotDone | Charged::NotSent => {
                let ready_at = now_ms.saturating_add(self.pauses.try_again_ms(job.refused));
                let is_late = job.late_at.is_some_and(|late_at| ready_at > late_at);
                if is_late { jobs::End::Missed } else { jobs::End::NotDone { ready_at } }
            }
            Charged::Unknown => jobs::End::Ask { ready_at: now_ms.saturating_add(self.pauses.ask_ms) },
            Charged::NoCard => jobs::End::Failed { cancel: false, trouble: "no_card" },
            Charged::Declined { code, said } => {
                let decline = Decline { code: code.as_deref(), advice: None, said: *said };
                self.declined(now_ms, job, decline).await?
            }
        };
        self.jobs().settle(now_ms, job, end).await
    }

    async fn declined(&self, now_ms: i64, job: &jobs::Job, decline: Decline<'_>) -> Result<jobs::End, StoreError> {
        let (earlier, declines) = self.jobs().history(now_ms, job).await?;
        let now = Timestamp::from_millisecond(now_ms).map_err(|_| StoreError::Damaged("time"))?;
        let verdict = after_decline(job.brand, decline, &earlier, declines + 1, &self.policy, now);
        Ok(match verdict {
            Verdict::Again(moment) => {
                let late_ms = i64::from(self.pauses.late_days_max.max(1)).saturating_mul(DAY_MS);
                let ready_at = moment.as_millisecond();
                jobs::End::Again { ready_at, late_at: ready_at.saturating_add(late_ms) }
            }
            Verdict::GiveUp => jobs::End::Failed { cancel: false, trouble: "declined" },
            Verdict::Cancel => jobs::End::Failed { cancel: true, trouble: "revoked" },
        })
    }
}

/// A brand by the word that the database has for it.
pub(crate) fn brand_of(word: &str) -> Result<Brand, StoreError> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|_| StoreError::Damaged("brand"))
}

pub(crate) fn money_of(minor: i64, currency: &str) -> Result<Money, StoreError> {
    let currency: Currency = currency.parse().map_err(|_| StoreError::Damaged("currency"))?;
    Ok(Money { minor, currency })
}
