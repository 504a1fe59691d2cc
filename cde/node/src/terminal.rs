//! One configured gateway: its adapter, its key, and how its requests are sent.
//!
//! # Invariants
//! - No connection is kept after an answer, so that no buffer with a card in it lives on in a pool.
//! - A key stands in memory that is wiped, and is printed nowhere; a message names the file or variable that it is in.
//! - What one credential has sent is never carried on by another: whoever sends or asks says by which.

mod questions;

use crate::config::{AdapterKind, Config, Gateway};
use crate::credentials::Secrets;
use aws_lc_rs::hmac;
use gateway::{
    Adapter, Adyen, Answer, Following, Heard, HttpRequest, INQUIRY_STEPS_MAX, KeyError, Operation, PayConnector,
    Period, Plan, ReadPage, STEPS_MAX,
};
use gateway::{Lane, Sandbox, Sent, Step, Stripe};
use questions::Questions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use vault::hex::hex;
use wire::CredentialSlot;
use zeroize::Zeroizing;

/// A gateway with which no connection stands within this, or half of its `timeout_ms_max`, has got nothing: another may be
/// asked.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest key.
const KEY_BYTES_MAX: u64 = 4096;

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

/// One configured gateway.
pub(crate) struct Terminal {
    ready: RwLock<Ready>,
    digest_key: hmac::Key,
    pub(crate) configured: Gateway,
    url: String,
    timeout: Duration,
    client: reqwest::Client,
    questions: Questions,
}

/// An adapter with its key, and what tells this key from another. As long as somebody has it, it can be asked by it.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) adapter: Arc<dyn Adapter>,
    /// Of the key and of all that says with it which account of which gateway is spoken to, a digest by a key of this
    /// installation: nobody gets the key out of it, and it is the same after a restart.
    pub(crate) credential: String,
}

/// What a gateway is spoken to with; no login while it waits for a key from the office.
#[derive(Clone, Default)]
struct Ready {
    login: Option<Login>,
    has_webhooks: bool,
}

impl Ready {
    /// With what was given in the office. Without a key nothing is sent.
    fn of(configured: &Gateway, given: &Secrets, digest_key: &hmac::Key) -> Result<Self, String> {
        let secret = |slot| given.get(&slot).map(|secret: &Zeroizing<String>| secret.as_str().to_owned());
        let Some(key) = secret(CredentialSlot::Key) else { return Ok(Self::default()) };
        let webhook = secret(CredentialSlot::WebhookKey);
        let has_webhooks = webhook.is_some();
        let login = with_keys(configured, Some(key), webhook, digest_key)?;
        gateway::check_startup(login.adapter.caps(), configured.moto_confirmed).map_err(|error| error.to_string())?;
        Ok(Self { login: Some(login), has_webhooks })
    }
}

impl Terminal {
    /// Reads its keys; relative paths start at the folder. `given` is what the office has given.
    pub(crate) fn new(
        configured: &Gateway,
        folder: &Path,
        given: &Secrets,
        digest_key: &hmac::Key,
    ) -> Result<Self, ChargerError> {
        let timeout = Duration::from_millis(configured.timeout_ms_max);
        let now = if configured.key_from_office {
            let startup = |message| ChargerError::Startup { name: configured.name.clone(), message };
            Ready::of(configured, given, digest_key).map_err(startup)?
        } else {
            let login = ready(configured, folder, digest_key)?;
            Ready { login: Some(login), has_webhooks: has_webhook_key(configured) }
        };
        Ok(Self {
            ready: RwLock::new(now),
            digest_key: digest_key.clone(),
            configured: configured.clone(),
            url: configured.url().unwrap_or_default().trim_end_matches('/').to_owned(),
            timeout,
            client: client(timeout)?,
            questions: Questions::default(),
        })
    }

    /// Its adapter; none while it waits for a credential.
    pub(crate) fn adapter(&self) -> Option<Arc<dyn Adapter>> {
        self.login().map(|login| login.adapter)
    }

