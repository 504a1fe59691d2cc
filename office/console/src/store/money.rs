//! Where a payment's money stands, told from all of its attempts.

use wire::{AttemptKind, Outcome, PaymentState};

/// One attempt, in the order in which they were sent.
pub(crate) struct Attempted {
    pub(crate) kind: AttemptKind,
    /// None while it is in flight.
    pub(crate) outcome: Option<Outcome>,
}

/// Where the money stands, in minor units.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: PaymentState,
    pub(crate) approved: Option<i64>,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
}

/// Money that moved wins, then what is open, then the newest. What follows an authorization changes its amounts, and the
/// state only when all of it is back.
pub(crate) fn standing(attempts: &[Attempted], later: bool) -> Standing {
    let takes = |attempt: &&Attempted| {
        // Where a card is only kept, that is the payment.
        matches!(attempt.kind, AttemptKind::Authorize | AttemptKind::ChargeStored | AttemptKind::Store)
    };
    let outcomes: Vec<_> = attempts.iter().filter(takes).map(|attempt| attempt.outcome.as_ref()).collect();
    let mut money = Standing { state: state_of(&outcomes), approved: None, captured: 0, refunded: 0 };
    let mut is_voided = false;
    for attempt in attempts {
        let Some(Outcome::Approved { amount, .. }) = &attempt.outcome else { continue };
        match attempt.kind {
            AttemptKind::Authorize | AttemptKind::ChargeStored => {
                money.approved = Some(amount.minor);
                money.captured = if later { 0 } else { amount.minor };
                is_voided = false;
            }
            AttemptKind::Capture => money.captured = money.captured.saturating_add(amount.minor),
            AttemptKind::Refund => money.refunded = money.refunded.saturating_add(amount.minor),
            AttemptKind::Void => (money.captured, is_voided) = (0, true),
            AttemptKind::Store | AttemptKind::DeleteStored => {}
        }
    }
    if money.state == PaymentState::Approved && is_voided {
        money.state = PaymentState::Voided;
    } else if money.state == PaymentState::Approved && money.refunded > 0 && money.refunded >= money.captured {
        money.state = PaymentState::Refunded;
    }
    money
}

fn state_of(outcomes: &[Option<&Outcome>]) -> PaymentState {
    if outcomes.iter().flatten().any(|outcome| matches!(outcome, Outcome::Approved { .. })) {
        return PaymentState::Approved;
    }
    if outcomes.iter().any(Option::is_none) {
        return PaymentState::Authorizing;
    }
    if outcomes.iter().flatten().any(|outcome| matches!(outcome, Outcome::Unknown)) {
        return PaymentState::Unknown;
    }
    match outcomes.last() {
        Some(Some(Outcome::Declined { .. })) => PaymentState::Declined,
        _ => PaymentState::NotSent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttemptKind as K;
    use wire::{Currency, Money};

    fn done(kind: K, minor: i64) -> Attempted {
        let (amount, checks) = (Money { minor, currency: Currency::GBP }, wire::Checks::default());
        let outcome = Outcome::Approved { auth_code: String::new(), gateway_ref: String::new(), amount, checks };
        Attempted { kind, outcome: Some(outcome) }
    }

    fn told(attempts: &[Attempted], later: bool) -> (PaymentState, i64, i64) {
        let Standing { state, captured, refunded, .. } = standing(attempts, later);
        (state, captured, refunded)
    }

    #[test]
    fn refunds_change_the_state_only_when_all_is_back() {
        let charge = || done(K::Authorize, 100);
        assert_eq!(told(&[charge()], false), (PaymentState::Approved, 100, 0));
        assert_eq!(told(&[charge(), done(K::Refund, 40)], false), (PaymentState::Approved, 100, 40));
        let all = [charge(), done(K::Refund, 40), done(K::Refund, 60)];
        assert_eq!(told(&all, false), (PaymentState::Refunded, 100, 100));
        let open = Attempted { kind: K::Refund, outcome: None };
        assert_eq!(told(&[charge(), open], false), (PaymentState::Approved, 100, 0), "what is open has not happened");
    }

    #[test]
    fn a_reservation_is_taken_by_captures_and_ends_by_a_void() {
        let reserved = || done(K::Authorize, 100);
        assert_eq!(told(&[reserved()], true), (PaymentState::Approved, 0, 0));
        assert_eq!(told(&[reserved(), done(K::Capture, 70)], true), (PaymentState::Approved, 70, 0));
        assert_eq!(told(&[reserved(), done(K::Void, 100)], true), (PaymentState::Voided, 0, 0));
        let again = [reserved(), done(K::Void, 100), done(K::Authorize, 80)];
        assert_eq!(told(&again, false), (PaymentState::Approved, 80, 0));
    }
}
