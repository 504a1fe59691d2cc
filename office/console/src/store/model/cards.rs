//! Kept cards that go, and what two people say of those that their gateway does not delete.

use super::{State, money::Money};
use crate::{
    clock::rfc3339,
    store::finance::{CardDeletion, DeletionSaid, DeletionState, SaidOfDeletion},
};
use wire::{ByHand, Found, MerchantId, PaymentId, Token};

/// A kept card.
#[derive(Clone)]
pub(super) struct Card {
    pub(super) payment: PaymentId,
    pub(super) merchant: MerchantId,
    /// Since when it cannot be charged.
    pub(super) gone_at: Option<i64>,
    /// Since when it is said to be deleted.
    pub(super) forgotten_at: Option<i64>,
}

/// What people say of it.
#[derive(Clone)]
pub(super) struct Deletion {
    said_by: i64,
    said_at: i64,
    reason: Option<String>,
    /// By whom, and when.
    confirmed: Option<(i64, i64)>,
}

impl Card {
    pub(super) fn goes(&mut self, at: i64) -> PaymentId {
        self.gone_at = self.gone_at.or(Some(at));
        self.payment
    }

    pub(super) fn is_forgotten(&mut self, at: i64) -> PaymentId {
        self.forgotten_at = self.forgotten_at.or(Some(at));
        self.goes(at)
    }
}

impl Money {
    /// Does one person say so of a card of this payment, and nobody else yet?
    pub(super) fn is_half_deleted(&self, payment: PaymentId) -> bool {
        let mut said = self.deletions.iter().filter(|(_, said)| said.confirmed.is_none());
        said.any(|(token, _)| {
            self.cards.get(token).is_some_and(|card| card.payment == payment && card.forgotten_at.is_none())
        })
    }

    pub(super) fn deletion_said(&mut self, now_ms: i64, said: SaidOfDeletion<'_>) -> DeletionSaid {
        let Some(card) = self.cards.get(said.token) else { return DeletionSaid::NoCard };
        if card.gone_at.is_none() {
            return DeletionSaid::NotForgetting;
        }
        if card.forgotten_at.is_some() {
            return DeletionSaid::Gone;
        }
        let known = self.deletions.get(said.token);
        if said.found == Found::NotDone {
            if known.is_some_and(|known| known.confirmed.is_none()) {
                self.deletions.remove(said.token);
            }
            return DeletionSaid::Noted;
        }
        if let Some(known) = known.filter(|known| known.said_by != said.user) {
            return DeletionSaid::Second(known.said_by, card.merchant.clone());
        }
        let Some(reason) = said.reason else { return DeletionSaid::NoReason };
        let confirmed = known.and_then(|known| known.confirmed);
        let deletion = Deletion { said_by: said.user, said_at: now_ms, reason: Some(reason.to_owned()), confirmed };
        self.deletions.insert(said.token.clone(), deletion);
        DeletionSaid::Noted
    }
}

impl State {
    /// The card side has it from two people. Returns both, by e-mail.
    pub(super) fn deleted_by_hand(&mut self, at: i64, token: &Token, people: ByHand) -> (String, String) {
        let ByHand { said_by, confirmed_by } = people;
        let known = self.money.deletions.get(token).filter(|known| known.said_by == said_by);
        let (said_at, reason) = known.map_or((at, None), |known| (known.said_at, known.reason.clone()));
        let (first, second) = (self.email(said_by), self.email(confirmed_by));
        let note = format!("Deleted by hand, said by {first}. {}", reason.as_deref().unwrap_or_default());
        let deletion = Deletion { said_by, said_at, reason, confirmed: Some((confirmed_by, at)) };
        self.money.deletions.insert(token.clone(), deletion);
        let payment = self.money.cards.get(token).map(|card| card.payment);
        let waits = |of: PaymentId, alarm: &str| Some(of) == payment && alarm == "not_forgotten";
        for (of, alarm) in &mut self.money.alarms {
            if waits(*of, &alarm.alarm) && alarm.seen_at.is_none() {
                (alarm.seen_at, alarm.seen_by) = (Some(rfc3339(at)), Some(second.clone()));
                alarm.note = Some(note.trim().to_owned());
            }
        }
        (first, second)
    }

    pub(super) fn card_deletion(&self, payment: PaymentId) -> Option<CardDeletion> {
        let gone = |(_, card): &(&Token, &Card)| card.payment == payment && card.gone_at.is_some();
        let (token, card) = self.money.cards.iter().find(gone)?;
        let said = self.money.deletions.get(token);
        let confirmed = said.and_then(|said| said.confirmed);
        let (state, since) = match (confirmed, card.forgotten_at) {
            (Some((_, at)), _) => (DeletionState::ByHand, at),
            (None, Some(at)) => (DeletionState::Deleted, at),
            (None, None) => (DeletionState::Asked, card.gone_at?),
        };
        Some(CardDeletion {
            token: token.to_string(),
            state,
            since: rfc3339(since),
            said_by: said.map(|said| self.email(said.said_by)),
            said_at: said.map(|said| rfc3339(said.said_at)),
            reason: said.and_then(|said| said.reason.clone()),
            confirmed_by: confirmed.map(|(user, _)| self.email(user)),
        })
    }
}