    /// What it is spoken to with now; none while it waits for a credential.
    pub(crate) fn login(&self) -> Option<Login> {
        self.ready.read().unwrap_or_else(PoisonError::into_inner).login.clone()
    }

    /// Was an attempt sent by another credential than the one of now, so that this one cannot prove that there is none?
    /// Of an attempt of a journal that noted none it is taken to be the same.
    pub(crate) fn is_other(&self, sent_by: Option<&str>) -> bool {
        let now = self.login();
        sent_by.zip(now.as_ref()).is_some_and(|(sent_by, now)| sent_by != now.credential)
    }

    /// Can its webhooks be believed?
    pub(crate) fn has_webhooks(&self) -> bool {
        self.ready.read().unwrap_or_else(PoisonError::into_inner).has_webhooks
    }

    /// Would the adapter take these credentials? A secret for webhooks may come before the key.
    pub(crate) fn check(&self, given: &Secrets) -> Result<(), String> {
        Ready::of(&self.configured, given, &self.digest_key).map(drop)
    }

    /// Uses these credentials from now on, if the adapter takes them; else it goes on as it was.
    pub(crate) fn give(&self, given: &Secrets) -> Result<(), String> {
        let fresh = Ready::of(&self.configured, given, &self.digest_key)?;
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The longest that an operation of so many requests takes, in milliseconds.
    pub(crate) fn deadline_ms(&self, plan: &Plan) -> i64 {
        let requests = u32::try_from(plan.len()).unwrap_or(u32::MAX).saturating_add(1);
        i64::try_from(self.timeout.saturating_mul(requests).as_millis()).unwrap_or(i64::MAX)
    }

    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends an operation's requests, one after another, all by the credential that the first was built with.
    pub(crate) async fn run(
        &self,
        adapter: &dyn Adapter,
        operation: Operation,
        request: HttpRequest,
        mut plan: Plan,
    ) -> Answer {
        let mut sent = self.send_at_once(request).await;
        for _ in 0..STEPS_MAX {
            match adapter.step(&mut plan, operation, sent) {
                Step::Done(answer) => return answer,
                Step::Next(request) => sent = self.send_at_once(request).await,
            }
        }
        Answer::UNKNOWN
    }

    /// Whoever waits for a payment stands in no queue; those who do leave the gateway more room if this was too much.
    async fn send_at_once(&self, request: HttpRequest) -> Sent {
        let lane = Lane::of(&request);
        let sent = self.send(request).await;
        if sent.is_too_much() { self.questions.noted(lane, sent) } else { sent }
    }

    /// Asks once what became of an attempt, in as many requests as that takes, all by one credential, each in its turn.
    pub(crate) async fn ask(&self, login: &Login, following: &mut Following, request: HttpRequest) -> Option<Answer> {
        let mut sent = self.question(login, request).await;
        for left in (0..INQUIRY_STEPS_MAX).rev() {
            match following.hear(login.adapter.as_ref(), sent) {
                Heard::Known(answer) => return Some(answer),
                Heard::Ask(request) if left > 0 => sent = self.question(login, request).await,
                Heard::Ask(_) | Heard::Nothing => return None,
            }
        }
        None
    }

    /// Sends an operation's requests as [`run`](Self::run) does, each in its turn: nobody waits for it.
    pub(crate) async fn run_in_turn(
        &self,
        login: &Login,
        operation: Operation,
        request: HttpRequest,
        mut plan: Plan,
    ) -> Answer {
        let mut sent = self.question(login, request).await;
        for _ in 0..STEPS_MAX {
            match login.adapter.step(&mut plan, operation, sent) {
                Step::Done(answer) => return answer,
                Step::Next(request) => sent = self.question(login, request).await,
            }
        }
        Answer::UNKNOWN
    }

    async fn question(&self, login: &Login, request: HttpRequest) -> Sent {
        self.questions.put(&login.credential, request, async |request| self.send(request).await).await
    }

    /// Can it be asked what money moved?
    pub(crate) fn reports(&self) -> bool {
        let any = Period { from_unix_ms: 0, until_unix_ms: 1 };
        self.adapter().is_some_and(|adapter| adapter.report(any, None).is_some())
    }

    /// A page of what moved, and whose words it is in; none if it could not be had whole.
    pub(crate) async fn report(&self, period: Period, after: Option<&str>) -> Option<(&'static str, ReadPage)> {
        let login = self.login()?;
        let sent = self.question(&login, login.adapter.report(period, after)?).await;
        Some((login.adapter.caps().name, login.adapter.read_report(sent)?))
    }

    async fn send(&self, request: HttpRequest) -> Sent {
        let url = format!("{}{}", self.url, request.path);
        let mut builder = match request.method {
            gateway::Method::Get => self.client.get(url),
            gateway::Method::Post => self.client.post(url),
            gateway::Method::Delete => self.client.delete(url),
        };
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let response = builder.timeout(self.timeout).body(request.body.into_bytes()).send().await;
        match response {
            // Only a connection that never stood proves that nothing was sent.
            Err(error) if error.is_connect() => Sent::NotSent,
            Err(_) => Sent::Broken,
            Ok(response) => {
                let status = response.status().as_u16();
                body(response).await.map_or(Sent::Broken, |body| Sent::Response { status, body })
            }
        }
    }
}

/// What has no connection in time must end before the whole request does: then nothing was sent, which is a proof.
fn client(timeout: Duration) -> Result<reqwest::Client, ChargerError> {
    let builder = reqwest::Client::builder().connect_timeout(CONNECT_MAX.min(timeout / 2));
    let builder = builder.pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none()).no_proxy();
    Ok(builder.build()?)
}

