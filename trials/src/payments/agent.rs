//! Agents: each takes one payment after the other and believes what it is told.
//!
//! An agent that gets no answer asks again for the same transaction, as Twilio does. One that is told that the outcome is
//! being confirmed leaves the payment and asks later. Only one that is told that nothing was taken takes the payment anew.

use super::Shop;
use super::bank::client;
use super::cde::{PASSWORD, USER};
use crate::dice::Dice;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What a caller waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// After so many answers that did not come, although there was somebody, it leaves the payment.
const SILENCES_MAX: u32 = 2;
const PAUSE: Duration = Duration::from_millis(50);
/// Of one payment that comes to nothing again and again.
const TRIES_MAX: u32 = 200;
const GOOD: &str = "4242424242424242";
const DECLINED: &str = "4000000000009995";

/// Something to be paid. No two of a shop have the same amount.
pub(super) struct Invoice {
    pub(super) number: usize,
    pub(super) shop: Shop,
    first_card: &'static str,
    tries: u32,
}

impl Invoice {
    pub(super) fn new(number: usize, shop: Shop, dice: &mut Dice) -> Self {
        let first_card = if dice.pick(20) == 0 { DECLINED } else { GOOD };
        Self { number, shop, first_card, tries: 0 }
    }

    pub(super) fn minor(&self) -> i64 {
        1_000 + self.number as i64
    }

    fn card(&self) -> &'static str {
        if self.tries == 0 { self.first_card } else { GOOD }
    }
}

/// What an agent was told at last.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Paid(String),
    /// Nothing was taken.
    NotPaid,
    Unknown,
}

/// What came of an invoice.
#[derive(Default)]
pub(super) struct Believed {
    /// The gateway's names of charges that were said to be approved: one, or none yet.
    pub(super) paid: Vec<String>,
    /// How often an agent was told that nothing was taken.
    pub(super) not_paid: u32,
    pub(super) unknown: bool,
}

pub(super) struct Agents {
    inbound: SocketAddr,
    naive: bool,
    client: reqwest::Client,
    queue: Mutex<Vec<Invoice>>,
    parked: Mutex<Vec<Invoice>>,
    pub(super) believed: Mutex<BTreeMap<(&'static str, usize), Believed>>,
    pub(super) findings: Mutex<Vec<String>>,
    taken: AtomicUsize,
    done: AtomicUsize,
    allowed: AtomicUsize,
    a_step: AtomicUsize,
}

/// Agents at work.
pub(super) struct AtWork(JoinSet<anyhow::Result<()>>);

impl AtWork {
    pub(super) async fn wait(mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.0.join_next().await {
            ended.context("an agent fell")??;
        }
        Ok(())
    }
}

impl Agents {
    pub(super) fn new(inbound: SocketAddr, naive: bool) -> anyhow::Result<Self> {
        Ok(Self {
            inbound,
            naive,
            client: client()?,
            queue: Mutex::default(),
            parked: Mutex::default(),
            believed: Mutex::default(),
            findings: Mutex::default(),
            taken: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            allowed: AtomicUsize::new(0),
            a_step: AtomicUsize::new(0),
        })
    }

    /// Begins with these; no more than a step of them before the first kill, and a step more after each.
    pub(super) fn begin(self: &Arc<Self>, mut invoices: Vec<Invoice>, step: usize, agents: usize) -> AtWork {
        invoices.reverse();
        *lock(&self.queue) = invoices;
        self.taken.store(0, Ordering::SeqCst);
        self.done.store(0, Ordering::SeqCst);
        self.a_step.store(step, Ordering::SeqCst);
        self.allowed.store(step, Ordering::SeqCst);
        let mut working = JoinSet::new();
        for _ in 0..agents {
            let own = Arc::clone(self);
            working.spawn(async move { own.work().await });
        }
        AtWork(working)
    }

