//! Having a gateway delete the token of a card that is to be forgotten, for as long as it takes.
//!
//! # Invariants
//! - From the journal's word that a card is being forgotten it can be charged no more; that it is forgotten is written in one
//!   transaction with the gateway's answer that says so, and not before.
//! - Nobody but this follows the attempts that delete. A deletion done twice harms nothing, so that one whose answer is lost is
//!   sent again under its own name; whatever else a gateway says, it is tried anew.
//! - That people have deleted it by hand is their word, two of them, and is never written as the gateway's.
//! - A card whose token is still there is tried for again after a restart, as long as its gateway is in the file; once somebody
//!   was told, once a day, by this process and those after it.

use super::follow_up::refusal;
use super::{Charger, UnderWay};
use crate::clock;
use crate::journal::{JournalError, NewAttempt, OpenAttempt, StoredCard};
use crate::terminal::{Login, Terminal};
use gateway::{Answer, Following, Kind, Request, SentBetween};
use std::time::Duration;
use wire::{AttemptId, ByHand, Currency, MerchantId, Money, MoneyAlarm, Origin, Outcome, Refusal, Token};

/// Before each further try until somebody is told, in seconds.
const PAUSES: [u32; 5] = [2, 5, 10, 30, 60];
/// After that, in seconds: each try that a gateway refuses is a row and two records, which stay.
const DAY: u32 = 24 * 60 * 60;
/// Tests do not wait that long.
const SECOND: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(1) };
/// How long the tries until then take, at least: so long a gateway is left to say it itself.
const ASKED: Duration = SECOND.saturating_mul(PAUSES[0] + PAUSES[1] + PAUSES[2] + PAUSES[3] + PAUSES[4]);
/// After so many tries somebody is told; they go on.
const TRIES_UNTIL_TOLD: usize = 6;
/// What is of no money, as a deletion is.
pub(super) const NOTHING: Money = Money { minor: 0, currency: Currency::GBP };

/// The name of an attempt, and who wanted it.
pub(super) type Named = (AttemptId, Origin);

impl Charger {
    /// Begins to have a card deleted that the journal says is being forgotten.
    pub(super) fn begin_deletion(&self, token: Token, first: Option<Named>) {
        let charger = self.clone();
        tokio::spawn(async move { charger.delete_at_gateway(&token, first).await });
    }

    /// Cards that the process before this one was having deleted.
    pub(super) async fn delete_left_over(&self) {
        let mut next = Some(0);
        while let Some(after) = next {
            next = match self.journal.being_forgotten(after).await {
                Ok((tokens, next)) => {
                    tokens.into_iter().for_each(|token| self.begin_deletion(token, None));
                    next
                }
                Err(error) => super::read_again(&error, after).await,
            };
        }
    }

