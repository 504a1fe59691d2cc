//! Payments that could not be taken in their time. They are given up, and told to people: who looks after the agreement takes
//! them by hand, or leaves them out.

use super::jobs::{AgreementId, Due};
use super::messages::About;
use super::times::{TakenAt, Times};
use crate::store::StoreError;
use recurring::{Agreement, Fate, Issued};

/// Why one was given up, in the database and the API: its time was over before it was tried.
pub(crate) const LATE: &str = "late";
/// One that is taken by hand, or after a pause, is tried for so long.
pub(crate) const BY_HAND_MS: i64 = 24 * 60 * 60 * 1000;
/// As `recurring::agreement::late_at`: it may always be so late.
pub(crate) const LATE_MIN_MS: i64 = 60 * 60 * 1000;

/// A payment that was missed, and whose.
#[derive(Clone, Debug)]
pub(crate) struct MissedRow {
    pub(crate) agreement: AgreementId,
    pub(crate) account: Option<String>,
    pub(crate) extension: String,
    pub(crate) due: Due,
}

/// A payment that is handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandedOut {
    pub(crate) payment: Issued,
    pub(crate) times: Times,
    /// It is too late to begin it.
    pub(crate) is_missed: bool,
}

/// Hands out what is due of an agreement, which goes on. What is more than so many days late, or too near to the next one, is
/// missed.
pub(crate) fn hand_out(
    agreement: &mut Agreement,
    taken_at: &TakenAt,
    now_ms: i64,
    late_days_max: u16,
) -> Result<Vec<HandedOut>, StoreError> {
    let issued = agreement.issue(taken_at.due_until(now_ms)?);
    let one = |(place, payment): (usize, &Issued)| {
        let of_backlog = issued.iter().skip(place).find(|later| later.due > payment.due).map(|later| later.due);
        let next = of_backlog.or_else(|| agreement.day_after(payment.due));
        let times = taken_at.times(payment.due, next, late_days_max)?;
        let is_missed = payment.fate == Fate::Take && times.late_at < now_ms;
        Ok(HandedOut { payment: *payment, times, is_missed })
    };
    issued.iter().enumerate().map(one).collect()
}

/// What the customer is told of all that was missed, once; none: nothing was.
pub(crate) fn about_missed(handed_out: &[HandedOut]) -> Option<About> {
    let mut missed = handed_out.iter().filter(|one| one.is_missed).map(|one| &one.payment);
    let first = missed.next()?;
    Some(About { number: first.number.into(), amount: first.amount, due: Some(first.due), more: missed.count() })
}
