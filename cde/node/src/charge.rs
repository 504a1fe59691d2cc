//! Sending an attempt to its gateway and learning how it ended.
//!
//! # Invariants
//! - The attempt is on disk before the first byte is sent.
//! - Every answer but a documented one is `Unknown`; an `Unknown` is settled by asking the gateway, for as long as it
//!   takes, also after a restart. That it knows none is a proof only where the credential is asked that has sent it.
//! - An approval that is to be given back is marked so in the transaction that writes it, and followed until it is.
//! - A card that is to be kept has its token on disk before it is sent, and is kept only after an approval; that it is not is said
//!   with the outcome, and never changes it.
//! - A kept card is forgotten when its gateway has said so, and cannot be charged from before it is asked to.
//! - Another gateway is asked only after one that proved that it did nothing, and not before the journal says which.

mod credentials;
mod follow_up;
mod forgetting;
mod incoming;
mod keep;
mod parcel;
mod people;
mod reports;
mod reversal;
mod settling;
mod stored;
#[cfg(test)]
mod tests;

pub(crate) use follow_up::FollowUp;
pub(crate) use parcel::Parcel;

use crate::clock;
use crate::config::{self, Choice, Config, LateApproval};
use crate::credentials::{Safe, Secrets};
use crate::custody::Cards;
use crate::journal::{Ending, Journal, Keep, Kept, NewAttempt, OpenAttempt, Reversal, Wanted};
use crate::terminal::{ChargerError, Terminal};
use aws_lc_rs::hmac;
use gateway::routing::FAILOVER_MS_MAX;
use gateway::{
    Agreement, Answer, Approval, CheckRules, Initiator, Kind, Operation, Request, Rule, STEPS_MAX, SentBetween, Terms,
};
use keep::KeepRules;
use parcel::{Leg, SPARES_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use vault::hex::hex;
use wire::{
    AttemptId, AuditAction, AuditEvent, CallId, DeclineClass, Extension, Keeping, MerchantId, MoneyAlarm, NotKept,
    Origin, Outcome, PaymentId, Refusal, Store,
};

/// The outcome of an attempt, for the switchboard.
pub(crate) struct Ended {
    pub(crate) call: CallId,
    pub(crate) attempt: AttemptId,
    pub(crate) outcome: Outcome,
    /// What became of the card that was to be kept.
    pub(crate) kept: Option<Keeping>,
}

/// What an attempt's row names instead of a gateway where only the vault is to have the card.
const VAULT: &str = "(vault)";

/// Ends of what was left over that wait for the disk at a time: as many as it takes together, and so few that no payment is refused
/// because of them.
const WRITES_MAX: usize = 256;

/// What the cde's file says of one merchant.
struct Merchant {
    choices: Vec<Choice>,
    late_approval: LateApproval,
    checks: CheckRules,
    keep: KeepRules,
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
    vault: Option<Arc<Cards>>,
    safe: Safe,
    giving: Arc<tokio::sync::Mutex<()>>,
    /// Attempts of which this process has said that people must settle them, with the row that says so.
    people: Arc<Mutex<BTreeMap<AttemptId, AuditEvent>>>,
    journal: Journal,
    digest_key: hmac::Key,
    live: LiveCalls,
    ended: mpsc::Sender<Ended>,
    /// Of outcomes that nobody waits for, so that the journal's queue has room for new payments.
    writes: Arc<Semaphore>,
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
    /// The token that the card will have, where it is to be kept.
    pub(crate) keep: Option<Keep>,
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
    pub(crate) keep: Option<Keep>,
    pub(crate) credential: Option<String>,
}

impl From<OpenAttempt> for UnderWay {
    fn from(open: OpenAttempt) -> Self {
        let OpenAttempt { operation, payment, call, extension, gateway, merchant, keep, credential, .. } = open;
        Self { operation, payment, call, extension, gateway, merchant, keep, credential }
    }
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
            keep: row.keep.clone(),
            credential: row.credential.clone(),
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

impl Built {
    /// Nothing is sent to anybody: the vault is to have the card.
    fn for_the_vault(attempt: AttemptId) -> Self {
        let operation = Operation::direct(Kind::Store, attempt, None);
        let (parcel, digest) = (Parcel::new(None, []), String::new());
        Self { gateway: VAULT.to_owned(), operation, deadline_ms: 0, parcel, digest, keep: None }
    }
}

/// A page that could not be read is read again: what is on it must not be forgotten.
async fn read_again(error: &crate::journal::JournalError, after: i64) -> Option<i64> {
    tracing::error!(%error, "what was left over could not be read from the journal; trying again");
    tokio::time::sleep(Duration::from_secs(1)).await;
    Some(after)
}

/// What a gateway is asked for, where it can keep a card if it is to, and approve of a part; none where it is only to keep the
/// card, and cannot.
fn asked<'a>(
    attempt: AttemptId,
    merchant: &'a MerchantId,
    sending: &payment::Sending<'a>,
    (by_gateway, partial): (bool, bool),
) -> Option<Request<'a>> {
    let (amount, card, order) = (sending.amount, sending.card, sending.order);
    let first = Agreement {
        initiator: Initiator::Customer,
        reason: order.purpose.unwrap_or(wire::Reason::Unscheduled),
        first: true,
        network_transaction_id: None,
    };
    let terms = Terms {
        capture: order.capture,
        avs: order.avs.as_ref(),
        keep: if by_gateway { gateway::Keep::Token } else { gateway::Keep::Nothing },
        partial_approval: order.partial && partial,
        agreement: (order.store != Store::None).then_some(first),
    };
    match order.store {
        Store::None | Store::Token => Some(Request::Authorize { attempt, amount, card, merchant, terms }),
        Store::Only if by_gateway => Some(Request::Store { attempt, card, merchant, terms }),
        Store::Only => None,
    }
}

