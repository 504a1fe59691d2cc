//! What people say of an attempt whose gateway cannot be asked, or not by the credential that sent it, and of a card that its
//! gateway does not delete: two of them, and only where it is so.

use super::{Charger, FollowUp, UnderWay, alarm_row, forgetting};
use crate::clock;
use crate::journal::{Ending, Noted, OpenAttempt};
use gateway::Approval;
use std::sync::PoisonError;
use std::time::Duration;
use wire::{Action, AttemptId, ByHand, Command, Found, MoneyAlarm, Origin, Outcome, PaymentId, Refusal};

/// How long a gateway that has an attempt may take to tell by webhook how it ended. At Adyen "received" is the only answer
/// to a capture, a cancellation or a refund, and its webhook mostly comes within minutes.
const WORD_MS_MAX: i64 = 6 * 60 * 60 * 1000;
/// The longest between two looks at whether it has; they begin with a second.
const LOOK_MAX: Duration = Duration::from_secs(30);

impl Charger {
    /// Does what a command wants that is about money and not about a call.
    pub(crate) async fn command(&self, command: &Command) -> Result<(), Refusal> {
        if let Some(wanted) = FollowUp::wanted(command) {
            return self.follow_up(&wanted).await;
        }
        let (payment, attempt, found, proposed_by) = match &command.action {
            Action::Settle { payment, attempt, found, proposed_by } => (*payment, *attempt, *found, *proposed_by),
            Action::ChargeStored(charge) => return self.charge_stored(command, charge).await,
            Action::DeleteStored { merchant, token } => return self.forget(command, merchant, token).await,
            Action::DeletedByHand { merchant, token, proposed_by } => {
                let by_hand = two_people(&command.origin, *proposed_by)?;
                return self.deleted_by_hand(merchant, token, by_hand).await;
            }
            _ => return Err(Refusal::WrongState),
        };
        two_people(&command.origin, proposed_by)?;
        self.settle_by_people(payment, attempt, found).await
    }

    /// Of an attempt whose gateway cannot be asked: its webhook settles it, else two people.
    pub(super) async fn wait_for_word(&self, attempt: &UnderWay) -> Outcome {
        let id = attempt.operation.attempt;
        let mut pause = Duration::from_secs(1);
        loop {
            match self.journal.find(id).await {
                Ok(Some(noted)) if !noted.is_open => return self.standing(id).await,
                Ok(Some(noted)) if self.may_still_tell(&noted.attempt) => {}
                Ok(_) => break,
                Err(error) => tracing::error!(%error, attempt = %id, "an open attempt could not be read; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LOOK_MAX);
        }
        self.tell_people(
            attempt,
            "this gateway cannot be asked what became of an attempt: two people must find out and say",
        );
        Outcome::Unknown
    }

    /// People are told that they must settle an attempt, and why: once for each start of the process.
    pub(super) fn tell_people(&self, attempt: &UnderWay, why: &str) {
        let (id, row) = (attempt.operation.attempt, alarm_row(attempt, MoneyAlarm::NeedsPeople));
        if self.people.lock().unwrap_or_else(PoisonError::into_inner).insert(id, row).is_none() {
            tracing::error!(gateway = %attempt.gateway, attempt = %id, "{why}");
            self.alarm(attempt, MoneyAlarm::NeedsPeople);
        }
    }

    /// An office that has nothing of a payment cannot note that it waits for people. When it was told all attempts again it is told
    /// that again as well, of those that still do.
    pub(crate) async fn tell_of_people_again(self) {
        let mut restores = self.journal.restores();
        while restores.changed().await.is_ok() {
            let told = self.people.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for (attempt, row) in told {
                match self.journal.find(attempt).await {
                    Ok(Some(noted)) if !noted.is_open => {
                        self.people.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt);
                    }
                    // Said once too often it changes nothing; a loss is counted and said by the journal.
                    Ok(_) | Err(_) => {
                        let _ = self.journal.audit(row);
                    }
                }
            }
        }
    }

    /// Has the gateway got it, and has it still time to tell by webhook how it ended?
    fn may_still_tell(&self, open: &OpenAttempt) -> bool {
        let has_webhooks = self.terminals.get(&open.gateway).is_some_and(crate::terminal::Terminal::has_webhooks);
        has_webhooks && open.is_named && clock::unix_ms().saturating_sub(open.sent_unix_ms) < WORD_MS_MAX
    }

    /// Can the gateway be asked, by the credential that sent it?
    fn can_be_asked(&self, open: &OpenAttempt) -> bool {
        let Some(terminal) = self.terminals.get(&open.gateway) else { return false };
        let is_same = !terminal.is_other(open.credential.as_deref());
        let possible = |inquiry: gateway::Inquiry| inquiry.possible(open.locator.as_deref());
        is_same && terminal.adapter().is_some_and(|adapter| possible(adapter.caps().inquiry))
    }

    async fn settle_by_people(&self, payment: PaymentId, attempt: AttemptId, found: Found) -> Result<(), Refusal> {
        let found_row = self.journal.find(attempt).await.map_err(|_| Refusal::JournalFault)?;
        let is_meant = |noted: &Noted| noted.is_open && noted.attempt.payment == payment;
        let noted = found_row.filter(is_meant).ok_or(Refusal::UnknownPayment)?;
        let open = noted.attempt;
        // What people say of a deletion is said of the card, and is not the gateway's word.
        if forgetting::deletes(&open) {
            return Err(Refusal::WrongState);
        }
        if open.is_awaited || self.can_be_asked(&open) || self.may_still_tell(&open) {
            return Err(Refusal::GatewayIsAsked);
        }
        let amount = open.operation.amount.unwrap_or(forgetting::NOTHING);
        let outcome = match found {
            Found::Done => Outcome::Approved {
                auth_code: String::new(),
                gateway_ref: open.locator.clone().unwrap_or_default(),
                amount,
                checks: wire::Checks::default(),
            },
            Found::NotDone => Outcome::Abandoned,
        };
        // The card went long ago, but for one that a vault had before this process.
        let under_way = UnderWay::from(open);
        let is_to_keep = found == Found::Done && under_way.keep.is_some();
        let kept = if is_to_keep { Some(self.keep(&under_way, &Approval::default(), None).await) } else { None };
        let keeping = kept.as_ref().map(super::keep::told);
        if !matches!(kept, Some(Ok(_))) {
            self.leave_no_card(&under_way).await;
        }
        let ending = Ending { kept, ..Ending::of(outcome.clone()) };
        if !self.journal.end(attempt, ending.clone()).await.map_err(|_| Refusal::JournalFault)? {
            // The gateway's own word has come meanwhile, and stands.
            if let Some(Ok(kept)) = &ending.kept {
                self.unkeep(&under_way, kept).await;
            }
            return Err(Refusal::UnknownPayment);
        }
        self.tell(&under_way, outcome, keeping).await;
        Ok(())
    }
}

/// Who says it, and who confirms it: nobody does both.
fn two_people(origin: &Origin, said_by: i64) -> Result<ByHand, Refusal> {
    match *origin {
        Origin::User { id } if id != said_by => Ok(ByHand { said_by, confirmed_by: id }),
        _ => Err(Refusal::TwoPeople),
    }
}
