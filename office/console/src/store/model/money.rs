//! Payments, their attempts, and orders.

use super::{
    Model,
    cards::{Card, Deletion},
    conflict,
};
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        alarms::AlarmView,
        bounced_orders::{BouncedOrders, OrderRow},
        manual::ManualPayment,
        parts::{Parts, Sum},
        payments::{AttemptView, NewPayment, Payments, word},
    },
    view::PaymentRow,
};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    AttemptId, AttemptKind, BouncedOrder, CallId, CaptureTime, CardView, Extension, JournalId, Outcome, PaymentId,
    PaymentState as S, Token,
};

/// What was ordered and what the records made of it. What is told of others (attempts, alarms, cards) is not in `row`.
#[derive(Clone)]
pub(super) struct Ordered {
    pub(super) row: PaymentRow,
    pub(super) merchant: String,
}

#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) payment: PaymentId,
    pub(super) number: i64,
    pub(super) kind: AttemptKind,
    pub(super) minor: Option<i64>,
    pub(super) card: Option<CardView>,
    pub(super) outcome: Option<Outcome>,
    pub(super) sent_at: i64,
    pub(super) ended_at: Option<i64>,
}

impl Attempt {
    pub(super) fn takes(&self) -> bool {
        matches!(self.kind, AttemptKind::Authorize | AttemptKind::ChargeStored | AttemptKind::Store)
    }
}

#[derive(Clone, Default)]
pub(super) struct Money {
    pub(super) door: Option<(JournalId, u64)>,
    pub(super) payments: BTreeMap<PaymentId, Ordered>,
    pub(super) attempts: BTreeMap<AttemptId, Attempt>,
    /// Of which payment, and what is shown.
    pub(super) alarms: Vec<(PaymentId, AlarmView)>,
    pub(super) cards: BTreeMap<Token, Card>,
    /// What people say of cards that gateways do not delete.
    pub(super) deletions: BTreeMap<Token, Deletion>,
    pub(super) findings: BTreeMap<AttemptId, (String, i64)>,
    /// How much, by whom and when.
    pub(super) keyed: BTreeMap<PaymentId, Vec<(i64, String, i64)>>,
    orders: BTreeMap<PaymentId, OrderRow>,
    /// Orders whose place another has taken, also ones that are not here yet.
    replaced: BTreeSet<PaymentId>,
}

impl Money {
    /// In the order in which they were told.
    pub(super) fn attempts_of(&self, payment: PaymentId) -> Vec<(AttemptId, &Attempt)> {
        let mut all: Vec<_> = self.attempts.iter().filter(|(_, attempt)| attempt.payment == payment).collect();
        all.sort_by_key(|(_, attempt)| attempt.number);
        all.into_iter().map(|(id, attempt)| (*id, attempt)).collect()
    }