    async fn delete_at_gateway(&self, token: &Token, mut first: Option<Named>) {
        let ((mut tries, left), mut is_told) = (self.deletions_before(token).await, false);
        // Of a gateway that cannot be asked people are told now.
        let left = if self.can_delete(token).await { left } else { 0 };
        tokio::time::sleep(SECOND.saturating_mul(left)).await;
        loop {
            let named = first.take().unwrap_or_else(|| (AttemptId(uuid::Uuid::now_v7()), Origin::System));
            match self.delete_once(token, named).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::error!(%error, %token, "a card's deletion could not be written; trying again"),
            }
            tries = tries.saturating_add(1);
            // After a restart as well: the process before this one may have ended before it could tell anybody.
            if tries >= TRIES_UNTIL_TOLD && !is_told {
                is_told = true;
                self.tell_not_forgotten(token).await;
            }
            let pause = PAUSES.get(tries.saturating_sub(1)).copied().unwrap_or(DAY);
            tokio::time::sleep(SECOND.saturating_mul(pause)).await;
        }
    }

    /// Two people have deleted a card in its gateway's own dashboard, after the gateway was asked in vain. Said again it is what it
    /// was: also where the gateway has said so meanwhile, whose word then stands. The office is told that once more, since it would not
    /// have asked if it knew.
    pub(super) async fn deleted_by_hand(
        &self,
        merchant: &MerchantId,
        token: &Token,
        by_hand: ByHand,
    ) -> Result<(), Refusal> {
        let card = self.journal.stored_card(token).await.map_err(|error| refusal(&error))?;
        let card = card.filter(|card| card.merchant == *merchant).ok_or(Refusal::UnknownToken)?;
        if !card.is_gone && !card.is_forgetting {
            return Err(Refusal::NotForgetting);
        }
        if !card.is_gone && self.may_still_delete(token, &card).await.map_err(|error| refusal(&error))? {
            return Err(Refusal::GatewayIsAsked);
        }
        if self.journal.forget_by_hand(token, merchant, by_hand).await.map_err(|error| refusal(&error))? {
            tracing::info!(%token, said_by = by_hand.said_by, confirmed_by = by_hand.confirmed_by,
                "two people say that they have deleted a kept card at its gateway by hand; the gateway is not asked any more");
        }
        Ok(())
    }

    /// Has its gateway not been asked for long enough to give it up? One that cannot be asked never says anything.
    async fn may_still_delete(&self, token: &Token, card: &StoredCard) -> Result<bool, JournalError> {
        let terminal = card.gateway.as_ref().and_then(|(gateway, _)| self.terminals.get(gateway));
        if terminal.and_then(Terminal::login).is_none() {
            return Ok(false);
        }
        let (_, (first_unix_ms, _)) = self.journal.deletions(token).await?;
        let asked_ms = first_unix_ms.map_or(0, |first_unix_ms| clock::unix_ms().saturating_sub(first_unix_ms));
        Ok(Duration::from_millis(asked_ms.try_into().unwrap_or(0)) < ASKED)
    }

    /// Is there somebody who can be asked to delete it?
    async fn can_delete(&self, token: &Token) -> bool {
        let card = self.journal.stored_card(token).await.ok().flatten();
        let gateway = card.and_then(|card| card.gateway);
        gateway.is_none_or(|(name, _)| self.terminals.get(&name).and_then(Terminal::login).is_some())
    }

    /// How often a gateway was asked by the journal, and how many seconds are left until it is asked again.
    async fn deletions_before(&self, token: &Token) -> (usize, u32) {
        let (tries, (_, last_unix_ms)) = self.journal.deletions(token).await.unwrap_or_default();
        if tries < TRIES_UNTIL_TOLD {
            return (tries, 0);
        }
        let gone_s = clock::unix_ms().saturating_sub(last_unix_ms.unwrap_or_default()).div_euclid(1000);
        let left_s = i64::from(DAY).saturating_sub(gone_s).clamp(0, i64::from(DAY));
        (tries, left_s.try_into().unwrap_or(DAY))
    }

    /// One try; true when nothing is left to be done.
    async fn delete_once(&self, token: &Token, named: Named) -> Result<bool, JournalError> {
        let Some(card) = self.journal.stored_card(token).await?.filter(|card| !card.is_gone) else { return Ok(true) };
        let Some((gateway, own)) = &card.gateway else {
            // It was the vault's alone, which has shredded it.
            return self.journal.forget(token, &card.merchant).await.map(|_| true);
        };
        let Some(terminal) = self.terminals.get(gateway) else { return Ok(false) };
        let Some(login) = terminal.login() else { return Ok(false) };
        let attempt = match self.journal.open_deletion(token).await? {
            Some(open) => open.into(),
            None => self.begin_delete(token, (&card, gateway), &login, named).await?,
        };
        let answer = delete(terminal, &login, &attempt, own).await;
        let outcome = self.end(&attempt, &answer).await;
        Ok(matches!(outcome, Outcome::Approved { .. }))
    }

    async fn begin_delete(
        &self,
        token: &Token,
        (card, gateway): (&StoredCard, &str),
        login: &Login,
        (attempt, origin): Named,
    ) -> Result<UnderWay, JournalError> {
        let row = NewAttempt {
            attempt,
            kind: Kind::DeleteStored,
            payment: card.payment,
            call: card.call,
            extension: card.extension.clone(),
            origin,
            merchant: card.merchant.clone(),
            deadline_ms: 0,
            gateway: gateway.to_owned(),
            amount: NOTHING,
            later: false,
            follows: None,
            last: false,
            card: None,
            reference: None,
            // There is no card in such a request, so nothing that a digest would stand for.
            digest: String::new(),
            locator: None,
            keep: None,
            token: Some(token.clone()),
            credential: Some(login.credential.clone()),
        };
        let under_way = UnderWay::of(&row, gateway::Operation::direct(Kind::DeleteStored, attempt, None));
        self.journal.begin(row).await?;
        Ok(under_way)
    }

    async fn tell_not_forgotten(&self, token: &Token) {
        tracing::error!(%token,
            "the gateway has not deleted a card that is to be forgotten, and is asked again once a day: it cannot be charged by us; delete it \
             at the gateway by hand if this goes on, and say so in the office (two people)");
        let Ok(Some(card)) = self.journal.stored_card(token).await else { return };
        let StoredCard { payment, call, extension, merchant, gateway, .. } = card;
        let operation = gateway::Operation::direct(Kind::DeleteStored, AttemptId(payment.0), None);
        let gateway = gateway.map(|(name, _)| name).unwrap_or_default();
        let of = UnderWay { operation, payment, call, extension, gateway, merchant, keep: None, credential: None };
        self.alarm(&of, MoneyAlarm::NotForgotten);
    }
}

/// Is it an attempt that only the deleting of a card follows?
pub(super) fn deletes(open: &OpenAttempt) -> bool {
    open.operation.kind == Kind::DeleteStored && open.token.is_some()
}

/// Has it deleted, and asks whether it is where the answer does not say so: a gateway may refuse what it has done before.
async fn delete(terminal: &Terminal, login: &Login, attempt: &UnderWay, own: &str) -> Answer {
    let (operation, merchant, adapter) = (attempt.operation, &attempt.merchant, login.adapter.as_ref());
    let asked = Request::DeleteStored { attempt: operation.attempt, token: own, merchant };
    let first_unix_ms = clock::unix_ms();
    let answer = terminal.run_in_turn(login, operation, adapter.build(&asked), adapter.plan(&asked)).await;
    if matches!(answer, Answer::Approved(_)) {
        return answer;
    }
    let sent = SentBetween { first_unix_ms, last_unix_ms: clock::unix_ms() };
    let mut following = Following::new(operation, merchant.clone(), Some(own.to_owned()), sent);
    let Some(request) = following.ask(clock::unix_ms(), adapter) else { return answer };
    terminal.ask(login, &mut following, request).await.unwrap_or(answer)
}