impl Charger {
    /// Relative paths of keys start at the folder.
    pub(crate) fn new(
        (config, folder): (&Config, &Path),
        (vault, safe, given): (Option<Arc<Cards>>, Safe, &BTreeMap<String, Secrets>),
        journal: Journal,
        digest_key: hmac::Key,
        live: LiveCalls,
        ended: mpsc::Sender<Ended>,
    ) -> Result<Self, ChargerError> {
        let (mut terminals, none) = (BTreeMap::new(), Secrets::new());
        for gateway in &config.gateway {
            terminals.insert(
                gateway.name.clone(),
                Terminal::new(gateway, folder, given.get(&gateway.name).unwrap_or(&none), &digest_key)?,
            );
        }
        let merchant = |merchant: &config::Merchant| {
            let config::Merchant { gateway, late_approval, checks, tenant, keep_cards, keep_days, .. } = merchant;
            let keep = KeepRules { at: *keep_cards, tenant: tenant.clone(), days: *keep_days };
            let of = Merchant { choices: gateway.clone(), late_approval: *late_approval, checks: *checks, keep };
            (merchant.id.clone(), of)
        };
        let merchants = Arc::new(config.merchant.iter().map(merchant).collect());
        Ok(Self {
            terminals: Arc::new(terminals),
            merchants,
            vault,
            safe,
            giving: Arc::default(),
            people: Arc::default(),
            journal,
            digest_key,
            live,
            ended,
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
        })
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
        let keeps = order.store != Store::None;
        let (keep, copy) =
            if keeps { self.to_keep(configured, card).map(|(keep, copy)| (Some(keep), copy))? } else { (None, None) };
        let takes = |choice: &&Choice| choice.rule.takes(amount, card.pan.brand());
        let mut built = configured.choices.iter().filter(takes).filter_map(|choice| {
            let terminal = self.terminals.get(&choice.name)?;
            let adapter = terminal.adapter()?;
            let by_gateway = keeps && configured.keep.asks_gateway() && adapter.caps().tokens;
            if keeps && !by_gateway && copy.is_none() {
                tracing::warn!(gateway = %choice.name, "not sent: neither this gateway nor a vault would keep the card");
                return None;
            }
            let asked = asked(attempt, merchant, sending, (by_gateway, adapter.caps().partial_approval));
            self.built(&choice.name, terminal, &asked?, []).ok()
        });
        let mut first = match built.next() {
            Some(first) => first,
            None if order.store == Store::Only && copy.is_some() => Built::for_the_vault(attempt),
            None => return Err(Refusal::Unsupported),
        };
        let spares: Vec<Leg> = built.take(SPARES_MAX).filter_map(|built| built.parcel.first).collect();
        first.parcel = Parcel::new(first.parcel.first, spares).with_copy(copy);
        first.keep = keep;
        Ok(first)
    }