    pub(super) fn allow_one_more(&self) {
        self.allowed.fetch_add(self.a_step.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    pub(super) fn allow_all(&self) {
        self.allowed.store(usize::MAX, Ordering::SeqCst);
    }

    pub(super) async fn done_at_least(&self, count: usize) {
        while self.done.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn work(&self) -> anyhow::Result<()> {
        loop {
            if self.taken.load(Ordering::SeqCst) >= self.allowed.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(2)).await;
                continue;
            }
            let Some(mut invoice) = lock(&self.queue).pop() else { return Ok(()) };
            self.taken.fetch_add(1, Ordering::SeqCst);
            match self.take(&mut invoice, PATIENCE).await? {
                Told::Unknown => lock(&self.parked).push(invoice),
                Told::Paid(_) | Told::NotPaid => {}
            }
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Until it is paid, or nobody knows whether it is.
    async fn take(&self, invoice: &mut Invoice, patience: Duration) -> anyhow::Result<Told> {
        let key = (invoice.shop.name(), invoice.number);
        loop {
            let told = self.ask(invoice, patience).await;
            {
                let mut believed = lock(&self.believed);
                let believed = believed.entry(key).or_default();
                believed.unknown = told == Told::Unknown;
                match &told {
                    Told::Paid(name) => believed.paid.push(name.clone()),
                    Told::NotPaid => believed.not_paid += 1,
                    Told::Unknown => {}
                }
            }
            if told != Told::NotPaid {
                self.ask_once_more(invoice, &told).await;
                return Ok(told);
            }
            invoice.tries += 1;
            if invoice.tries > TRIES_MAX {
                bail!("invoice {key:?} comes to nothing");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What was said once stands: one in eight asks again.
    async fn ask_once_more(&self, invoice: &Invoice, told: &Told) {
        if *told == Told::Unknown || !invoice.number.is_multiple_of(8) {
            return;
        }
        if let Some(again) = self.post(invoice, PATIENCE).await.filter(|again| *again != Told::Unknown && again != told)
        {
            lock(&self.findings).push(format!("invoice {}: {told:?}, and then {again:?}", invoice.number));
        }
    }

    /// Asks for one transaction until there is an answer, or long enough.
    async fn ask(&self, invoice: &mut Invoice, patience: Duration) -> Told {
        let mut silences = 0;
        loop {
            let began = Instant::now();
            match self.post(invoice, patience).await {
                Some(told) => return told,
                // The mistake that must be found out.
                None if self.naive => invoice.tries += 1,
                None => silences += u32::from(began.elapsed() >= patience),
            }
            // Some are gone when the connection breaks: then an approval comes late.
            let is_gone = invoice.shop == Shop::Keyless && invoice.number % 8 < 4 && !self.naive;
            if silences >= SILENCES_MAX || is_gone {
                return Told::Unknown;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// None without an answer that can be read.
    async fn post(&self, invoice: &Invoice, patience: Duration) -> Option<Told> {
        let shop = invoice.shop.name();
        let body = json!({
            "method": "charge", "transaction_id": format!("{shop}-{}-{}", invoice.number, invoice.tries),
            "cardnumber": invoice.card(), "cvv": "123", "expiry_month": "12", "expiry_year": "35",
            "amount": format!("{}.{:02}", invoice.minor() / 100, invoice.minor() % 100), "currency_code": "GBP",
        });
        let url = format!("http://{}/pay-connector/{shop}", self.inbound);
        let request = self.client.post(url).basic_auth(USER, Some(PASSWORD)).timeout(patience);
        let answer = request.body(body.to_string()).send().await.ok()?.json::<Value>().await.ok()?;
        match (answer["charge_id"].as_str(), answer["error_code"].as_str()) {
            (Some(name), None) => Some(Told::Paid(name.to_owned())),
            (None, Some("outcome_unknown")) => Some(Told::Unknown),
            (None, Some("not_processed" | "insufficient_funds" | "card_declined")) => Some(Told::NotPaid),
            // It must be asked again for the same transaction.
            (None, Some("try_again_later")) => None,
            _ => {
                lock(&self.findings).push(format!("an answer that is none: {answer}"));
                None
            }
        }
    }

    /// Asks for what was unknown until it is known, all at the same time.
    pub(super) async fn settle(self: &Arc<Self>, most: Duration) -> anyhow::Result<()> {
        let parked = std::mem::take(&mut *lock(&self.parked));
        let until = Instant::now() + most;
        let mut asking = JoinSet::new();
        for mut invoice in parked {
            let own = Arc::clone(self);
            asking.spawn(async move {
                while let Told::Unknown = own.take(&mut invoice, most).await? {
                    if Instant::now() > until {
                        // Whoever judges says so.
                        return Ok(());
                    }
                    tokio::time::sleep(PAUSE * 10).await;
                }
                Ok(())
            });
        }
        AtWork(asking).wait().await
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
