//! What has become of the money of one authorization, and what may still be done with it.

use wire::{AttemptKind, Money, Refusal};

/// Where one capture, void or refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Sent, or unknown: it may have happened.
    Open,
    /// It has happened.
    Done,
    /// It has not and will not.
    Failed,
}

/// The money of one authorization: what was approved, and every capture, void and refund of it.
///
/// What is open counts against whoever comes after it, as if it had happened, and for nobody, as if it had not: so no
/// order of answers takes or gives back too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    approved: Money,
    later: bool,
    captured: i64,
    capturing: i64,
    refunded: i64,
    refunding: i64,
    is_closed: bool,
    is_closing: bool,
    is_voided: bool,
    is_voiding: bool,
}

impl Balance {
    /// Of an authorization that was approved for so much, captured now or later, and of which nothing has happened yet.
    pub fn new(approved: Money, later: bool) -> Self {
        Self {
            approved,
            later,
            captured: if later { 0 } else { approved.minor },
            capturing: 0,
            refunded: 0,
            refunding: 0,
            is_closed: !later,
            is_closing: false,
            is_voided: false,
            is_voiding: false,
        }
    }

    /// Takes note of what followed, in any order.
    pub fn note(&mut self, kind: AttemptKind, minor: i64, last: bool, standing: Standing) {
        match (kind, standing) {
            (AttemptKind::Capture, Standing::Open) => {
                self.capturing = self.capturing.saturating_add(minor);
                self.is_closing |= last;
            }
            (AttemptKind::Capture, Standing::Done) => {
                self.captured = self.captured.saturating_add(minor);
                self.is_closed |= last;
            }
            (AttemptKind::Refund, Standing::Open) => self.refunding = self.refunding.saturating_add(minor),
            (AttemptKind::Refund, Standing::Done) => self.refunded = self.refunded.saturating_add(minor),
            (AttemptKind::Void, Standing::Open) => self.is_voiding = true,
            (AttemptKind::Void, Standing::Done) => self.is_voided = true,
            _ => {}
        }
    }

    /// May this be sent now? `last` says of a capture that no other follows: it must not overtake one on its way, which the
    /// gateway would then refuse.
    pub fn check(&self, kind: AttemptKind, amount: Money, last: bool) -> Result<(), Refusal> {
        if self.is_voided {
            return Err(Refusal::Voided);
        }
        if self.is_voiding {
            return Err(Refusal::OutcomePending);
        }
        match kind {
            AttemptKind::Capture => self.check_capture(amount, last),
            AttemptKind::Refund => self.check_refund(amount),
            AttemptKind::Void => self.check_void(),
            _ => Err(Refusal::WrongState),
        }
    }

    /// What may still be captured.
    pub fn capturable(&self) -> Money {
        let closed = self.is_closed || self.is_closing || self.is_voided || self.is_voiding;
        let left = self.approved.minor.saturating_sub(self.captured).saturating_sub(self.capturing);
        Money { minor: if closed { 0 } else { left.max(0) }, ..self.approved }
    }

    /// Is a capture on its way, or unknown?
    pub fn is_capturing(&self) -> bool {
        self.capturing > 0
    }

    /// What may still be refunded.
    pub fn refundable(&self) -> Money {
        let left = self.captured.saturating_sub(self.refunded).saturating_sub(self.refunding);
        Money { minor: if self.is_voided || self.is_voiding { 0 } else { left.max(0) }, ..self.approved }
    }

    /// What was captured, and not given back by a void.
    pub fn captured(&self) -> Money {
        Money { minor: if self.is_voided { 0 } else { self.captured }, ..self.approved }
    }

    /// What was refunded.
    pub fn refunded(&self) -> Money {
        Money { minor: self.refunded, ..self.approved }
    }

    /// Was it given back whole?
    pub fn is_voided(&self) -> bool {
        self.is_voided
    }

    fn check_capture(&self, amount: Money, last: bool) -> Result<(), Refusal> {
        self.check_amount(amount)?;
        if self.is_closed {
            return Err(Refusal::NothingToCapture);
        }
        if self.is_closing || (last && self.is_capturing()) {
            return Err(Refusal::OutcomePending);
        }
        if amount.minor > self.capturable().minor {
            return Err(Refusal::AboveApproved);
        }
        Ok(())
    }

