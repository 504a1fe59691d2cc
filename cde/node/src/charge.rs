//! Sending an attempt to its gateway and learning how it ended.
//!
//! # Invariants
//! - The attempt is on disk before the first byte is sent.
//! - Every answer but a documented one is `Unknown`; an `Unknown` is settled by asking the gateway, for as long as it
//!   takes, also after a restart.
//! - An approval that is to be given back is marked so in the transaction that writes it, and followed until it is.
//! - Another gateway is asked only after one that proved that it did nothing, and not before the journal says which.

mod follow_up;
mod incoming;
mod parcel;
mod people;
mod reversal;
#[cfg(test)]
mod tests;

pub(crate) use follow_up::FollowUp;
pub(crate) use parcel::Parcel;

use crate::clock;
use crate::config::{self, Choice, Config, LateApproval};
use crate::journal::{Ending, Journal, NewAttempt, OpenAttempt, Reversal, Wanted};
use crate::terminal::{ChargerError, Terminal};
use aws_lc_rs::hmac;
use gateway::routing::FAILOVER_MS_MAX;
use gateway::{Answer, CheckRules, Following, Keep, Kind, Operation, Request, Rule, STEPS_MAX, SentBetween, Terms};
use parcel::{Leg, SPARES_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use vault::hex::hex;
use wire::{
    AttemptId, AuditAction, AuditEvent, CallId, DeclineClass, Extension, MerchantId, MoneyAlarm, Origin, Outcome,
    PaymentId, Refusal, Store,
};

/// The outcome of an attempt, for the switchboard.
pub(crate) struct Ended {
    pub(crate) call: CallId,
    pub(crate) attempt: AttemptId,
    pub(crate) outcome: Outcome,
}

/// What the cde's file says of one merchant.
struct Merchant {
    choices: Vec<Choice>,
    late_approval: LateApproval,
    checks: CheckRules,
}

/// The calls that are there: an approval for one that is not comes late.
#[derive(Clone, Default)]
pub(crate) struct LiveCalls(Arc<Mutex<BTreeSet<CallId>>>);

impl LiveCalls {
    pub(crate) fn began(&self, call: CallId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
    }

    pub(crate) fn ended(&self, call: CallId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }

    fn has(&self, call: CallId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&call)
    }
}

/// All gateways.
#[derive(Clone)]
pub(crate) struct Charger {
    terminals: Arc<BTreeMap<String, Terminal>>,
    merchants: Arc<BTreeMap<String, Merchant>>,
    journal: Journal,
    digest_key: hmac::Key,
    live: LiveCalls,
    ended: mpsc::Sender<Ended>,
}

/// A request that is built and not yet sent. It holds the card in wiped memory.
pub(crate) struct Built {
    pub(crate) gateway: String,
    pub(crate) operation: Operation,
    /// Without an answer by then its outcome is unknown.
    pub(crate) deadline_ms: i64,
    pub(crate) parcel: Parcel,
    /// The journal's digest: of the request without the card.
    pub(crate) digest: String,
}

/// An attempt that is on disk, and whose end is awaited.
#[derive(Clone)]
pub(crate) struct UnderWay {
    pub(crate) operation: Operation,
    pub(crate) payment: PaymentId,
    pub(crate) call: CallId,
    pub(crate) extension: Extension,
    pub(crate) gateway: String,
    pub(crate) merchant: MerchantId,
}

impl UnderWay {
    /// Of what has just been put on disk.
    pub(crate) fn of(row: &NewAttempt, operation: Operation) -> Self {
        Self {
            operation,
            payment: row.payment,
            call: row.call,
            extension: row.extension.clone(),
            gateway: row.gateway.clone(),
            merchant: row.merchant.clone(),
        }
    }

    /// Does it take money, so that a call or a rule may want it back?
    fn takes_money(&self) -> bool {
        matches!(self.operation.kind, Kind::Authorize | Kind::ChargeStored)
    }
}

/// What an answer leads to, beside its outcome.
#[derive(Default)]
struct Ruling {
    reversal: Option<Reversal>,
    alarms: Vec<MoneyAlarm>,
}

