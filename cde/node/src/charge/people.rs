//! What people say of an attempt whose gateway cannot be asked: two of them, and only where it is so.

use super::{Charger, FollowUp, UnderWay};
use crate::clock;
use crate::journal::{Ending, Noted, OpenAttempt};
use std::time::Duration;
use wire::{Action, AttemptId, Command, Found, MoneyAlarm, Origin, Outcome, PaymentId, Refusal};

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
        let Action::Settle { payment, attempt, found, proposed_by } = command.action else {
            return Err(Refusal::WrongState);
        };
        match command.origin {
            Origin::User { id } if id != proposed_by => self.settle_by_people(payment, attempt, found).await,
            _ => Err(Refusal::TwoPeople),
        }
    }

    /// Of an attempt whose gateway cannot be asked: its webhook settles it, else two people.
    pub(super) async fn wait_for_word(&self, attempt: &UnderWay) -> Outcome {
        let (id, gateway) = (attempt.operation.attempt, &attempt.gateway);
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
        tracing::error!(%gateway, attempt = %id,
            "this gateway cannot be asked what became of an attempt: two people must find out and say");
        self.alarm(attempt, MoneyAlarm::NeedsPeople);
        Outcome::Unknown
    }

    /// Has the gateway got it, and has it still time to tell by webhook how it ended?
    fn may_still_tell(&self, open: &OpenAttempt) -> bool {
        let has_webhooks = self.terminals.get(&open.gateway).is_some_and(|terminal| terminal.has_webhooks);
        has_webhooks && open.is_named && clock::unix_ms().saturating_sub(open.sent_unix_ms) < WORD_MS_MAX
    }

    async fn settle_by_people(&self, payment: PaymentId, attempt: AttemptId, found: Found) -> Result<(), Refusal> {
        let found_row = self.journal.find(attempt).await.map_err(|_| Refusal::JournalFault)?;
        let is_meant = |noted: &Noted| noted.is_open && noted.attempt.payment == payment;
        let open = found_row.filter(is_meant).ok_or(Refusal::UnknownPayment)?.attempt;
        let terminal = self.terminals.get(&open.gateway);
        if terminal.is_some_and(|terminal| terminal.adapter.caps().inquiry.possible(open.locator.as_deref())) {
            return Err(Refusal::GatewayIsAsked);
        }
        if self.may_still_tell(&open) {
            return Err(Refusal::GatewayIsAsked);
        }
        let amount = open.operation.amount.ok_or(Refusal::WrongState)?;
        let outcome = match found {
            Found::Done => Outcome::Approved {
                auth_code: String::new(),
                gateway_ref: open.locator.unwrap_or_default(),
                amount,
                checks: wire::Checks::default(),
            },
            Found::NotDone => Outcome::Abandoned,
        };
        self.journal.end(attempt, Ending::of(outcome.clone())).await.map_err(|_| Refusal::JournalFault)?;
        let OpenAttempt { operation, call, extension, gateway, merchant, .. } = open;
        self.tell(&UnderWay { operation, payment, call, extension, gateway, merchant }, outcome).await;
        Ok(())
    }
}
