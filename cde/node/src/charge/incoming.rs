//! What comes in over HTTP: charges of pay connectors, and webhooks.

use super::{Charger, Parcel, UnderWay, alarm_row};
use crate::clock;
use crate::inbound::{Caller, NotTaken, Works};
use crate::journal::{JournalError, NewAttempt, Noted};
use card::YearMonth;
use gateway::pay_connector::incoming::Incoming;
use gateway::{Answer, GatewayEvent, Headers, Kind, Operation, Says, WebhookError};
use std::time::Duration;
use wire::{AttemptId, CallId, CaptureTime, Money, MoneyAlarm, Origin, Outcome, PaymentId, PaymentOrder, Store};

/// Between two looks at an attempt whose end is being written by somebody else.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it is looked at.
const LOOKS_MAX: usize = 60;
/// How long a caller waits; an approval after that comes late.
const WAIT_MAX: Duration = Duration::from_secs(60);

impl Works for Charger {
    async fn charge(&self, caller: &Caller, incoming: Incoming) -> Outcome {
        let attempt = incoming.attempt;
        // Somebody waits at the other end, so that an approval does not come late.
        let call = CallId(attempt.0);
        self.live.began(call);
        let outcome = match self.begin_incoming(caller, incoming).await {
            Ok((under_way, parcel)) => self.carried(under_way, parcel).await,
            Err(JournalError::BegunBefore | JournalError::SecondAttempt) => self.begun_before(attempt).await,
            Err(error) => {
                tracing::error!(%error, caller = %caller.name, "a charge was not begun");
                Outcome::Rejected
            }
        };
        self.live.ended(call);
        outcome
    }

    async fn webhook(&self, gateway: &str, headers: &Headers<'_>, body: &[u8]) -> Result<(), NotTaken> {
        let terminal = self.terminals.get(gateway).ok_or(WebhookError::None)?;
        let adapter = terminal.adapter().ok_or(WebhookError::None)?;
        for event in adapter.verify_webhook(headers, body, clock::unix_ms())? {
            self.told(gateway, event).await.map_err(NotTaken::Later)?;
        }
        Ok(())
    }

    fn today(&self) -> YearMonth {
        YearMonth::at_unix_ms(clock::unix_ms())
    }
}

impl Charger {
    /// The attempt is on disk before anything is sent, and its id is the transaction's: it can be begun once.
    async fn begin_incoming(&self, caller: &Caller, incoming: Incoming) -> Result<(UnderWay, Parcel), JournalError> {
        let Incoming { attempt, amount, card, address } = incoming;
        let merchant = caller.merchant.clone();
        let order = PaymentOrder {
            payment: PaymentId(attempt.0),
            amount,
            merchant: merchant.clone(),
            fields: Vec::new(),
            store: Store::None,
            purpose: None,
            capture: CaptureTime::Now,
            avs: address,
            partial: false,
        };
        let sending = payment::Sending { card: &card, amount, merchant: &merchant, order: &order };
        let built = self.build(attempt, &merchant, &sending).map_err(JournalError::Refused)?;
        let extension = format!("connector-{}", caller.name);
        let row = NewAttempt {
            credential: built.parcel.credential(),
            attempt,
            kind: built.operation.kind,
            payment: order.payment,
            call: CallId(attempt.0),
            extension: extension.parse().or_else(|_| "connector".parse()).map_err(|_| JournalError::Busy)?,
            origin: Origin::System,
            merchant,
            deadline_ms: built.deadline_ms,
            gateway: built.gateway,
            amount,
            later: false,
            follows: None,
            last: false,
            card: Some(card.view()),
            digest: built.digest,
            locator: None,
            keep: None,
            token: None,
            reference: None,
        };
        let under_way = UnderWay::of(&row, built.operation);
        self.journal.begin(row).await?;
        Ok((under_way, built.parcel))
    }

    /// Carries it to its end, for which nobody waits longer than a caller does.
    async fn carried(&self, under_way: UnderWay, parcel: Parcel) -> Outcome {
        let (charger, attempt) = (self.clone(), under_way.operation.attempt);
        let carrying = tokio::spawn(async move { charger.carry(under_way, parcel).await });
        let known = async {
            match carrying.await {
                Ok(outcome) if outcome.is_known() => outcome,
                // It may be on its way back, or told by a webhook or by people.
                _ => self.begun_before(attempt).await,
            }
        };
        tokio::time::timeout(WAIT_MAX, known).await.unwrap_or(Outcome::Unknown)
    }