/// A whole body. None where it breaks off, or is longer than any answer: of that no more is read.
async fn body(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > gateway::ANSWER_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// Whether the gateways' keys are there and good, and what of them deserves a warning.
///
/// # Errors
/// The gateway, and what is wrong with it.
pub fn check_gateways(config: &Config, folder: &Path) -> Result<Vec<String>, ChargerError> {
    let mut warnings = Vec::new();
    // What the office gives is no key that could be looked at here.
    for configured in config.gateway.iter().filter(|gateway| !gateway.key_from_office) {
        let login = ready(configured, folder, &hmac::Key::new(hmac::HMAC_SHA256, b""))?;
        let (name, caps) = (&configured.name, login.adapter.caps());
        if configured.adapter == AdapterKind::Sandbox {
            warnings.push(format!("gateway {name} is the sandbox: it takes test cards only and moves no money"));
        } else if !caps.verified {
            warnings.push(format!(
                "gateway {name}: its adapter ({}) was checked against our own examples only: make a small payment and look \
                 for it at the gateway before you rely on it",
                caps.name
            ));
        }
        if caps.inquiry == gateway::Inquiry::None {
            warnings.push(format!(
                "gateway {name} cannot be asked what became of a payment: where its answer is lost, its webhook or people \
                 settle it"
            ));
        }
        if configured.adapter == AdapterKind::Adyen && !has_webhook_key(configured) {
            warnings.push(format!(
                "gateway {name} has no webhook_key_file or webhook_key_env: how captures, cancels and refunds end is only \
                 said by signed webhooks"
            ));
        }
        if configured.moto_confirmed && caps.moto == gateway::Moto::ByRoute {
            warnings
                .push(format!("gateway {name}: it is your word (moto_confirmed) that it takes telephone orders only"));
        }
    }
    Ok(warnings)
}

fn has_webhook_key(configured: &Gateway) -> bool {
    configured.webhook_key_file.is_some() || configured.webhook_key_env.is_some()
}

/// The adapter with its keys, if the process may start with it.
fn ready(configured: &Gateway, folder: &Path, digest_key: &hmac::Key) -> Result<Login, ChargerError> {
    let startup = |message: String| ChargerError::Startup { name: configured.name.clone(), message };
    let login = login(configured, folder, digest_key).map_err(startup)?;
    let checked = gateway::check_startup(login.adapter.caps(), configured.moto_confirmed);
    checked.map_err(|error| startup(error.to_string()))?;
    Ok(login)
}

fn login(configured: &Gateway, folder: &Path, digest_key: &hmac::Key) -> Result<Login, String> {
    let key = secret(configured.key_file.as_ref(), configured.key_env.as_deref(), folder)?;
    let webhook =
        secret(configured.webhook_key_file.as_ref(), configured.webhook_key_env.as_deref(), folder)?.map(take);
    with_keys(configured, key.map(take), webhook, digest_key)
}

fn with_keys(
    configured: &Gateway,
    needed: Option<String>,
    webhook: Option<String>,
    digest_key: &hmac::Key,
) -> Result<Login, String> {
    let credential = credential(configured, needed.as_deref(), digest_key);
    let mode = configured.mode.gateway();
    let told = |error: KeyError| error.to_string();
    let adapter: Arc<dyn Adapter> = match configured.adapter {
        AdapterKind::Sandbox => {
            let key = needed.unwrap_or_else(|| Sandbox::TEST_KEY.to_owned());
            Arc::new(Sandbox::new(key).with_webhooks(webhook))
        }
        AdapterKind::Stripe => Arc::new(Stripe::new(needed.unwrap_or_default(), webhook, mode).map_err(told)?),
        AdapterKind::Adyen => {
            let account = configured.merchant_account.clone().unwrap_or_default();
            Arc::new(Adyen::new(needed.unwrap_or_default(), account, webhook, mode).map_err(told)?)
        }
        AdapterKind::PayConnector => Arc::new(PayConnector::new(needed, mode).map_err(told)?),
    };
    Ok(Login { adapter, credential })
}

/// Hexadecimal digits of what tells two credentials apart.
const CREDENTIAL_CHARS: usize = 32;

/// Which account of which gateway it is: by the key, by Adyen's name of the merchant, by adapter and mode. The secret of its
/// webhooks says nothing of that. A `url` is taken for another way to the same account.
fn credential(configured: &Gateway, key: Option<&str>, digest_key: &hmac::Key) -> String {
    let Gateway { adapter, mode, merchant_account, .. } = configured;
    let place = format!("{adapter:?} {mode:?} {merchant_account:?}");
    let mut digest = hmac::Context::with_key(digest_key);
    digest.update(place.as_bytes());
    // No text of the place goes on in a key.
    digest.update(&[0]);
    digest.update(key.unwrap_or_default().as_bytes());
    hex(digest.sign().as_ref()).chars().take(CREDENTIAL_CHARS).collect()
}

/// An adapter wipes what it is given.
fn take(mut secret: Zeroizing<String>) -> String {
    std::mem::take(&mut *secret)
}

/// Without the end of its line, which most editors write.
pub(crate) fn secret(
    file: Option<&PathBuf>,
    variable: Option<&str>,
    folder: &Path,
) -> Result<Option<Zeroizing<String>>, String> {
    let (text, place) = match (file, variable) {
        (Some(file), _) => {
            let file = folder.join(file);
            let place = format!("key file {}", file.display());
            let length = std::fs::metadata(&file).map_err(|error| format!("{place}: {error}"))?.len();
            if length > KEY_BYTES_MAX {
                return Err(format!("{place}: it is longer than any key"));
            }
            (std::fs::read_to_string(&file).map_err(|error| format!("{place}: {error}"))?, place)
        }
        (None, Some(name)) => {
            let place = format!("environment variable {name}");
            (std::env::var(name).map_err(|_| format!("{place}: it is not set, or no text"))?, place)
        }
        (None, None) => return Ok(None),
    };
    let text = Zeroizing::new(text);
    let secret = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if secret.is_empty() { Err(format!("{place}: it is empty")) } else { Ok(Some(secret)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Folder, cryptography};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn check(folder: &Folder, text: &str) -> Result<String, String> {
        let config = Config::parse(text, Path::new("cde.toml")).unwrap();
        let warnings = check_gateways(&config, &folder.0);
        warnings.map(|warnings| warnings.join("\n")).map_err(|error| error.to_string())
    }

    /// What comes of a request to a gateway at this URL that has a second.
    async fn sent_to(url: &str) -> Sent {
        cryptography();
        let folder = Folder::new();
        let text =
            format!("[[gateway]]\nname = \"s\"\nadapter = \"sandbox\"\nurl = \"{url}\"\ntimeout_ms_max = 1000\n");
        let config = Config::parse(&text, Path::new("cde.toml")).unwrap();
        let digest_key = hmac::Key::new(hmac::HMAC_SHA256, b"test");
        let terminal = Terminal::new(&config.gateway[0], &folder.0, &Secrets::new(), &digest_key).unwrap();
        let merchant = "m".parse().unwrap();
        let (kind, attempt) = (gateway::Kind::Authorize, wire::AttemptId::from_random(1));
        let asked = gateway::Request::Inquire { kind, attempt, merchant: &merchant, locator: None };
        terminal.send(terminal.adapter().unwrap().build(&asked)).await
    }

    #[tokio::test]
    async fn without_a_connection_in_time_nothing_was_sent() {
        // It takes the connection and then never says a word of TLS.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        assert!(matches!(sent_to(&url).await, Sent::NotSent));
    }

    #[tokio::test]
    async fn of_an_answer_that_is_too_long_no_more_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await.unwrap();
            let mut written = 0;
            while stream.write_all(&[b' '; 65_536]).await.is_ok() {
                written += 65_536;
            }
            written
        });
        assert!(matches!(sent_to(&url).await, Sent::Broken));
        let written = server.await.unwrap();
        assert!(written < 50_000_000, "{written} bytes were taken");
    }

    const STRIPE: &str = "[[gateway]]\nname = \"s\"\nadapter = \"stripe\"\nkey_file = \"stripe.key\"\n";

    #[test]
    fn a_key_is_read_from_its_file_and_must_fit_the_mode() {
        let folder = Folder::new();
        assert!(check(&folder, STRIPE).unwrap_err().contains("stripe.key"), "there is none");
        std::fs::write(folder.0.join("stripe.key"), "sk_test_x\n").unwrap();
        assert_eq!(check(&folder, STRIPE).as_deref(), Ok(""));
        let live = format!("{STRIPE}mode = \"live\"\n");
        let message = check(&folder, &live).unwrap_err();
        assert!(message.contains("gateway s: its key is a test one") && !message.contains("sk_test_x"), "{message}");
        std::fs::write(folder.0.join("stripe.key"), "sk_live_x").unwrap();
        assert!(check(&folder, STRIPE).unwrap_err().contains("its key is a live one"));
        assert_eq!(check(&folder, &live).as_deref(), Ok(""));
        std::fs::write(folder.0.join("stripe.key"), "\n").unwrap();
        assert!(check(&folder, STRIPE).unwrap_err().contains("it is empty"));
    }

    #[test]
    fn what_was_not_checked_and_what_cannot_be_asked_is_said() {
        let folder = Folder::new();
        let connector = "[[gateway]]\nname = \"c\"\nadapter = \"pay-connector\"\nurl = \"https://a\"\n";
        let message = check(&folder, connector).unwrap_err();
        assert!(message.contains("moto_confirmed = true"), "{message}");
        let warnings = check(&folder, &format!("{connector}moto_confirmed = true\n")).unwrap();
        for words in ["our own examples only", "cannot be asked", "it is your word"] {
            assert!(warnings.contains(words), "{words}: {warnings}");
        }
        let variable = format!("{connector}moto_confirmed = true\nkey_env = \"TONEWALL_NO_SUCH\"\n");
        assert!(check(&folder, &variable).unwrap_err().contains("TONEWALL_NO_SUCH"));
    }
}
