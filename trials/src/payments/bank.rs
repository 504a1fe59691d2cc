//! A sandbox acquirer of our own, which is closed and opened again with the same books.

use super::Shop;
use anyhow::Context;
use card::YearMonth;
use lab::acquirer;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What webhooks are signed with. It is worth nothing.
pub(super) const WEBHOOK_SECRET: &str = "whsec_trial";
/// After so long a charge's answer is given up; some answers are later.
pub(super) const TIMEOUT_MS: u64 = 1_000;
const LATE_MS: u64 = 1_500;

pub(super) struct Bank {
    pub(super) shop: Shop,
    pub(super) at: SocketAddr,
    books: Arc<Mutex<acquirer::Bank>>,
    serving: Option<JoinHandle<()>>,
}

impl Bank {
    pub(super) async fn open(shop: Shop) -> anyhow::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let unix_ms = i64::try_from(since.as_millis())?;
        let books = acquirer::Bank::new(Instant::now(), YearMonth::at_unix_ms(unix_ms)).opened_at(unix_ms);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut bank = Self { shop, at: listener.local_addr()?, books: Arc::new(Mutex::new(books)), serving: None };
        bank.serve(listener);
        Ok(bank)
    }

    fn serve(&mut self, listener: TcpListener) {
        let books = Arc::clone(&self.books);
        self.serving = Some(tokio::spawn(async move {
            // It is ended from outside only.
            drop(acquirer::serve(listener, books).await);
        }));
    }

    /// Nobody answers any more.
    pub(super) fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    pub(super) async fn reopen(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.at).await.with_context(|| format!("{} is taken", self.at))?;
        self.serve(listener);
        Ok(())
    }

    pub(super) async fn tell_webhooks(&self, inbound: SocketAddr) -> anyhow::Result<()> {
        let url = format!("http://{inbound}/webhooks/{}", self.shop.name());
        let shape = if self.shop == Shop::Stripe { "stripe" } else { "sandbox" };
        self.post("/v1/webhooks", &json!({"url": url, "secret": WEBHOOK_SECRET, "shape": shape})).await
    }

    /// All that can break does.
    pub(super) async fn break_down(&self, seed: u64) -> anyhow::Result<()> {
        let order = json!({
            "seed": seed, "delay_ms": LATE_MS, "idempotency": self.shop != Shop::Keyless,
            "per_mille": {"drop_before": 15, "drop_after": 40, "error_500_after": 40, "delay": 30, "truncate": 40,
                "not_executed": 20},
            "webhooks": {"lost": 100, "duplicate": 300, "late": 300, "late_ms": 3000},
            "reads": {"lost": 40}, "limits": self.limits(),
        });
        self.post("/v1/faults", &order).await
    }

    /// It works again.
    pub(super) async fn mend(&self) -> anyhow::Result<()> {
        let order = json!({"idempotency": self.shop != Shop::Keyless, "limits": self.limits()});
        self.post("/v1/faults", &order).await
    }

    /// What Stripe answers a second, also when it is well (docs.stripe.com/rate-limits).
    fn limits(&self) -> Value {
        if self.shop == Shop::Stripe { json!({"reads": 100, "writes": 100, "searches": 20}) } else { json!({}) }
    }

    /// Everything that was charged or declined.
    pub(super) async fn ledger(&self) -> anyhow::Result<Vec<Value>> {
        let answer = client()?.get(format!("http://{}/v1/ledger", self.at)).send().await?.json::<Value>().await?;
        answer["charges"].as_array().cloned().context("no ledger")
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let url = format!("http://{}{path}", self.at);
        client()?.post(url).json(body).send().await?.error_for_status()?;
        Ok(())
    }
}

pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?)
}