    /// The first result, which a reversal or another run of this process may still be after.
    async fn begun_before(&self, attempt: AttemptId) -> Outcome {
        for _ in 0..LOOKS_MAX {
            match self.journal.standing(attempt).await {
                Ok(Some(outcome)) if outcome.is_known() => return outcome,
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        Outcome::Unknown
    }

    /// What a gateway says of its own accord is either acted on or brought before people. An error when the journal cannot
    /// be read, or the attempt's own answer is still awaited: then the gateway must say it again.
    pub(super) async fn told(&self, sender: &str, event: GatewayEvent) -> Result<(), JournalError> {
        if matches!(event.says, Says::Changed | Says::Other) {
            tracing::info!(gateway = sender, event = %event.id, says = ?event.says, "a webhook");
            return Ok(());
        }
        let noted = self.journal.about(sender, event.attempt, event.locator.as_deref()).await?;
        let is_about = |noted: &Noted| {
            let kind = noted.attempt.operation.kind;
            match event.says {
                Says::Ended { kind: told, .. } | Says::Undone { kind: told } => is_same(told, kind),
                _ => is_same(Kind::Authorize, kind),
            }
        };
        let mut noted: Vec<Noted> = noted.into_iter().filter(is_about).collect();
        // The one that waits for its outcome, where a name is of several.
        noted.sort_by_key(|noted| !noted.is_open);
        let Some(Noted { attempt, is_open, is_approved }) = noted.into_iter().next() else {
            tracing::warn!(gateway = sender, event = %event.id, "a webhook is about nothing that we sent");
            return Ok(());
        };
        let (is_here, is_awaited) = (attempt.gateway == sender, attempt.is_awaited);
        let attempt = UnderWay::from(attempt);
        let alarm = match event.says {
            // The answer has the token, the agreement and the checks that the rules need; a webhook mostly has none of them.
            // Told again later it is taken, if that answer was lost.
            Says::Ended { .. } if is_awaited && is_here => {
                tracing::info!(gateway = sender, event = %event.id, "a webhook comes before the answer: it is to be sent again");
                return Err(JournalError::AnswerAwaited);
            }
            Says::Ended { answer, .. } if is_open && is_here => {
                self.ended_by_webhook(&attempt, &answer).await;
                return Ok(());
            }
            Says::Ended { answer, .. } if contradicts(&answer, is_here, is_approved) => MoneyAlarm::EndedOtherwise,
            Says::Undone { .. } => MoneyAlarm::Undone,
            Says::Disputed => MoneyAlarm::Disputed,
            Says::Ended { .. } | Says::Changed | Says::Other => return Ok(()),
        };
        // Gateways repeat themselves; people are told once.
        self.journal.audit_once(sender, &event.id, alarm_row(&attempt, alarm)).await?;
        Ok(())
    }

    /// An outcome is taken only for an attempt that has none, of its kind, at this gateway, and of what was asked.
    async fn ended_by_webhook(&self, attempt: &UnderWay, answer: &Answer) {
        if answer.is_final() && agrees(attempt.operation, answer) {
            tracing::info!(attempt = %attempt.operation.attempt, gateway = %attempt.gateway, "a webhook says how it ended");
            self.end(attempt, answer).await;
        }
    }
}

/// Says it otherwise than the journal has it, which was learned by an inquiry or from people? So does a gateway that the
/// attempt was sent on from, if it approves of it after all.
fn contradicts(answer: &Answer, is_here: bool, is_approved: bool) -> bool {
    match answer {
        Answer::Approved(_) => !is_here || !is_approved,
        Answer::Declined { .. } => is_here && is_approved,
        _ => false,
    }
}

/// A gateway does not say from where it had a card.
fn is_same(told: Kind, asked: Kind) -> bool {
    told == asked || (told, asked) == (Kind::Authorize, Kind::ChargeStored)
}

fn agrees(operation: Operation, answer: &Answer) -> bool {
    let Answer::Approved(approval) = answer else { return true };
    let voids = operation.kind == Kind::Void;
    let amount: Option<Money> = if voids { operation.amount } else { approval.amount };
    operation.agrees(operation.attempt, amount)
}