    fn built(
        &self,
        gateway: &str,
        terminal: &Terminal,
        asked: &Request<'_>,
        spares: impl IntoIterator<Item = Leg>,
    ) -> Result<Built, Refusal> {
        let Some(login) = terminal.login() else {
            tracing::error!(%gateway, "not sent: this gateway waits for its credential, which is given in the office");
            return Err(Refusal::Unsupported);
        };
        if let Some(reason) = login.adapter.caps().unsupported(asked) {
            tracing::warn!(%gateway, %reason, "not sent");
            return Err(Refusal::Unsupported);
        }
        let (request, plan) = (login.adapter.build(asked), login.adapter.plan(asked));
        let deadline_ms = terminal.deadline_ms(&plan);
        let digest = hex(hmac::sign(&self.digest_key, &request.redacted()).as_ref());
        let (operation, gateway) = (asked.operation(), gateway.to_owned());
        let parcel = Parcel::new(Some(Leg { gateway: gateway.clone(), login, request, plan }), spares);
        Ok(Built { gateway, operation, deadline_ms, parcel, digest, keep: None })
    }

    /// Puts the attempt on disk; `Ok` means that it may be sent.
    pub(crate) async fn begin(&self, attempt: NewAttempt) -> Result<(), crate::journal::JournalError> {
        self.journal.begin(attempt).await
    }

    /// Sends it and follows it to its end.
    pub(crate) async fn carry(&self, mut attempt: UnderWay, parcel: Parcel) -> Outcome {
        let first_unix_ms = clock::unix_ms();
        let (leg, mut rest, copy) = parcel.open();
        let Some(mut leg) = leg else { return self.carry_to_vault(&attempt, copy).await };
        let (answer, login) = loop {
            let Some(terminal) = self.terminals.get(&leg.gateway) else { return Outcome::Unknown };
            let Leg { login, request, plan, .. } = leg;
            let answer = terminal.run(login.adapter.as_ref(), attempt.operation, request, plan).await;
            let Some(next) = rest.after(&answer) else { break (answer, login) };
            if !self.moved(&mut attempt, &next).await {
                break (answer, login);
            }
            leg = next;
        };
        drop(rest);
        let sent = SentBetween { first_unix_ms, last_unix_ms: clock::unix_ms() };
        // Whatever the answer is, the copy is gone after this.
        let outcome = self.end_with(&attempt, &answer, copy).await;
        if answer.is_final() {
            return outcome;
        }
        self.settle(attempt, answer.locator().map(str::to_owned), sent, Some(login)).await
    }

    /// A card that only the vault is to have: nobody else is asked.
    async fn carry_to_vault(&self, attempt: &UnderWay, copy: Option<keep::CardCopy>) -> Outcome {
        let kept = self.keep(attempt, &Approval::default(), copy).await;
        let answer = if kept.is_ok() { Answer::Approved(Approval::default()) } else { Answer::Rejected };
        self.write_end(attempt, &answer, (Ruling::default(), kept.ok().map(Ok))).await
    }

    /// Writes down that an attempt, which the gateway before has proved not to have executed, goes to another. Only then
    /// may it be sent there.
    async fn moved(&self, attempt: &mut UnderWay, next: &Leg) -> bool {
        let (id, gateway, credential) = (attempt.operation.attempt, &next.gateway, &next.login.credential);
        match self.journal.move_to(id, gateway, Some(credential)).await {
            Ok(true) => {
                tracing::warn!(attempt = %id, from = %attempt.gateway, to = %gateway, "not executed: another gateway is asked");
                gateway.clone_into(&mut attempt.gateway);
                attempt.credential = Some(credential.clone());
                true
            }
            Ok(false) | Err(_) => false,
        }
    }