    /// False: it was there.
    pub(super) fn order(&mut self, now_ms: i64, new: &NewPayment<'_>) -> bool {
        let money = |minor| wire::Money { minor, ..new.amount };
        let row = PaymentRow {
            id: new.id,
            call: new.call,
            extension: new.extension.to_string(),
            amount: new.amount,
            account: new.account.map(str::to_owned),
            invoice: new.invoice.map(str::to_owned),
            reference: new.reference.map(str::to_owned),
            state: S::Waiting,
            attempts: 0,
            card: None,
            outcome: None,
            later: new.capture == CaptureTime::Later,
            approved: None,
            captured: money(0),
            refunded: money(0),
            review: None,
            needs_people: false,
            alarms: 0,
            surcharge: money(new.surcharge),
            due: new.due.map(money),
            part_of: new.part_of,
            duplicate_of: new.duplicate_of,
            kept: None,
            token: None,
            agreement: None,
            is_agreed: false,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        let is_new = !self.payments.contains_key(&new.id);
        self.payments.entry(new.id).or_insert(Ordered { row, merchant: new.merchant.to_string() });
        is_new
    }

    pub(super) fn unseen(&self, payment: PaymentId) -> usize {
        self.alarms.iter().filter(|(of, alarm)| *of == payment && alarm.seen_at.is_none()).count()
    }

    /// With what is told of others.
    fn shown(&self, Ordered { row, .. }: &Ordered) -> PaymentRow {
        let taking: Vec<_> =
            self.attempts_of(row.id).into_iter().map(|(_, one)| one).filter(|one| one.takes()).collect();
        let token = self.cards.iter().find(|(_, card)| card.payment == row.id && card.gone_at.is_none());
        PaymentRow {
            attempts: u8::try_from(taking.len()).unwrap(),
            card: taking.last().and_then(|attempt| attempt.card),
            outcome: taking.last().and_then(|attempt| attempt.outcome.clone()),
            alarms: i64::try_from(self.unseen(row.id)).unwrap(),
            token: token.map(|(token, _)| token.to_string()),
            ..row.clone()
        }
    }

    /// The newest first.
    pub(super) fn rows(&self, which: impl Fn(&PaymentRow) -> bool) -> Vec<PaymentRow> {
        let all = self.payments.values().rev();
        all.filter(|ordered| which(&ordered.row)).map(|ordered| self.shown(ordered)).collect()
    }

    /// Of all that is in such a state: another one, from now on. Returns what has changed.
    fn end(&mut self, now_ms: i64, end: impl Fn(&PaymentRow) -> Option<S>) -> Vec<PaymentRow> {
        let mut changed = BTreeSet::new();
        for Ordered { row, .. } in self.payments.values_mut() {
            let Some(state) = end(row) else { continue };
            (row.state, row.updated_ms) = (state, row.updated_ms.max(now_ms));
            changed.insert(row.id);
        }
        self.rows(|row| changed.contains(&row.id))
    }

    pub(super) fn manual(&self, Ordered { row, .. }: &Ordered) -> ManualPayment {
        let keyed = self.keyed.get(&row.id).map_or(&[][..], Vec::as_slice);
        let money = |minor| wire::Money { minor, ..row.amount };
        let (taken, sum) = (row.captured.minor - row.refunded.minor, keyed.iter().map(|one| one.0).sum::<i64>());
        ManualPayment {
            payment: row.id.to_string(),
            account: row.account.clone(),
            invoice: row.invoice.clone(),
            reference: row.reference.clone(),
            taken: money(taken),
            keyed: money(sum),
            to_key: money(taken - sum),
            keyed_by: keyed.last().map(|one| one.1.clone()),
            keyed_at: keyed.last().map(|one| rfc3339(one.2)),
            created_at: rfc3339(row.created_ms),
        }
    }
}

/// What a part has paid of its sum, or may pay yet.
fn paid(row: &PaymentRow) -> i64 {
    let asked = row.amount.minor - row.surcharge.minor;
    let approved = row.approved.map_or(asked, |approved| approved.minor - row.surcharge.minor);
    match row.state {
        S::Approved => approved - row.refunded.minor,
        S::Waiting | S::Authorizing | S::Unknown => asked,
        _ => 0,
    }
}

pub(super) fn first<T>(all: Vec<T>, limit: i64) -> Vec<T> {
    all.into_iter().take(usize::try_from(limit).unwrap()).collect()
}

#[async_trait]
impl Payments for Model {
    async fn payment_insert(&self, now_ms: i64, new: &NewPayment<'_>) -> Result<bool, StoreError> {
        Ok(self.state().money.order(now_ms, new))
    }

    async fn payment_refused(&self, id: PaymentId) -> Result<(), StoreError> {
        let money = &mut self.state().money;
        if money.attempts_of(id).is_empty() {
            money.payments.retain(|_, ordered| ordered.row.id != id || ordered.row.state != S::Waiting);
        }
        Ok(())
    }

