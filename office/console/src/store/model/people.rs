//! What people do about payments: look at alarms and approvals, find out what became of attempts, key what was taken.

use super::{
    Model, conflict,
    money::{Ordered, first},
};
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        alarms::{AlarmView, Alarms},
        audit::Entry,
        finance::{CardDeletion, DeletionSaid, Finance, SaidOfDeletion},
        manual::{Manual, ManualPayment, Marked},
    },
    view::PaymentRow,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use wire::{AttemptId, MerchantId, PaymentId, Token};

#[async_trait]
impl Finance for Model {
    async fn waiting_for_people(&self) -> Result<Vec<PaymentRow>, StoreError> {
        let money = &self.state().money;
        let waits = |row: &PaymentRow| {
            let is_marked = row.review.as_deref() == Some("wanted") || row.needs_people;
            is_marked || money.unseen(row.id) > 0 || money.is_half_deleted(row.id)
        };
        Ok(money.rows(waits).into_iter().rev().collect())
    }

    async fn review_accepted(&self, payment: PaymentId, entry: &Entry<'_>) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(Ordered { row, .. }) = state.money.payments.get_mut(&payment)
            && row.review.as_deref() == Some("wanted")
        {
            row.review = Some("accepted".to_owned());
        }
        state.note(entry);
        Ok(())
    }

    async fn finding(
        &self,
        _: i64,
        attempt: AttemptId,
        found: &str,
        user: i64,
        entry: &Entry<'_>,
    ) -> Result<Option<i64>, StoreError> {
        let mut state = self.state();
        let before = state.money.findings.get(&attempt).filter(|(before, by)| before == found && *by != user);
        let other = before.map(|(_, by)| *by);
        if other.is_none() {
            if state.by_id(user).is_none() {
                return conflict();
            }
            state.money.findings.insert(attempt, (found.to_owned(), user));
        }
        state.note(entry);
        Ok(other)
    }

    async fn deletion_said(
        &self,
        now_ms: i64,
        said: SaidOfDeletion<'_>,
        entry: &Entry<'_>,
    ) -> Result<DeletionSaid, StoreError> {
        let mut state = self.state();
        let answer = state.money.deletion_said(now_ms, said);
        if matches!(answer, DeletionSaid::Noted | DeletionSaid::Second(_)) {
            state.note(entry);
        }
        Ok(answer)
    }

    async fn deletion_not_taken(&self, token: &Token) -> Result<(), StoreError> {
        self.state().money.deletion_not_taken(token);
        Ok(())
    }

    async fn card_deletion(&self, payment: PaymentId) -> Result<Option<CardDeletion>, StoreError> {
        Ok(self.state().card_deletion(payment))
    }

    async fn payment_of_card(&self, token: &Token) -> Result<Option<PaymentId>, StoreError> {
        Ok(self.state().money.cards.get(token).map(|card| card.payment))
    }
}

#[async_trait]
impl Alarms for Model {
    async fn alarms(&self, payment: PaymentId) -> Result<Vec<AlarmView>, StoreError> {
        let money = &self.state().money;
        Ok(money.alarms.iter().filter(|(of, _)| *of == payment).map(|(_, alarm)| alarm.clone()).collect())
    }

    async fn alarm_seen(
        &self,
        payment: PaymentId,
        alarm: i64,
        note: Option<&str>,
        entry: &Entry<'_>,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let found = state.money.alarms.iter_mut().find(|(of, known)| *of == payment && known.id == alarm);
        let Some((_, found)) = found else { return Ok(false) };
        if found.seen_at.is_none() {
            found.seen_at = Some(rfc3339(entry.at_ms));
            (found.seen_by, found.note) = (Some(entry.who.clone()), note.map(str::to_owned));
            state.note(entry);
        }
        Ok(true)
    }

    async fn alarm_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let mut counts = BTreeMap::new();
        for (_, alarm) in self.state().money.alarms.iter().filter(|(_, alarm)| alarm.seen_at.is_none()) {
            *counts.entry(alarm.alarm.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }
}

#[async_trait]
impl Manual for Model {
    async fn manual_payments(
        &self,
        merchant: &MerchantId,
        done: bool,
        after: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<ManualPayment>, StoreError> {
        let money = &self.state().money;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let place = |row: &PaymentRow| {
            (row.account.is_none(), text(&row.account), text(&row.invoice), text(&row.reference), row.id)
        };
        // After one that is not there comes nothing.
        let is_after = |row: &PaymentRow| {
            after.is_none_or(|after| money.payments.get(&after).is_some_and(|after| place(row) > place(&after.row)))
        };
        let is_wanted = |one: &ManualPayment| match done {
            true => one.taken == one.keyed && one.keyed_at.is_some(),
            false => one.taken != one.keyed,
        };
        let mut all: Vec<&Ordered> =
            money.payments.values().filter(|one| one.merchant == merchant.as_str() && is_after(&one.row)).collect();
        all.sort_by_key(|one| place(&one.row));
        Ok(first(all.into_iter().map(|one| money.manual(one)).filter(is_wanted).collect(), limit))
    }

    async fn mark_keyed(
        &self,
        now_ms: i64,
        payment: PaymentId,
        shown: wire::Money,
        entry: &Entry<'_>,
    ) -> Result<Marked, StoreError> {
        let mut state = self.state();
        let Some(ordered) = state.money.payments.get(&payment) else { return Ok(Marked::NoPayment) };
        let ManualPayment { taken, keyed, .. } = state.money.manual(ordered);
        if shown != taken && (shown.minor, shown.currency) != (0, taken.currency) {
            return Ok(Marked::Changed(taken));
        }
        if shown != keyed {
            let more = (shown.minor - keyed.minor, entry.who.clone(), now_ms);
            state.money.keyed.entry(payment).or_default().push(more);
            state.note(entry);
        }
        Ok(Marked::Done)
    }
}