    /// Attempts that were in flight when the process before this one ended, and approvals that it was giving back: all of them,
    /// page by page, up to the newest that it had begun.
    pub(crate) async fn settle_left_over(self, newest: i64) {
        let mut next = Some(0);
        while let Some(after) = next {
            next = match self.journal.open_attempts((after, newest)).await {
                Ok((open, next)) => {
                    for attempt in open {
                        self.settle_one_left_over(attempt).await;
                    }
                    next
                }
                Err(error) => read_again(&error, after).await,
            };
        }
        let mut next = Some(0);
        while let Some(after) = next {
            next = match self.journal.reversals_wanted((after, newest)).await {
                Ok((wanted, next)) => {
                    wanted.into_iter().for_each(|wanted| self.begin_reversal(wanted, None));
                    next
                }
                Err(error) => read_again(&error, after).await,
            };
        }
        self.delete_left_over().await;
    }

    /// Its outcome is unknown, which stands in the journal before anybody is asked: until it does, people and webhooks are told that
    /// the first answer is still awaited. Where it stood there before, nothing is written.
    async fn settle_one_left_over(&self, open: OpenAttempt) {
        if forgetting::deletes(&open) {
            return;
        }
        let (locator, sent_unix_ms, is_news) = (open.locator.clone(), open.sent_unix_ms, open.is_awaited);
        let attempt = UnderWay::from(open);
        let charger = self.clone();
        if attempt.gateway == VAULT {
            tokio::spawn(async move { charger.settle_at_vault(&attempt).await });
            return;
        }
        tracing::warn!(attempt = %attempt.operation.attempt, "the outcome of an attempt was not known when this process ended: asking the gateway");
        let sent = self.sent_between(&attempt.gateway, sent_unix_ms);
        // It is never closed.
        let turn = if is_news { Arc::clone(&self.writes).acquire_owned().await.ok() } else { None };
        tokio::spawn(async move {
            if is_news {
                charger.end(&attempt, &Answer::UNKNOWN).await;
            }
            drop(turn);
            charger.settle(attempt, locator, sent, None).await
        });
    }

    /// Of an attempt whose process ended: its requests took what they may take at most, and none was sent after this start.
    fn sent_between(&self, gateway: &str, first_unix_ms: i64) -> SentBetween {
        let steps = u32::try_from(STEPS_MAX).unwrap_or(u32::MAX);
        let most = self.terminals.get(gateway).map(|terminal| terminal.timeout().saturating_mul(steps));
        let most = most.unwrap_or_default().saturating_add(Duration::from_millis(FAILOVER_MS_MAX));
        let most_ms = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
        SentBetween { first_unix_ms, last_unix_ms: first_unix_ms.saturating_add(most_ms).min(clock::unix_ms()) }
    }

    /// The vault has the card of an attempt that was cut off, or it has not and never will.
    async fn settle_at_vault(&self, attempt: &UnderWay) {
        let (answer, kept) = loop {
            match self.keep(attempt, &Approval::default(), None).await {
                Ok(kept) => break (Answer::Approved(Approval::default()), Some(Ok(kept))),
                Err(NotKept::VaultFault) => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(_) => break (Answer::Abandoned, None),
            }
        };
        self.write_end(attempt, &answer, (Ruling::default(), kept)).await;
    }

    /// The end of an attempt whose card has been wiped.
    async fn end(&self, attempt: &UnderWay, answer: &Answer) -> Outcome {
        self.end_with(attempt, answer, None).await
    }

    /// Keeps the card of an approval that stays, and writes the end.
    async fn end_with(&self, attempt: &UnderWay, answer: &Answer, copy: Option<keep::CardCopy>) -> Outcome {
        let ruling = self.rule(attempt, answer);
        let kept = match answer {
            Answer::Approved(_) if attempt.keep.is_none() => None,
            Answer::Approved(_) if ruling.reversal.is_some() => Some(Err(NotKept::NotApproved)),
            Answer::Approved(approval) => Some(self.keep(attempt, approval, copy).await),
            _ => None,
        };
        self.write_end(attempt, answer, (ruling, kept)).await
    }