    async fn keeper_of(&self, token: &Token) -> Result<Option<String>, StoreError> {
        let money = &self.state().money;
        let payment = money.cards.get(token).and_then(|card| money.payments.get(&card.payment));
        Ok(payment.map(|ordered| ordered.row.extension.clone()))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, StoreError> {
        Ok(self.state().money.rows(|row| row.id == id).pop())
    }

    async fn payments_of_calls(&self, calls: &[CallId]) -> Result<Vec<PaymentRow>, StoreError> {
        Ok(self.state().money.rows(|row| calls.contains(&row.call)))
    }

    async fn payments_page(
        &self,
        extension: &Extension,
        before: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<PaymentRow>, StoreError> {
        let is_on = |row: &PaymentRow| row.extension == extension.as_str() && before.is_none_or(|id| row.id < id);
        Ok(first(self.state().money.rows(is_on), limit))
    }

    async fn payments_page_of_all(&self, before: Option<PaymentId>, limit: i64) -> Result<Vec<PaymentRow>, StoreError> {
        Ok(first(self.state().money.rows(|row| before.is_none_or(|id| row.id < id)), limit))
    }

    async fn attempts(&self, payment: PaymentId) -> Result<Vec<AttemptView>, StoreError> {
        let money = &self.state().money;
        let stored = money.payments.get(&payment).map(|ordered| ordered.row.amount);
        let view = |(id, attempt): (AttemptId, &Attempt)| AttemptView {
            id: id.to_string(),
            number: attempt.number,
            kind: attempt.kind,
            amount: attempt.minor.zip(stored).map(|(minor, amount)| wire::Money { minor, ..amount }),
            card: attempt.card,
            outcome: attempt.outcome.clone(),
            sent_at: rfc3339(attempt.sent_at),
            ended_at: attempt.ended_at.map(rfc3339),
        };
        Ok(money.attempts_of(payment).into_iter().map(view).collect())
    }

    async fn payment_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let mut counts = BTreeMap::new();
        for row in self.state().money.rows(|row| matches!(row.state, S::Waiting | S::Authorizing | S::Unknown)) {
            *counts.entry(word(&row.state)?).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    async fn call_is_over(
        &self,
        now_ms: i64,
        call: CallId,
        unrecorded: Option<PaymentId>,
    ) -> Result<Vec<PaymentRow>, StoreError> {
        let is_over = |row: &PaymentRow| row.call == call && row.state == S::Waiting && Some(row.id) != unrecorded;
        Ok(self.state().money.end(now_ms, |row| is_over(row).then_some(S::Cancelled)))
    }

    async fn caught_up(&self, now_ms: i64, alive: &[CallId]) -> Result<Vec<PaymentRow>, StoreError> {
        let end = |row: &PaymentRow| match row.state {
            _ if alive.contains(&row.call) => None,
            S::Waiting => Some(S::Cancelled),
            S::Authorizing => Some(S::Unknown),
            _ => None,
        };
        Ok(self.state().money.end(now_ms, end))
    }
}

#[async_trait]
impl Parts for Model {
    async fn sum(&self, first: PaymentId, extension: Option<&str>) -> Result<Option<Sum>, StoreError> {
        let money = &self.state().money;
        let is_ours = |row: &&PaymentRow| extension.is_none_or(|extension| row.extension == extension);
        let rows = || money.payments.values().map(|ordered| &ordered.row).filter(is_ours);
        let Some(head) = rows().find(|row| row.id == first && row.part_of.is_none()) else { return Ok(None) };
        let parts: Vec<_> = std::iter::once(head).chain(rows().filter(|row| row.part_of == Some(first))).collect();
        let due = head.due.map_or(head.amount.minor - head.surcharge.minor, |due| due.minor);
        let taken: i64 = parts.iter().map(|row| paid(row)).sum();
        let amount = |minor| wire::Money { minor, ..head.amount };
        let parts = parts.iter().map(|row| row.id).collect();
        Ok(Some(Sum { due: amount(due), remaining: amount((due - taken).max(0)), is_exceeded: taken > due, parts }))
    }

    async fn duplicate_of(&self, new: &NewPayment<'_>, since_ms: i64) -> Result<Option<PaymentId>, StoreError> {
        if new.account.is_none() && new.invoice.is_none() && new.reference.is_none() {
            return Ok(None);
        }
        let is_same = |one: &&Ordered| {
            let row = &one.row;
            row.id != new.id
                && one.merchant == new.merchant.as_str()
                && row.amount == new.amount
                && row.created_ms >= since_ms
                && (row.account.as_deref(), row.invoice.as_deref()) == (new.account, new.invoice)
                && row.reference.as_deref() == new.reference
                && matches!(row.state, S::Approved | S::Authorizing | S::Unknown)
        };
        let money = &self.state().money;
        let newest = money.payments.values().filter(is_same).max_by_key(|one| one.row.created_ms);
        Ok(newest.map(|one| one.row.id))
    }
}

#[async_trait]
impl BouncedOrders for Model {
    async fn bounced_order_insert(
        &self,
        now_ms: i64,
        user: i64,
        order: &BouncedOrder,
        expires_ms: i64,
        replaces: Option<PaymentId>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.by_id(user).is_none() || state.money.orders.contains_key(&order.payment) {
            return conflict();
        }
        state.money.replaced.extend(replaces);
        let row = OrderRow {
            payment: order.payment,
            user,
            merchant: order.merchant.clone(),
            amount: order.amount,
            reference: order.reference.clone(),
            back: order.back.clone(),
            created_ms: now_ms,
            expires_ms,
            is_replaced: false,
        };
        state.money.orders.insert(order.payment, row);
        Ok(())
    }

    async fn bounced_order(&self, payment: PaymentId) -> Result<Option<OrderRow>, StoreError> {
        let money = &self.state().money;
        let is_replaced = money.replaced.contains(&payment);
        Ok(money.orders.get(&payment).map(|row| OrderRow { is_replaced, ..row.clone() }))
    }
}
