//! Sending an attempt to its gateway and learning how it ended.
//!
//! # Invariants
//! - The attempt is on disk before the first byte is sent.
//! - Every answer but a documented one is `Unknown`; an `Unknown` is settled by asking the gateway, for as long as it
//!   takes, also after a restart.
//! - An approval that is to be given back is marked so in the transaction that writes it, and followed until it is.
//! - No connection is kept after an answer, so that no buffer with a card in it lives on in a pool.

mod follow_up;
mod people;
mod reversal;

pub(crate) use follow_up::FollowUp;

use crate::clock;
use crate::config::{self, Config, LateApproval};
use crate::journal::{Ending, Journal, NewAttempt, OpenAttempt, Reversal, Wanted};
use aws_lc_rs::hmac;
use gateway::{Adapter, Answer, CheckRules, Following, HttpRequest, Keep, Kind, Operation, Request, Rule, Sent, Terms};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
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

/// One configured gateway.
struct Terminal {
    adapter: Box<dyn Adapter>,
    url: String,
    timeout: Duration,
}

/// What the cde's file says of one merchant.
struct Merchant {
    gateway: String,
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
    client: reqwest::Client,
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
    pub(crate) request: HttpRequest,
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

/// Why the gateways cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChargerError {
    /// An adapter refuses to start.
    #[error("gateway {name}: {message}")]
    Startup {
        /// Which.
        name: String,
        /// Why, and the way out.
        message: String,
    },
    /// The HTTP client cannot be made.
    #[error("gateway client: {0}")]
    Client(#[from] reqwest::Error),
}

impl Charger {
    pub(crate) fn new(
        config: &Config,
        journal: Journal,
        digest_key: hmac::Key,
        live: LiveCalls,
        ended: mpsc::Sender<Ended>,
    ) -> Result<Self, ChargerError> {
        let mut terminals = BTreeMap::new();
        for gateway in &config.gateway {
            terminals.insert(gateway.name.clone(), terminal(gateway)?);
        }
        let merchant = |merchant: &config::Merchant| {
            let &config::Merchant { ref gateway, late_approval, checks, .. } = merchant;
            (merchant.id.clone(), Merchant { gateway: gateway.clone(), late_approval, checks })
        };
        let merchants = Arc::new(config.merchant.iter().map(merchant).collect());
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { terminals: Arc::new(terminals), merchants, client, journal, digest_key, live, ended })
    }

    /// Builds the request for an attempt.
    pub(crate) fn build(
        &self,
        attempt: AttemptId,
        merchant: &MerchantId,
        sending: &payment::Sending<'_>,
    ) -> Result<Built, Refusal> {
        let configured = self.merchants.get(merchant.as_str()).ok_or(Refusal::UnknownMerchant)?;
        let terminal = self.terminals.get(&configured.gateway).ok_or(Refusal::UnknownMerchant)?;
        let (amount, card, order) = (sending.amount, sending.card, sending.order);
        let keep = match order.store {
            Store::None => Keep::Nothing,
            Store::Token => Keep::Token,
        };
        let (capture, avs) = (order.capture, order.avs.as_ref());
        let partial_approval = order.partial && terminal.adapter.caps().partial_approval;
        let terms = Terms { capture, avs, keep, partial_approval, agreement: None };
        let asked = Request::Authorize { attempt, amount, card, merchant, terms };
        self.built(&configured.gateway, terminal, &asked)
    }

    fn built(&self, gateway: &str, terminal: &Terminal, asked: &Request<'_>) -> Result<Built, Refusal> {
        if let Some(reason) = terminal.adapter.caps().unsupported(asked) {
            tracing::warn!(%gateway, %reason, "not sent");
            return Err(Refusal::Unsupported);
        }
        let request = terminal.adapter.build(asked);
        let deadline_ms = i64::try_from(terminal.timeout.as_millis()).unwrap_or(i64::MAX);
        let digest = hex(hmac::sign(&self.digest_key, &request.redacted()).as_ref());
        Ok(Built { gateway: gateway.to_owned(), operation: asked.operation(), deadline_ms, request, digest })
    }

    /// Puts the attempt on disk; `Ok` means that it may be sent.
    pub(crate) async fn begin(&self, attempt: NewAttempt) -> Result<(), crate::journal::JournalError> {
        self.journal.begin(attempt).await
    }

