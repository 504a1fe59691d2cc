//! What callers were sent to pay alone, so that the same is not taken twice.
//!
//! A contact centre that sends the same order again, by mistake or because it never heard the answer, must not have it charged again
//! while it may have been. What was sent before a restart is told by the journal, which also refuses a second attempt of an order
//! whatever is remembered here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::{BounceResult, MerchantId, Money, PaymentId, Reference};

/// How long an order is remembered that was approved, or may have been.
const KEPT: Duration = Duration::from_secs(12 * 3600);
/// Of more than these the oldest is forgotten.
const ORDERS_MAX: usize = 4096;

/// An order by what the contact centre calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    merchant: MerchantId,
    reference: Reference,
    amount: Money,
}

impl Wanted {
    pub(crate) fn new(merchant: &MerchantId, reference: &Reference, amount: Money) -> Self {
        Self { merchant: merchant.clone(), reference: reference.clone(), amount }
    }
}

struct Order {
    wanted: Wanted,
    payment: PaymentId,
    until: Instant,
}

/// The orders that are in flight, unknown or approved, the oldest first.
#[derive(Default)]
pub(crate) struct Orders {
    orders: VecDeque<Order>,
}

impl Orders {
    /// Whether it is being paid, or may have been.
    pub(crate) fn has(&mut self, now: Instant, wanted: &Wanted) -> bool {
        while self.orders.front().is_some_and(|oldest| oldest.until <= now) {
            self.orders.pop_front();
        }
        self.orders.iter().any(|order| order.wanted == *wanted)
    }

    /// From now on it is being paid.
    pub(crate) fn take(&mut self, now: Instant, wanted: Wanted, payment: PaymentId) {
        if self.orders.len() == ORDERS_MAX {
            self.orders.pop_front();
        }
        self.orders.push_back(Order { wanted, payment, until: now + KEPT });
    }

    /// It was sent so long ago, by a process before this one. One that is older than orders are remembered is still not known.
    pub(crate) fn recall(&mut self, now: Instant, wanted: Wanted, payment: PaymentId, age: Duration) {
        let left = KEPT.checked_sub(age).filter(|left| !left.is_zero()).unwrap_or(KEPT);
        if self.orders.len() == ORDERS_MAX {
            self.orders.pop_front();
        }
        let until = now + left;
        let at = self.orders.partition_point(|order| order.until <= until);
        self.orders.insert(at, Order { wanted, payment, until });
    }

    /// It may be taken again where nothing was paid, which is known.
    pub(crate) fn ends(&mut self, payment: PaymentId, result: BounceResult) {
        if matches!(result, BounceResult::Canceled | BounceResult::Declined) {
            self.orders.retain(|order| order.payment != payment);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "test code")]
mod tests {
    use super::*;
    use wire::Currency;

    fn wanted(reference: &str) -> Wanted {
        let amount = Money { minor: 4200, currency: Currency::GBP };
        Wanted::new(&"main".parse().unwrap(), &reference.parse().unwrap(), amount)
    }

    #[test]
    fn what_may_have_been_paid_is_known_for_hours_and_what_was_not_is_not() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        let payments = [1, 2, 3].map(PaymentId::from_random);
        for (payment, reference) in payments.into_iter().zip(["A", "B", "C"]) {
            assert!(!orders.has(now, &wanted(reference)));
            orders.take(now, wanted(reference), payment);
        }
        orders.ends(payments[0], BounceResult::Approved);
        orders.ends(payments[1], BounceResult::Unknown);
        orders.ends(payments[2], BounceResult::Declined);
        assert_eq!(["A", "B", "C"].map(|reference| orders.has(now, &wanted(reference))), [true, true, false]);
        assert!(!orders.has(now + KEPT, &wanted("A")));
    }

    #[test]
    fn what_was_sent_before_a_restart_is_known_for_the_rest_of_its_time() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        let hour = Duration::from_secs(3600);
        for (number, reference, age) in [(1, "A", 11), (2, "B", 1), (3, "C", 30), (4, "D", 0)] {
            orders.recall(now, wanted(reference), PaymentId::from_random(number), hour * age);
        }
        let mut known =
            |hours: u32| ["A", "B", "C", "D"].map(|reference| orders.has(now + hour * hours, &wanted(reference)));
        assert_eq!(known(0), [true; 4]);
        assert_eq!(known(1), [false, true, true, true]);
        assert_eq!(known(11), [false, false, true, true], "an old one that is still not known is not forgotten first");
    }

    #[test]
    fn they_are_bounded() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        for number in 0..=ORDERS_MAX {
            orders.take(now, wanted(&format!("R-{number}")), PaymentId::from_random(u128::try_from(number).unwrap()));
        }
        assert_eq!(orders.orders.len(), ORDERS_MAX);
        assert!(!orders.has(now, &wanted("R-0")) && orders.has(now, &wanted("R-1")));
    }
}
