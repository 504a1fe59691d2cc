//! Recurring payments as jobs in the office's database. Any number of schedulers may work on one database, and each may die at
//! any time.
//!
//! # Invariants
//! - A payment that is due becomes a row in the transaction that moves its agreement on: the row's key is the payment.
//! - A try has its id in the database before anybody is asked for money, and keeps it until its outcome is known. Whoever
//!   takes over from a dead scheduler asks again **with the same id**, and the cde does an attempt once.
//! - What is not known is asked again, never tried again under another id.
//! - A lease that has run out writes nothing: its fence is an old one.
//!
//! # Layout
//! - `jobs`: the rows. [`Scheduler`]: one turn after the other. [`Charge`]: the seam to whoever charges a stored card.

mod jobs;
#[cfg(test)]
mod tests;

use crate::store::{Store, StoreError};
use jiff::Timestamp;
use recurring::{Decline, Policy, StoredCredential, Verdict, after_decline};
use std::future::Future;
use std::path::Path;
use wire::{AttemptId, Brand, Currency, MerchantId, Money, Token};

pub use jobs::{AgreementId, Due, DueState, NewAgreement, Standing};

/// What is not known is asked again after this.
const ASK_AGAIN_MS: i64 = 60 * 1000;
/// What was proved not to have been done is tried again after this.
const TRY_AGAIN_MS: i64 = 5 * 60 * 1000;

/// A charge of a stored card, as it is asked of the cde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeOrder {
    /// The idempotency key: the same attempt is the same charge.
    pub attempt: AttemptId,
    /// For whom.
    pub merchant: MerchantId,
    /// The card.
    pub token: Token,
    /// How much.
    pub amount: Money,
    /// What the networks want to know of it.
    pub credential: StoredCredential,
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
        /// The network's advice (Mastercard's MAC).
        advice: Option<String>,
    },
    /// Proved not executed.
    NotDone,
    /// Not known yet, or the cde cannot be reached.
    Unknown,
}

/// Who charges stored cards. An attempt that is asked for again is not done again: its outcome is told, or `Unknown`.
pub trait Charge: Send + Sync {
    /// Asks for a charge, and what became of it.
    fn charge(&self, order: &ChargeOrder) -> impl Future<Output = Charged> + Send;
}

/// One of those who work on the jobs.
pub struct Scheduler<C> {
    store: Store,
    charge: C,
    policy: Policy,
    lease_ms: i64,
}

impl<C: Charge> Scheduler<C> {
    /// Over a database. A lease must be longer than a charge takes, or two ask for it at a time, which does no harm.
    pub async fn open(database: &Path, charge: C, policy: Policy, lease_ms: i64) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(database).await?, charge, policy, lease_ms })
    }

    /// The rows.
    pub fn jobs(&self) -> jobs::Jobs<'_> {
        jobs::Jobs::new(&self.store)
    }

    /// Hands out what is due, and takes one payment on. False when there was nothing to do.
    pub async fn turn(&self, now_ms: i64) -> Result<bool, StoreError> {
        let handed_out = self.jobs().hand_out(now_ms).await?;
        let Some(job) = self.jobs().lease(now_ms, self.lease_ms).await? else { return Ok(handed_out > 0) };
        let charged = self.charge.charge(&job.order).await;
        self.settle(now_ms, &job, &charged).await?;
        Ok(true)
    }

    async fn settle(&self, now_ms: i64, job: &jobs::Job, charged: &Charged) -> Result<(), StoreError> {
        let end = match charged {
            Charged::Approved => jobs::End::Paid,
            Charged::NotDone => jobs::End::Again { ready_at: now_ms.saturating_add(TRY_AGAIN_MS), outcome: "not_done" },
            Charged::Unknown => jobs::End::Ask { ready_at: now_ms.saturating_add(ASK_AGAIN_MS) },
            Charged::Declined { code, advice } => {
                let decline = Decline { code: code.as_deref(), advice: advice.as_deref() };
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
            Verdict::Again(moment) => jobs::End::Again { ready_at: moment.as_millisecond(), outcome: "declined" },
            Verdict::GiveUp => jobs::End::Failed { cancel: false },
            Verdict::Cancel => jobs::End::Failed { cancel: true },
        })
    }
}

/// A brand by the word that the database has for it.
fn brand_of(word: &str) -> Result<Brand, StoreError> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|_| StoreError::Damaged("brand"))
}

fn money_of(minor: i64, currency: &str) -> Result<Money, StoreError> {
    let currency: Currency = currency.parse().map_err(|_| StoreError::Damaged("currency"))?;
    Ok(Money { minor, currency })
}
