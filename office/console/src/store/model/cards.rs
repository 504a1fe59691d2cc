//! Kept cards that go, and what two people say of those that their gateway does not delete.

use super::{State, money::Money};
use crate::{
    clock::rfc3339,
    store::finance::{CardDeletion, DeletionSaid, DeletionState, SaidOfDeletion, Second},
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
    /// Whose second word is on its way, and when it was sent.
    sent: Option<(i64, i64)>,
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

    /// Was a card kept with this payment, and is none there any more?
    pub(super) fn is_all_forgotten(&self, payment: PaymentId) -> bool {
        let mut cards = self.cards.values().filter(|card| card.payment == payment).peekable();
        cards.peek().is_some() && cards.all(|card| card.forgotten_at.is_some())
    }

    pub(super) fn deletion_said(&mut self, now_ms: i64, said: SaidOfDeletion<'_>) -> DeletionSaid {
        let Some(card) = self.cards.get(said.token) else { return DeletionSaid::NoCard };
        if card.gone_at.is_none() {
            return DeletionSaid::NotForgetting;
        }
        if card.forgotten_at.is_some() {
            return DeletionSaid::Gone;
        }
        let known = self.deletions.get_mut(said.token);
        let sent_at = known.as_ref().and_then(|known| known.sent).map(|(_, at)| at);
        let is_on_its_way = sent_at.is_some_and(|at| at > said.on_its_way_after_ms);
        if said.found == Found::NotDone {
            if is_on_its_way {
                return DeletionSaid::OnItsWay;
            }
            if known.is_some_and(|known| known.confirmed.is_none()) {
                self.deletions.remove(said.token);
            }
            return DeletionSaid::Noted;
        }
        let (sent, confirmed) = match known {
            Some(known) if known.said_by != said.user => {
                known.sent = Some((said.user, now_ms));
                let (first, merchant) = (known.said_by, card.merchant.clone());
                return DeletionSaid::Second(Second { first, merchant, is_again: is_on_its_way });
            }
            known => known.map_or((None, None), |known| (known.sent, known.confirmed)),
        };
        let Some(reason) = said.reason else { return DeletionSaid::NoReason };
        let reason = Some(reason.to_owned());
        let deletion = Deletion { said_by: said.user, said_at: now_ms, reason, sent, confirmed };
        self.deletions.insert(said.token.clone(), deletion);
        DeletionSaid::Noted
    }

    pub(super) fn deletion_not_taken(&mut self, token: &Token) {
        if let Some(known) = self.deletions.get_mut(token).filter(|known| known.confirmed.is_none()) {
            known.sent = None;
        }
    }
}

impl State {
    /// The last word on a card. Returns who says it and what they say; none where that was known.
    pub(super) fn is_gone(&mut self, at: i64, token: &Token, by_hand: Option<ByHand>) -> Option<(String, String)> {
        let known = self.money.deletions.get(token);
        let confirmed = known.and_then(|known| Some((known.said_by, known.confirmed?.0)));
        let said = by_hand.map(|people| (people.said_by, people.confirmed_by));
        let is_told = self.money.cards.get(token).is_some_and(|card| card.forgotten_at.is_some());
        let is_news = if said.is_some() { confirmed != said } else { !is_told || confirmed.is_some() };
        if let Some(people) = by_hand.filter(|_| is_news) {
            self.deleted_by_hand(at, token, people);
        }
        self.close_alarm(at, token, by_hand.is_some());
        let Some((first, second)) = said else { return is_news.then(|| ("system".to_owned(), "done".to_owned())) };
        let (first, second) = (self.email(first), self.email(second));
        let result = format!("deleted by hand, said by {first}, confirmed by {second}");
        is_news.then_some((second, result))
    }

    fn deleted_by_hand(&mut self, at: i64, token: &Token, ByHand { said_by, confirmed_by }: ByHand) {
        let known = self.money.deletions.get(token);
        let confirmed = Some((confirmed_by, known.map_or(at, |known| at.max(known.said_at))));
        let sent = known.and_then(|known| known.sent);
        let same = known.filter(|known| known.said_by == said_by);
        let (said_at, reason) = same.map_or((at, None), |known| (known.said_at, known.reason.clone()));
        let deletion = Deletion { said_by, said_at, reason, sent, confirmed };
        self.money.deletions.insert(token.clone(), deletion);
    }

    /// Where people have said something of the card, they have looked.
    fn close_alarm(&mut self, at: i64, token: &Token, is_by_hand: bool) {
        let Some(said) = self.money.deletions.get(token) else { return };
        let last = said.confirmed.or(said.sent).map_or(said.said_by, |(user, _)| user);
        let (first, last) = (self.email(said.said_by), self.email(last));
        let words = format!("Deleted by hand, said by {first}. {}", said.reason.as_deref().unwrap_or_default());
        let note = if is_by_hand { words.trim() } else { "Who had the card has deleted it." };
        let payment = self.money.cards.get(token).map(|card| card.payment);
        let waits = |of: PaymentId, alarm: &str| Some(of) == payment && alarm == "not_forgotten";
        for (of, alarm) in &mut self.money.alarms {
            if waits(*of, &alarm.alarm) && alarm.seen_at.is_none() {
                (alarm.seen_at, alarm.seen_by) = (Some(rfc3339(at)), Some(last.clone()));
                alarm.note = Some(note.to_owned());
            }
        }
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