impl Charger {
    /// Relative paths of keys start at the folder.
    pub(crate) fn new(
        (config, folder): (&Config, &Path),
        journal: Journal,
        digest_key: hmac::Key,
        live: LiveCalls,
        ended: mpsc::Sender<Ended>,
    ) -> Result<Self, ChargerError> {
        let mut terminals = BTreeMap::new();
        for gateway in &config.gateway {
            terminals.insert(gateway.name.clone(), Terminal::new(gateway, folder)?);
        }
        let merchant = |merchant: &config::Merchant| {
            let &config::Merchant { ref gateway, late_approval, checks, .. } = merchant;
            (merchant.id.clone(), Merchant { choices: gateway.clone(), late_approval, checks })
        };
        let merchants = Arc::new(config.merchant.iter().map(merchant).collect());
        Ok(Self { terminals: Arc::new(terminals), merchants, journal, digest_key, live, ended })
    }

    /// Builds the request for an attempt at the first of the merchant's gateways that takes it, and at those that stand
    /// in for it.
    pub(crate) fn build(
        &self,
        attempt: AttemptId,
        merchant: &MerchantId,
        sending: &payment::Sending<'_>,
    ) -> Result<Built, Refusal> {
        let configured = self.merchants.get(merchant.as_str()).ok_or(Refusal::UnknownMerchant)?;
        let (amount, card, order) = (sending.amount, sending.card, sending.order);
        let keep = match order.store {
            Store::None => Keep::Nothing,
            Store::Token => Keep::Token,
        };
        let (capture, avs) = (order.capture, order.avs.as_ref());
        let takes = |choice: &&Choice| choice.rule.takes(amount, card.pan.brand());
        let mut built = configured.choices.iter().filter(takes).filter_map(|choice| {
            let terminal = self.terminals.get(&choice.name)?;
            let partial_approval = order.partial && terminal.adapter.caps().partial_approval;
            let terms = Terms { capture, avs, keep, partial_approval, agreement: None };
            let asked = Request::Authorize { attempt, amount, card, merchant, terms };
            self.built(&choice.name, terminal, &asked, []).ok()
        });
        let mut first = built.next().ok_or(Refusal::Unsupported)?;
        let spares: Vec<Leg> = built.take(SPARES_MAX).map(|built| built.parcel.first).collect();
        first.parcel = Parcel::new(first.parcel.first, spares);
        Ok(first)
    }

    fn built(
        &self,
        gateway: &str,
        terminal: &Terminal,
        asked: &Request<'_>,
        spares: impl IntoIterator<Item = Leg>,
    ) -> Result<Built, Refusal> {
        if let Some(reason) = terminal.adapter.caps().unsupported(asked) {
            tracing::warn!(%gateway, %reason, "not sent");
            return Err(Refusal::Unsupported);
        }
        let (request, plan) = (terminal.adapter.build(asked), terminal.adapter.plan(asked));
        let deadline_ms = terminal.deadline_ms(&plan);
        let digest = hex(hmac::sign(&self.digest_key, &request.redacted()).as_ref());
        let (operation, gateway) = (asked.operation(), gateway.to_owned());
        let parcel = Parcel::new(Leg { gateway: gateway.clone(), request, plan }, spares);
        Ok(Built { gateway, operation, deadline_ms, parcel, digest })
    }

    /// Puts the attempt on disk; `Ok` means that it may be sent.
    pub(crate) async fn begin(&self, attempt: NewAttempt) -> Result<(), crate::journal::JournalError> {
        self.journal.begin(attempt).await
    }