    fn check_refund(&self, amount: Money) -> Result<(), Refusal> {
        self.check_amount(amount)?;
        if amount.minor > self.refundable().minor {
            return Err(Refusal::AboveCaptured);
        }
        Ok(())
    }

    /// Whole or not at all: what was captured later, or given back in part, is refunded instead.
    fn check_void(&self) -> Result<(), Refusal> {
        let captured_later = self.later && self.captured > 0;
        if captured_later || self.refunded > 0 {
            return Err(Refusal::NotVoidable);
        }
        if self.capturing > 0 || self.refunding > 0 {
            return Err(Refusal::OutcomePending);
        }
        Ok(())
    }

    fn check_amount(&self, amount: Money) -> Result<(), Refusal> {
        let sound = amount.payable() && amount.currency == self.approved.currency;
        if sound { Ok(()) } else { Err(Refusal::BadAmount) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Currency;

    const fn pounds(minor: i64) -> Money {
        Money { minor, currency: Currency::GBP }
    }

    #[test]
    fn what_is_open_counts_against_who_comes_after_and_for_nobody() {
        let mut balance = Balance::new(pounds(100), true);
        balance.note(AttemptKind::Capture, 60, false, Standing::Open);
        assert_eq!(balance.check(AttemptKind::Capture, pounds(41), false), Err(Refusal::AboveApproved));
        assert_eq!(balance.check(AttemptKind::Capture, pounds(40), false), Ok(()));
        assert_eq!(balance.check(AttemptKind::Refund, pounds(1), false), Err(Refusal::AboveCaptured));
        assert_eq!(balance.check(AttemptKind::Void, pounds(100), false), Err(Refusal::OutcomePending));
        let mut after = balance;
        after.note(AttemptKind::Capture, 40, true, Standing::Failed);
        assert_eq!(after, balance, "what failed has changed nothing");
    }

    /// Found by `sim::till`: the bank closed the reservation and refused the capture that was overtaken.
    #[test]
    fn a_last_capture_does_not_overtake_another() {
        let mut balance = Balance::new(pounds(100), true);
        balance.note(AttemptKind::Capture, 60, false, Standing::Open);
        assert_eq!(balance.check(AttemptKind::Capture, pounds(40), true), Err(Refusal::OutcomePending));
        assert_eq!(balance.check(AttemptKind::Capture, pounds(40), false), Ok(()));
    }

    #[test]
    fn a_void_is_for_the_whole_and_ends_everything() {
        let mut balance = Balance::new(pounds(100), false);
        assert_eq!(balance.check(AttemptKind::Void, pounds(100), false), Ok(()));
        balance.note(AttemptKind::Void, 100, false, Standing::Open);
        assert_eq!(balance.check(AttemptKind::Refund, pounds(1), false), Err(Refusal::OutcomePending));
        balance.note(AttemptKind::Void, 100, false, Standing::Done);
        assert_eq!(balance.check(AttemptKind::Refund, pounds(1), false), Err(Refusal::Voided));
        assert_eq!((balance.refundable(), balance.captured()), (pounds(0), pounds(0)));
        let mut partly = Balance::new(pounds(100), false);
        partly.note(AttemptKind::Refund, 1, false, Standing::Done);
        assert_eq!(partly.check(AttemptKind::Void, pounds(100), false), Err(Refusal::NotVoidable));
    }

    #[test]
    fn after_the_last_capture_no_other_comes() {
        let mut balance = Balance::new(pounds(100), true);
        balance.note(AttemptKind::Capture, 60, true, Standing::Open);
        assert_eq!(balance.check(AttemptKind::Capture, pounds(40), false), Err(Refusal::OutcomePending));
        balance.note(AttemptKind::Capture, 60, true, Standing::Done);
        assert_eq!(balance.check(AttemptKind::Capture, pounds(40), false), Err(Refusal::NothingToCapture));
    }

    #[test]
    fn amounts_of_another_currency_and_of_nothing_are_refused() {
        let balance = Balance::new(pounds(100), false);
        let euro = Money { minor: 1, currency: Currency::EUR };
        for amount in [euro, pounds(0), pounds(-5)] {
            assert_eq!(balance.check(AttemptKind::Refund, amount, false), Err(Refusal::BadAmount));
        }
        assert_eq!(Balance::new(pounds(100), true).check(AttemptKind::Capture, euro, false), Err(Refusal::BadAmount));
    }
}
