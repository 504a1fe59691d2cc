//! What comes in over HTTP: charges of pay connectors, and webhooks.

use super::{Charger, Parcel, UnderWay};
use crate::clock;
use crate::inbound::{Caller, Works};
use crate::journal::{JournalError, NewAttempt, OpenAttempt};
use card::YearMonth;
use gateway::pay_connector::incoming::Incoming;
use gateway::{Answer, GatewayEvent, Headers, Kind, Operation, Says, WebhookError};
use std::time::Duration;
use wire::{AttemptId, CallId, CaptureTime, Money, Origin, Outcome, PaymentId, PaymentOrder, Store};

/// Between two looks at an attempt whose end is being written by somebody else.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it is looked at.
const LOOKS_MAX: usize = 60;

impl Works for Charger {
    async fn charge(&self, caller: &Caller, incoming: Incoming) -> Outcome {
        let attempt = incoming.attempt;
        // Somebody waits at the other end, so that an approval does not come late.
        let call = CallId(attempt.0);
        self.live.began(call);
        let outcome = match self.begin_incoming(caller, incoming).await {
            Ok((under_way, parcel)) => match self.carry(under_way, parcel).await {
                // It may be on its way back, or told by a webhook or by people.
                Outcome::Unknown => self.begun_before(attempt).await,
                outcome => outcome,
            },
            Err(JournalError::BegunBefore | JournalError::SecondAttempt) => self.begun_before(attempt).await,
            Err(error) => {
                tracing::error!(%error, caller = %caller.name, "a charge was not begun");
                Outcome::Rejected
            }
        };
        self.live.ended(call);
        outcome
    }

    async fn webhook(&self, gateway: &str, headers: &Headers<'_>, body: &[u8]) -> Result<(), WebhookError> {
        let terminal = self.terminals.get(gateway).ok_or(WebhookError::None)?;
        for event in terminal.adapter.verify_webhook(headers, body, clock::unix_ms())? {
            self.told(gateway, event).await;
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
            capture: CaptureTime::Now,
            avs: address,
            partial: false,
        };
        let sending = payment::Sending { card: &card, amount, merchant: &merchant, order: &order };
        let built = self.build(attempt, &merchant, &sending).map_err(JournalError::Refused)?;
        let extension = format!("connector-{}", caller.name);
        let row = NewAttempt {
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
        };
        let under_way = UnderWay::of(&row, built.operation);
        self.journal.begin(row).await?;
        Ok((under_way, built.parcel))
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

    /// An outcome is taken only for an attempt that has none, of its kind, at this gateway, and of what was asked.
    async fn told(&self, gateway: &str, event: GatewayEvent) {
        let Says::Ended { kind, answer } = event.says else {
            return tracing::info!(%gateway, event = %event.id, says = ?event.says, "a webhook");
        };
        let open = match self.journal.open_attempts().await {
            Ok(open) => open,
            Err(error) => return tracing::error!(%error, "the journal's open attempts could not be read"),
        };
        let about = |open: &OpenAttempt| {
            let is_named = event.attempt == Some(open.operation.attempt);
            let is_located = event.locator.is_some() && event.locator == open.locator;
            open.gateway == gateway && is_same(kind, open.operation.kind) && (is_named || is_located)
        };
        let Some(open) = open.into_iter().find(about) else { return };
        if answer.is_final() && agrees(open.operation, &answer) {
            let OpenAttempt { operation, payment, call, extension, gateway, merchant, .. } = open;
            self.end(&UnderWay { operation, payment, call, extension, gateway, merchant }, &answer).await;
        }
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