    /// Sends it and follows it to its end.
    pub(crate) async fn carry(&self, mut attempt: UnderWay, parcel: Parcel) -> Outcome {
        let first_unix_ms = clock::unix_ms();
        let (mut leg, mut rest) = parcel.open();
        let answer = loop {
            let Some(terminal) = self.terminals.get(&leg.gateway) else { return Outcome::Unknown };
            let answer = terminal.run(attempt.operation, leg.request, leg.plan).await;
            let Some(next) = rest.after(&answer) else { break answer };
            if !self.moved(&mut attempt, &next.gateway).await {
                break answer;
            }
            leg = next;
        };
        drop(rest);
        let sent = SentBetween { first_unix_ms, last_unix_ms: clock::unix_ms() };
        let outcome = self.end(&attempt, &answer).await;
        if answer.is_final() {
            return outcome;
        }
        self.settle(attempt, answer.locator().map(str::to_owned), sent).await
    }

    /// Writes down that an attempt, which the gateway before has proved not to have executed, goes to another. Only then
    /// may it be sent there.
    async fn moved(&self, attempt: &mut UnderWay, gateway: &str) -> bool {
        let id = attempt.operation.attempt;
        match self.journal.move_to(id, gateway).await {
            Ok(true) => {
                tracing::warn!(attempt = %id, from = %attempt.gateway, to = %gateway, "not executed: another gateway is asked");
                gateway.clone_into(&mut attempt.gateway);
                true
            }
            Ok(false) | Err(_) => false,
        }
    }

    /// Attempts that were in flight when the process before this one ended, and approvals that it was giving back.
    pub(crate) async fn settle_left_over(self) {
        match self.journal.open_attempts().await {
            Err(error) => tracing::error!(%error, "the journal's open attempts could not be read"),
            Ok(open) => {
                for attempt in open {
                    self.settle_one_left_over(attempt).await;
                }
            }
        }
        match self.journal.reversals_wanted().await {
            Err(error) => tracing::error!(%error, "the journal's reversals could not be read"),
            Ok(wanted) => wanted.into_iter().for_each(|wanted| self.begin_reversal(wanted, None)),
        }
    }

    async fn settle_one_left_over(&self, open: OpenAttempt) {
        let OpenAttempt { operation, payment, call, extension, gateway, merchant, locator, sent_unix_ms, .. } = open;
        let id = operation.attempt;
        tracing::warn!(attempt = %id, "an attempt was in flight when this process ended: asking the gateway");
        let attempt = UnderWay { operation, payment, call, extension, gateway, merchant };
        self.end(&attempt, &Answer::UNKNOWN).await;
        let charger = self.clone();
        let sent = self.sent_between(&attempt.gateway, sent_unix_ms);
        tokio::spawn(async move { charger.settle(attempt, locator, sent).await });
    }

    /// Of an attempt whose process ended: its requests took what they may take at most, and none was sent after this start.
    fn sent_between(&self, gateway: &str, first_unix_ms: i64) -> SentBetween {
        let steps = u32::try_from(STEPS_MAX).unwrap_or(u32::MAX);
        let most = self.terminals.get(gateway).map(|terminal| terminal.timeout().saturating_mul(steps));
        let most = most.unwrap_or_default().saturating_add(Duration::from_millis(FAILOVER_MS_MAX));
        let most_ms = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
        SentBetween { first_unix_ms, last_unix_ms: first_unix_ms.saturating_add(most_ms).min(clock::unix_ms()) }
    }

    /// Asks the gateway until it answers. Unknown only where it cannot be asked.
    async fn settle(&self, attempt: UnderWay, locator: Option<String>, sent: SentBetween) -> Outcome {
        let (id, gateway) = (attempt.operation.attempt, &attempt.gateway);
        let Some(terminal) = self.terminals.get(gateway) else {
            tracing::error!(%gateway, attempt = %id,
                "an attempt's gateway is no longer in cde.toml: its outcome stays unknown until it is there again");
            return Outcome::Unknown;
        };
        // After a restart as well: when the last request was sent, if it was, is not in the journal.
        let following = Following::new(attempt.operation, attempt.merchant.clone(), locator, sent);
        let mut following = following.since(clock::unix_ms());
        loop {
            tokio::time::sleep(Duration::from_millis(following.pause_ms())).await;
            let Some(request) = following.ask(clock::unix_ms(), terminal.adapter.as_ref()) else {
                return self.wait_for_word(&attempt).await;
            };
            if let Some(answer) = terminal.ask(&mut following, request).await {
                return self.end(&attempt, &answer).await;
            }
        }
    }