    /// Sends it and follows it to its end.
    pub(crate) async fn carry(&self, attempt: UnderWay, request: HttpRequest) -> Outcome {
        let Some(terminal) = self.terminals.get(&attempt.gateway) else { return Outcome::Unknown };
        let sent = self.send(terminal, request).await;
        let answer = terminal.adapter.parse(attempt.operation, sent);
        let outcome = self.end(&attempt, &answer).await;
        if answer.is_final() {
            return outcome;
        }
        self.settle(attempt, answer.locator().map(str::to_owned), clock::unix_ms()).await
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
        let OpenAttempt { operation, payment, call, extension, gateway, merchant, locator, sent_unix_ms } = open;
        let id = operation.attempt;
        tracing::warn!(attempt = %id, "an attempt was in flight when this process ended: asking the gateway");
        let attempt = UnderWay { operation, payment, call, extension, gateway, merchant };
        self.end(&attempt, &Answer::UNKNOWN).await;
        let charger = self.clone();
        tokio::spawn(async move { charger.settle(attempt, locator, sent_unix_ms).await });
    }

    /// Asks the gateway until it answers. Unknown only where it cannot be asked.
    async fn settle(&self, attempt: UnderWay, locator: Option<String>, sent_unix_ms: i64) -> Outcome {
        let (id, gateway) = (attempt.operation.attempt, &attempt.gateway);
        let Some(terminal) = self.terminals.get(gateway) else {
            tracing::error!(%gateway, attempt = %id,
                "an attempt's gateway is no longer in cde.toml: its outcome stays unknown until it is there again");
            return Outcome::Unknown;
        };
        let mut following = Following::new(attempt.operation, attempt.merchant.clone(), locator, sent_unix_ms);
        loop {
            tokio::time::sleep(Duration::from_millis(following.pause_ms())).await;
            let Some(request) = following.ask(clock::unix_ms(), terminal.adapter.as_ref()) else {
                tracing::error!(%gateway, attempt = %id,
                    "this gateway cannot be asked what became of an attempt: two people must find out and say");
                self.alarm(&attempt, MoneyAlarm::NeedsPeople);
                return Outcome::Unknown;
            };
            let sent = self.send(terminal, request).await;
            if let Some(answer) = following.answer(terminal.adapter.as_ref(), sent) {
                return self.end(&attempt, &answer).await;
            }
        }
    }

    /// Writes how an attempt ended, tells the switchboard, and begins what must follow.
    async fn end(&self, attempt: &UnderWay, answer: &Answer) -> Outcome {
        let id = attempt.operation.attempt;
        let Ruling { reversal, alarms } = self.rule(attempt, answer);
        let instead = reversal.and_then(Reversal::instead);
        let ending = Ending::from_answer(answer, attempt.operation, reversal);
        let outcome = ending.outcome.clone();
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
        // An approval that goes back is none for the agent: the outcome is being confirmed until it is back.
        let told = if instead.is_some() { Outcome::Unknown } else { outcome.clone() };
        self.tell(attempt, told).await;
        if let (true, Some(_)) = (is_news, reversal) {
            let wanted = Wanted { payment: attempt.payment, attempt: id };
            self.begin_reversal(wanted, instead.map(|outcome| (attempt.clone(), outcome)));
        }
        outcome
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

    async fn send(&self, terminal: &Terminal, request: HttpRequest) -> Sent {
        let url = format!("{}{}", terminal.url, request.path);
        let mut builder = match request.method {
            gateway::Method::Get => self.client.get(url),
            gateway::Method::Post => self.client.post(url),
            gateway::Method::Delete => self.client.delete(url),
        };
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let response = builder.timeout(terminal.timeout).body(request.body.into_bytes()).send().await;
        match response {
            // Only a connection that never stood proves that nothing was sent.
            Err(error) if error.is_connect() => Sent::NotSent,
            Err(_) => Sent::Broken,
            Ok(response) => {
                let status = response.status().as_u16();
                match response.bytes().await {
                    Ok(body) if body.len() <= gateway::ANSWER_BYTES_MAX => {
                        Sent::Response { status, body: body.to_vec() }
                    }
                    _ => Sent::Broken,
                }
            }
        }
    }
}

fn terminal(configured: &config::Gateway) -> Result<Terminal, ChargerError> {
    let adapter: Box<dyn Adapter> = match configured.kind {
        config::GatewayKind::Sandbox => Box::new(gateway::Sandbox::new(gateway::Sandbox::TEST_KEY.to_owned())),
    };
    gateway::check_startup(adapter.caps(), configured.moto_confirmed)
        .map_err(|error| ChargerError::Startup { name: configured.name.clone(), message: error.to_string() })?;
    Ok(Terminal {
        adapter,
        url: configured.url.trim_end_matches('/').to_owned(),
        timeout: Duration::from_millis(configured.timeout_ms_max),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
