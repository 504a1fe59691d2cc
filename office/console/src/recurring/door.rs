//! Charges of kept cards through the card side. Its records tell how they end, and they are in the database: whoever asks again
//! for an attempt reads there first.

use super::{Charge, ChargeOrder, Charged};
use crate::app::App;
use crate::clock::now_ms;
use crate::door::DoorError;
use crate::store::StoreError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::{
    Action, Advice, AttemptId, CallId, CaptureTime, Command, CommandId, CommandResult, DeclineClass, Origin, Outcome,
    PaymentState, Refusal, StoredCharge,
};

/// How long a scheduler waits for the outcome; what is not known by then is asked after later.
const OUTCOME_WAIT: Duration = Duration::from_secs(45);
/// No command waits at the door or in the cde for this long.
const BEGUN_WITHIN_MS: i64 = 60 * 60 * 1000;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The card side, as the seam wants it.
pub(super) struct ByDoor(pub(super) Arc<App>);

impl Charge for ByDoor {
    async fn charge(&self, order: &ChargeOrder) -> Charged {
        match self.known(order.attempt).await {
            Ok(Some(charged)) => return charged,
            Ok(None) => {}
            Err(error) => return unread(&error),
        }
        if !order.may_begin {
            return self.never_begun(order.attempt).await.unwrap_or_else(|error| unread(&error));
        }
        if let Some(charged) = self.ask(order).await {
            return charged;
        }
        self.wait(order.attempt).await
    }
}

impl ByDoor {
    /// What was asked for while its agreement stood is looked for in the records only. Long after that, with all records
    /// stored (or no scheduler would be here), an attempt that none of them names has never begun.
    async fn never_begun(&self, attempt: AttemptId) -> Result<Charged, StoreError> {
        let now = now_ms();
        let since = self.0.store.jobs().untold_since(now, attempt).await?;
        let is_long_ago = since.is_some_and(|since| now.saturating_sub(since) > BEGUN_WITHIN_MS);
        Ok(if is_long_ago { Charged::NotDone } else { Charged::Unknown })
    }

    /// Asks for the attempt, which the card side does once. None: it is in its journal.
    async fn ask(&self, order: &ChargeOrder) -> Option<Charged> {
        let charge = StoredCharge {
            payment: order.payment,
            extension: order.extension.clone(),
            merchant: order.merchant.clone(),
            token: order.token.clone(),
            amount: order.amount,
            capture: CaptureTime::Now,
            credential: order.credential.clone(),
        };
        let command = Command {
            id: CommandId(order.attempt.0),
            call: CallId(order.payment.0),
            origin: Origin::System,
            action: Action::ChargeStored(charge),
        };
        let counters = &self.0.counters;
        let (counter, charged) = match self.0.door.send(command).await {
            Ok((CommandResult::Refused { reason: Refusal::AlreadyApproved }, _)) => {
                tracing::warn!(payment = %order.payment, "the card side has taken a recurring payment before: this database is an older one");
                (&counters.commands_refused, Some(Charged::Approved))
            }
            Ok((CommandResult::Refused { reason: Refusal::OutcomePending }, _)) => (
                &counters.commands_refused,
                Some(self.taken_before(order).await.unwrap_or_else(|error| unread(&error))),
            ),
            Ok((CommandResult::Refused { reason }, _)) => (&counters.commands_refused, Some(refused(order, reason))),
            Ok(_) => (&counters.commands_done, None),
            Err(DoorError::Down | DoorError::Busy) => (&counters.commands_failed, Some(Charged::NotSent)),
            Err(DoorError::Timeout) => (&counters.commands_failed, Some(Charged::Unknown)),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        charged
    }

    /// Another attempt of the same payment may have taken its money: one that this database, restored from an older copy, has
    /// forgotten asking for. The records tell.
    async fn taken_before(&self, order: &ChargeOrder) -> Result<Charged, StoreError> {
        let payment = self.0.store.payment(order.payment).await?;
        let is_taken = payment.is_some_and(|payment| payment.state == PaymentState::Approved);
        tracing::warn!(payment = %order.payment, is_taken, "a recurring payment has another attempt already");
        Ok(if is_taken { Charged::Approved } else { Charged::Unknown })
    }

    /// Waits until a record tells how it ended; not longer than this process goes on.
    async fn wait(&self, attempt: AttemptId) -> Charged {
        let until = Instant::now() + OUTCOME_WAIT;
        while Instant::now() < until && !*self.0.stop.borrow() {
            match self.known(attempt).await {
                Ok(Some(charged)) => return charged,
                Ok(None) => sleep(LOOK_EVERY).await,
                Err(error) => return unread(&error),
            }
        }
        Charged::Unknown
    }

    /// How an attempt has ended, by the card side's records.
    async fn known(&self, attempt: AttemptId) -> Result<Option<Charged>, StoreError> {
        let told = self.0.store.jobs().told(attempt).await?;
        Ok(told.and_then(|(outcome, advice)| charged(outcome, advice)))
    }
}

fn unread(error: &StoreError) -> Charged {
    tracing::error!(%error, "how a recurring payment ended could not be read");
    Charged::Unknown
}

/// None: it is not known.
fn charged(outcome: Outcome, said: Option<Advice>) -> Option<Charged> {
    match outcome {
        Outcome::Approved { .. } => Some(Charged::Approved),
        Outcome::Declined { class, network_code } => {
            let said = said.or_else(|| if network_code.is_none() { advice_of(class) } else { None });
            Some(Charged::Declined { code: network_code, said })
        }
        Outcome::Rejected | Outcome::Abandoned => Some(Charged::NotDone),
        Outcome::Unknown => None,
    }
}

/// What a kind of decline means where nobody has passed a code on.
fn advice_of(class: DeclineClass) -> Option<Advice> {
    match class {
        DeclineClass::LostOrStolen | DeclineClass::NoSuchCard | DeclineClass::NotAllowed => Some(Advice::Never),
        DeclineClass::ExpiredCard | DeclineClass::WrongCvv | DeclineClass::WrongAddress => Some(Advice::FixData),
        _ => None,
    }
}

/// Only where the card side has proved that nothing was sent is there another try under another id.
fn refused(order: &ChargeOrder, reason: Refusal) -> Charged {
    let (attempt, payment) = (order.attempt, order.payment);
    tracing::warn!(%attempt, %payment, ?reason, "the card side refuses a recurring payment");
    match reason {
        Refusal::UnknownToken => Charged::NoCard,
        Refusal::UnknownMerchant | Refusal::Unsupported | Refusal::BadAmount | Refusal::VaultFault => Charged::NotDone,
        Refusal::Busy | Refusal::JournalFault => Charged::NotSent,
        _ => Charged::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proved_not_done_gets_another_id() {
        assert_eq!(charged(Outcome::Unknown, None), None);
        assert_eq!(charged(Outcome::Rejected, None), Some(Charged::NotDone));
        assert_eq!(charged(Outcome::Abandoned, None), Some(Charged::NotDone));
        let declined = |class, code: Option<&str>, said| {
            charged(Outcome::Declined { class, network_code: code.map(str::to_owned) }, said)
        };
        let told = |code: Option<&str>, said| Some(Charged::Declined { code: code.map(str::to_owned), said });
        assert_eq!(declined(DeclineClass::LostOrStolen, None, None), told(None, Some(Advice::Never)));
        let later = Some(Advice::Later);
        assert_eq!(declined(DeclineClass::InsufficientFunds, Some("51"), later), told(Some("51"), later));
    }
}