    /// Writes how an attempt ended, tells the switchboard, and begins what must follow. Returns how it stands then.
    async fn end(&self, attempt: &UnderWay, answer: &Answer) -> Outcome {
        let id = attempt.operation.attempt;
        let Ruling { reversal, alarms } = self.rule(attempt, answer);
        let instead = reversal.and_then(Reversal::instead);
        let ending = Ending::from_answer(answer, attempt.operation, reversal);
        let outcome = ending.outcome.clone();
        // An approval that goes back is none for whoever waits: the outcome is being confirmed until it is back.
        let told = if instead.is_some() { Outcome::Unknown } else { outcome };
        let is_news = loop {
            match self.journal.end(id, ending.clone()).await {
                Ok(is_news) => break is_news,
                Err(error) => {
                    tracing::error!(%error, attempt = %id, "an outcome could not be written; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        if is_news {
            alarms.into_iter().for_each(|alarm| self.alarm(attempt, alarm));
        }
        self.tell(attempt, told.clone()).await;
        if let (true, Some(_)) = (is_news, reversal) {
            let wanted = Wanted { payment: attempt.payment, attempt: id };
            self.begin_reversal(wanted, instead.map(|outcome| (attempt.clone(), outcome)));
        }
        if is_news && reversal.is_none() { told } else { self.standing(id).await }
    }

    /// How an attempt stands: what was written first, and of an approval that is given back that it is none.
    async fn standing(&self, attempt: AttemptId) -> Outcome {
        match self.journal.standing(attempt).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::Unknown,
            Err(error) => {
                tracing::error!(%error, %attempt, "an outcome could not be read");
                Outcome::Unknown
            }
        }
    }

    /// The switchboard shows what the card did; what follows an approval is no call's business.
    async fn tell(&self, attempt: &UnderWay, outcome: Outcome) {
        if attempt.operation.kind == Kind::Authorize {
            let (call, attempt) = (attempt.call, attempt.operation.attempt);
            // The switchboard is gone only when the process is ending; the journal has the outcome.
            let _ = self.ended.send(Ended { call, attempt, outcome }).await;
        }
    }

    /// What the merchant's rules make of an answer.
    fn rule(&self, attempt: &UnderWay, answer: &Answer) -> Ruling {
        let approval = match answer {
            Answer::ActionRequired => return Ruling { alarms: vec![MoneyAlarm::NotMoto], ..Ruling::default() },
            Answer::Approved(approval) if attempt.takes_money() => approval,
            _ => return Ruling::default(),
        };
        let Some(merchant) = self.merchants.get(attempt.merchant.as_str()) else { return Ruling::default() };
        let (rule, class) = merchant.checks.judge(&approval.checks);
        let is_late = attempt.operation.kind == Kind::Authorize && !self.live.has(attempt.call);
        if rule == Rule::Void {
            let is_code = class == DeclineClass::WrongCvv;
            let reversal = if is_code { Reversal::WrongCvv } else { Reversal::WrongAddress };
            return Ruling { reversal: Some(reversal), alarms: vec![MoneyAlarm::ChecksFailed] };
        }
        if is_late && merchant.late_approval == LateApproval::Void {
            return Ruling { reversal: Some(Reversal::Late), alarms: vec![MoneyAlarm::LateApprovalReversed] };
        }
        let alarms = [(is_late, MoneyAlarm::LateApproval), (rule == Rule::Review, MoneyAlarm::Review)];
        let alarms = alarms.into_iter().filter(|(applies, _)| *applies).map(|(_, alarm)| alarm).collect();
        Ruling { alarms, ..Ruling::default() }
    }

    fn alarm(&self, attempt: &UnderWay, alarm: MoneyAlarm) {
        let action = AuditAction::Money { payment: attempt.payment, alarm };
        let (call, extension) = (attempt.call, attempt.extension.clone());
        // A loss is counted and said by the journal.
        let _ = self.journal.audit(AuditEvent { origin: Origin::System, call, extension, action });
    }
}
