//! What people say of an attempt whose gateway cannot be asked: two of them, and only where it is so.

use super::{Charger, FollowUp, UnderWay};
use crate::journal::{Ending, Noted, OpenAttempt};
use wire::{Action, AttemptId, Command, Found, Origin, Outcome, PaymentId, Refusal};

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

    async fn settle_by_people(&self, payment: PaymentId, attempt: AttemptId, found: Found) -> Result<(), Refusal> {
        let found_row = self.journal.find(attempt).await.map_err(|_| Refusal::JournalFault)?;
        let is_meant = |noted: &Noted| noted.is_open && noted.attempt.payment == payment;
        let open = found_row.filter(is_meant).ok_or(Refusal::UnknownPayment)?.attempt;
        let terminal = self.terminals.get(&open.gateway);
        if terminal.is_some_and(|terminal| terminal.adapter.caps().inquiry.possible(open.locator.as_deref())) {
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
