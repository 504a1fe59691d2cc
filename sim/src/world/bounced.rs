//! Callers who are sent to pay alone: few orders, asked for again and again, by several at once, and what they go back with.

use super::World;
use super::lanes::Lane;
use crate::dice::Dice;
use crate::oracle::Promise;
use crate::sabotage::Sabotage;
use ::call::Bounce;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{Currency, Field, Outcome, PaymentId};

/// So many orders there are, for all lanes together: most are asked for more than once.
const ORDERS: u64 = 2;

/// What all of them may ask for.
pub(super) fn terms(lane: &Lane) -> Option<Bounce> {
    let merchant = "main".parse().ok()?;
    lane.pays_alone.then(|| Bounce {
        merchant,
        currency: Currency::GBP,
        minor_max: 50_000,
        fields: vec![Field::Pan, Field::Expiry, Field::Cvv],
        returns: Vec::new(),
        keys_cross_pbx: true,
        only_ordered: false,
    })
}

/// What a call says is to be paid.
pub(super) fn order(dice: &mut Dice) -> Vec<(String, Vec<u8>)> {
    let number = dice.below(ORDERS);
    let header = |name: &str, value: String| (format!("X-Tonewall-{name}"), value.into_bytes());
    vec![header("Amount", (1_000 + number).to_string()), header("Reference", format!("INV-{number}"))]
}

impl World {
    /// What the disk tells a new life of the cde.
    pub(super) fn recall_orders(&mut self) {
        if self.sabotaged(Sabotage::ForgetOrders) {
            return;
        }
        let (now, unix_ms) = (self.now, self.unix_ms());
        let Some(cde) = &mut self.cde else { return };
        for row in self.journal.attempts.values().filter(|row| row.may_have_taken_money()) {
            let Some(reference) = row.reference.clone() else { continue };
            let age = Duration::from_millis(u64::try_from(unix_ms.saturating_sub(row.sent_unix_ms)).unwrap_or(0));
            cde.board.recall_order(now, (row.merchant.clone(), reference, row.amount), row.payment, age);
        }
    }

    /// With what a caller goes back: the contact centre believes it.
    pub(super) fn judge_result(&mut self, bytes: &[u8]) {
        if !bytes.starts_with(b"INVITE ") {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let said = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let Some(result) = said("X-Tonewall-Result:") else { return };
        let payment = said("X-Tonewall-Payment:").and_then(|payment| payment.parse::<PaymentId>().ok());
        let Some(payment) = payment else {
            return self.oracle.broken(Promise::ResultIsTrue, format!("a caller goes back {result}, of no payment"));
        };
        let rows = || self.journal.attempts.values().filter(|row| row.payment == payment);
        let is_approved = rows().any(|row| matches!(row.outcome, Some(Outcome::Approved { .. })));
        let may_be = rows().any(|row| row.may_have_taken_money());
        let is_true = match result {
            "approved" => is_approved,
            "declined" | "canceled" => !may_be,
            "unknown" => rows().next().is_some(),
            _ => false,
        };
        let before = self.told.insert(payment, result.to_owned());
        if !is_true || before.is_some_and(|before| before != result) {
            self.oracle
                .broken(Promise::ResultIsTrue, format!("a caller goes back {result}, the journal says otherwise"));
        }
    }

    /// What was asked for again and again is paid once.
    pub(super) fn judge_orders(&mut self) {
        let mut paid: BTreeMap<(String, i64), u32> = BTreeMap::new();
        for row in self.journal.attempts.values() {
            if let (Some(reference), Some(Outcome::Approved { .. })) = (&row.reference, &row.outcome) {
                *paid.entry((reference.to_string(), row.amount.minor)).or_default() += 1;
            }
        }
        for ((reference, minor), count) in paid.into_iter().filter(|(_, count)| *count > 1) {
            let what = format!("order {reference} of {minor} was approved {count} times");
            self.oracle.broken(Promise::OrderPaidOnce, what);
        }
    }
}