    /// Writes how an attempt ended, tells the switchboard, and begins what must follow. Returns how it stands then.
    async fn write_end(
        &self,
        attempt: &UnderWay,
        answer: &Answer,
        (ruling, kept): (Ruling, Option<Result<Kept, NotKept>>),
    ) -> Outcome {
        let id = attempt.operation.attempt;
        let Ruling { reversal, alarms } = ruling;
        let instead = reversal.and_then(Reversal::instead);
        let ending = Ending { kept, ..Ending::from_answer(answer, attempt.operation, reversal) };
        let keeping = ending.kept.as_ref().map(keep::told);
        let outcome = ending.outcome.clone();
        if outcome.is_known() && !matches!(ending.kept, Some(Ok(_))) {
            self.leave_no_card(attempt).await;
        }
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
            if matches!(answer, Answer::Rejected) && self.is_of_other_account(attempt).await {
                self.alarm(attempt, MoneyAlarm::OtherAccount);
            }
        } else {
            if let Some(Ok(kept)) = &ending.kept {
                self.unkeep(attempt, kept).await;
            }
            self.tell_if_otherwise(attempt, answer).await;
        }
        self.tell(attempt, told.clone(), keeping.filter(|_| is_news)).await;
        if let (true, Some(_)) = (is_news, reversal) {
            let wanted = Wanted { payment: attempt.payment, attempt: id };
            self.begin_reversal(wanted, instead.map(|outcome| (attempt.clone(), outcome)));
        }
        if is_news && reversal.is_none() { told } else { self.standing(id).await }
    }

    /// The gateway has approved of what somebody else has said was not done: it has the money.
    async fn tell_if_otherwise(&self, attempt: &UnderWay, answer: &Answer) {
        let noted = self.journal.find(attempt.operation.attempt).await;
        if matches!(answer, Answer::Approved(_)) && matches!(noted, Ok(Some(noted)) if !noted.is_approved) {
            self.alarm(attempt, MoneyAlarm::EndedOtherwise);
        }
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
    async fn tell(&self, attempt: &UnderWay, outcome: Outcome, kept: Option<Keeping>) {
        if matches!(attempt.operation.kind, Kind::Authorize | Kind::Store) {
            let (call, attempt) = (attempt.call, attempt.operation.attempt);
            // The switchboard is gone only when the process is ending; the journal has the outcome.
            let _ = self.ended.send(Ended { call, attempt, outcome, kept }).await;
        }
    }

    /// What the merchant's rules make of an answer.
    fn rule(&self, attempt: &UnderWay, answer: &Answer) -> Ruling {
        let approval = match answer {
            Answer::ActionRequired => return Ruling { alarms: vec![MoneyAlarm::NotMoto], ..Ruling::default() },
            Answer::Approved(approval) if attempt.takes_money() => approval,
            Answer::Rejected if attempt.operation.kind == Kind::ChargeStored => {
                tracing::error!(attempt = %attempt.operation.attempt, gateway = %attempt.gateway,
                    "a kept card was not charged, and no bank was asked: the gateway was not reached, refused the request, or does not \
                     have the card. Where the credential of another account was set, cards that were stored with the one before cannot be \
                     charged with it");
                return Ruling::default();
            }
            _ => return Ruling::default(),
        };
        let Some(merchant) = self.merchants.get(attempt.merchant.as_str()) else { return Ruling::default() };
        let is_stored = attempt.operation.kind == Kind::ChargeStored;
        let rules = if is_stored { merchant.checks.for_stored() } else { merchant.checks };
        let (rule, class) = rules.judge(&approval.checks);
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
        // A loss is counted and said by the journal.
        let _ = self.journal.audit(alarm_row(attempt, alarm));
    }
}

fn alarm_row(attempt: &UnderWay, alarm: MoneyAlarm) -> AuditEvent {
    let action = AuditAction::Money { payment: attempt.payment, alarm };
    AuditEvent { origin: Origin::System, call: attempt.call, extension: attempt.extension.clone(), action }
}
