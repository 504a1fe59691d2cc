//! Sending an attempt to its gateway and learning how it ended.
//!
//! # Invariants
//! - The attempt is on disk before the first byte is sent.
//! - Every answer but a documented one is `Unknown`; an `Unknown` is settled by asking the gateway, for as long as it
//!   takes, also after a restart.
//! - No connection is kept after an answer, so that no buffer with a card in it lives on in a pool.

use crate::clock;
use crate::config::{self, Config};
use crate::journal::{Journal, NewAttempt, OpenAttempt};
use gateway::{Adapter, Answer, Following, HttpRequest, Operation, Request, Sent, Terms};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::{AttemptId, CallId, Currency, MerchantId, Money, Outcome};

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

/// All gateways.
#[derive(Clone)]
pub(crate) struct Charger {
    terminals: Arc<BTreeMap<String, Terminal>>,
    merchants: Arc<BTreeMap<String, String>>,
    client: reqwest::Client,
    journal: Journal,
    ended: mpsc::Sender<Ended>,
}

/// A request that is built and not yet sent. It holds the card in wiped memory.
pub(crate) struct Built {
    pub(crate) gateway: String,
    pub(crate) merchant: MerchantId,
    pub(crate) operation: Operation,
    /// Without an answer by then its outcome is unknown.
    pub(crate) deadline_ms: i64,
    pub(crate) request: HttpRequest,
    /// What the journal's digest is made of: the request without the card.
    pub(crate) redacted: Vec<u8>,
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
    pub(crate) fn new(config: &Config, journal: Journal, ended: mpsc::Sender<Ended>) -> Result<Self, ChargerError> {
        let mut terminals = BTreeMap::new();
        for gateway in &config.gateway {
            terminals.insert(gateway.name.clone(), terminal(gateway)?);
        }
        let merchants = config.merchants().into_iter().map(|(m, g)| (m.to_owned(), g.to_owned())).collect();
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { terminals: Arc::new(terminals), merchants: Arc::new(merchants), client, journal, ended })
    }

    /// Builds the request for an attempt. `None` when the merchant has no gateway.
    pub(crate) fn build(
        &self,
        attempt: AttemptId,
        merchant: &MerchantId,
        sending: &payment::Sending<'_>,
    ) -> Option<Built> {
        let gateway = self.merchants.get(merchant.as_str())?;
        let terminal = self.terminals.get(gateway)?;
        let (amount, card, terms) = (sending.amount, sending.card, Terms::default());
        let asked = Request::Authorize { attempt, amount, card, merchant, terms };
        let (operation, request) = (asked.operation(), terminal.adapter.build(&asked));
        let deadline_ms = i64::try_from(terminal.timeout.as_millis()).unwrap_or(i64::MAX);
        let (redacted, merchant) = (request.redacted(), merchant.clone());
        Some(Built { gateway: gateway.clone(), merchant, operation, deadline_ms, redacted, request })
    }

    /// Puts the attempt on disk; `Ok` means that it may be sent.
    pub(crate) async fn begin(&self, attempt: NewAttempt) -> Result<(), crate::journal::JournalError> {
        self.journal.begin(attempt).await
    }

    /// Sends it and follows it to its end.
    pub(crate) async fn charge(&self, call: CallId, attempt: AttemptId, built: Built) {
        let Some(terminal) = self.terminals.get(&built.gateway) else { return };
        let sent = self.send(terminal, built.request).await;
        let answer = terminal.adapter.parse(built.operation, sent);
        self.end(call, attempt, outcome(&answer, built.operation)).await;
        if !answer.is_final() {
            let Built { gateway, merchant, operation, .. } = built;
            let open = OpenAttempt { operation, call, gateway, merchant, sent_unix_ms: clock::unix_ms() };
            self.settle(open, answer.locator().map(str::to_owned)).await;
        }
    }

    /// Attempts that were in flight when the process before this one ended.
    pub(crate) async fn settle_left_over(self) {
        let open = match self.journal.open_attempts().await {
            Ok(open) => open,
            Err(error) => return tracing::error!(%error, "the journal's open attempts could not be read"),
        };
        for attempt in open {
            let id = attempt.operation.attempt;
            tracing::warn!(attempt = %id, "an attempt was in flight when this process ended: asking the gateway");
            self.end(attempt.call, id, Outcome::Unknown).await;
            let charger = self.clone();
            tokio::spawn(async move { charger.settle(attempt, None).await });
        }
    }

    /// Asks the gateway until it answers.
    async fn settle(&self, open: OpenAttempt, locator: Option<String>) {
        let OpenAttempt { operation, call, gateway, merchant, sent_unix_ms } = open;
        let attempt = operation.attempt;
        let Some(terminal) = self.terminals.get(&gateway) else {
            return tracing::error!(%gateway, %attempt,
                "an attempt's gateway is no longer in cde.toml: its outcome stays unknown until it is there again");
        };
        let mut following = Following::new(operation, merchant, locator, sent_unix_ms);
        loop {
            tokio::time::sleep(Duration::from_millis(following.pause_ms())).await;
            let Some(request) = following.ask(clock::unix_ms(), terminal.adapter.as_ref()) else {
                return tracing::error!(%gateway, %attempt,
                    "this gateway cannot be asked what became of the attempt: its outcome stays unknown");
            };
            let sent = self.send(terminal, request).await;
            if let Some(answer) = following.answer(terminal.adapter.as_ref(), sent) {
                return self.end(call, attempt, outcome(&answer, operation)).await;
            }
        }
    }

    async fn end(&self, call: CallId, attempt: AttemptId, outcome: Outcome) {
        while let Err(error) = self.journal.end(attempt, outcome.clone()).await {
            tracing::error!(%error, %attempt, "an outcome could not be written; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // The switchboard is gone only when the process is ending; the journal has the outcome.
        let _ = self.ended.send(Ended { call, attempt, outcome }).await;
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

/// What the switchboard and the office learn. Where no money moves there is none in an approval either.
fn outcome(answer: &Answer, operation: Operation) -> Outcome {
    answer.outcome(operation.amount.unwrap_or(Money { minor: 0, currency: Currency::GBP }))
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
