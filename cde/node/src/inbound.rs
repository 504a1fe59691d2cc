//! What other people's machines send us over HTTP: webhooks of gateways, and charges of pay connectors. Off unless
//! `[inbound]` says where to listen.
//!
//! # Invariants
//! - Beyond this machine nothing is listened to without TLS.
//! - A body is wiped when it has been read, and never logged; a card is in locked memory before anything else happens.
//! - The same transaction of the same caller is charged once, however often it is sent: its attempt has the same id,
//!   which the journal takes once.
//! - Nothing is read of a webhook that is not proved to be the gateway's.

mod request;
mod results;

use crate::config::Config;
use crate::journal::JournalError;
use crate::transports::TlsError;
use crate::{NodeError, io as io_error};
use card::YearMonth;
use gateway::pay_connector::incoming::{self, Incoming, Login};
use gateway::{Headers, WebhookError};
use request::{Bad, Request};
use results::Results;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use wire::{MerchantId, Outcome};

/// Connections at once; each may wait for a gateway.
const CONNECTIONS_MAX: usize = 128;
/// The handshake and the whole request.
const READ_MAX: Duration = Duration::from_secs(10);
/// How long a caller's connection is held while the outcome is not known. Twilio asks again after ten seconds, five times.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// One who may charge through us.
pub(crate) struct Caller {
    pub(crate) name: String,
    login: Login,
    pub(crate) merchant: MerchantId,
    failure_status: u16,
}

#[cfg(test)]
impl Caller {
    /// Without a password that anybody knows.
    pub(crate) fn sample(name: &str, merchant: &str) -> Self {
        let merchant = merchant.parse().unwrap();
        Self { name: name.to_owned(), login: Login::new(name, ""), merchant, failure_status: 200 }
    }
}

/// Why a webhook is not taken. It never repeats the webhook.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It is not proved to be the gateway's.
    #[error("it is not believed: {0}")]
    NotBelieved(#[from] WebhookError),
    /// It is, and must be sent again: gateways do, for days.
    #[error("the gateway is to send it again: {0}")]
    Later(JournalError),
}

/// Who does what is asked for.
pub(crate) trait Works: Clone + Send + Sync + 'static {
    /// Charges, and follows the charge to its end. Said again, also after a restart, the same attempt is not charged
    /// again.
    fn charge(&self, caller: &Caller, incoming: Incoming) -> impl Future<Output = Outcome> + Send;

    /// Takes a webhook, or not.
    fn webhook(
        &self,
        gateway: &str,
        headers: &Headers<'_>,
        body: &[u8],
    ) -> impl Future<Output = Result<(), NotTaken>> + Send;

    /// The time, for cards that expire.
    fn today(&self) -> YearMonth;
}

/// The listener and everything that it needs.
pub(crate) struct Inbound<W> {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    desk: Arc<Desk<W>>,
}

struct Desk<W> {
    callers: BTreeMap<String, Arc<Caller>>,
    results: Results,
    works: W,
}

impl<W: Works> Inbound<W> {
    /// Binds, if `[inbound]` says where. Relative paths start at the folder.
    pub(crate) async fn bind(config: &Config, folder: &Path, works: W) -> Result<Option<Self>, NodeError> {
        let Some(inbound) = &config.inbound else { return Ok(None) };
        let tls = acceptor(config, folder)?;
        let mut callers = BTreeMap::new();
        for configured in &config.pay_connector {
            let password =
                crate::terminal::secret(configured.password_file.as_ref(), configured.password_env.as_deref(), folder);
            let failed = |message: String| {
                io_error(format!("pay_connector {}", configured.name))(std::io::Error::other(message))
            };
            let password = password.and_then(|found| found.ok_or("it has no password".to_owned())).map_err(failed)?;
            let merchant = configured.merchant.parse().map_err(|_| failed("merchant: not a name".to_owned()))?;
            let caller = Caller {
                name: configured.name.clone(),
                login: Login::new(&configured.username, &password),
                merchant,
                failure_status: configured.failure_status,
            };
            callers.insert(format!("/pay-connector/{}", configured.name), Arc::new(caller));
        }
        let listener =
            TcpListener::bind(inbound.listen).await.map_err(io_error(format!("[inbound] {}", inbound.listen)))?;
        Ok(Some(Self { listener, tls, desk: Arc::new(Desk { callers, results: Results::default(), works }) }))
    }

    /// Takes connections for as long as the process runs.
    pub(crate) async fn serve(self) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let (stream, from) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "inbound: a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (tls, desk) = (self.tls.clone(), Arc::clone(&self.desk));
            tokio::spawn(async move {
                match tls {
                    None => desk.serve(stream, from).await,
                    Some(tls) => match tokio::time::timeout(READ_MAX, tls.accept(stream)).await {
                        Ok(Ok(stream)) => desk.serve(stream, from).await,
                        _ => tracing::debug!(%from, "inbound: no TLS"),
                    },
                }
                drop(place);
            });
        }
    }
}

impl<W: Works> Desk<W> {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, from: SocketAddr) {
        let (status, body) = match tokio::time::timeout(READ_MAX, request::read(&mut stream)).await {
            Err(_) => (408, String::new()),
            Ok(Err(Bad::Gone(error))) => return tracing::debug!(%from, %error, "inbound: the client left"),
            Ok(Err(Bad::Status(status))) => (status, String::new()),
            Ok(Ok(request)) => self.answer(request, from).await,
        };
        if let Err(error) = request::answer(&mut stream, status, &body).await {
            tracing::debug!(%from, %error, "inbound: the client left before its answer");
        }
    }

    async fn answer(&self, request: Request, from: SocketAddr) -> (u16, String) {
        if let Some(gateway) = request.path.strip_prefix("/webhooks/") {
            return self.webhook(gateway, &request, from).await;
        }
        let Some(caller) = self.callers.get(&request.path) else { return (404, String::new()) };
        if !caller.login.is_shown_by(request.header("authorization")) {
            tracing::warn!(caller = %caller.name, %from, "inbound: a wrong name or password");
            return (401, String::new());
        }
        let reply = self.charge(caller, request).await;
        (reply.status, reply.body)
    }

    async fn charge(&self, caller: &Arc<Caller>, request: Request) -> incoming::Reply {
        let read = incoming::read(&caller.name, &request.body, self.works.today());
        drop(request);
        let incoming = match read {
            Ok(incoming) => incoming,
            Err(reason) => {
                tracing::warn!(caller = %caller.name, %reason, "inbound: a charge was refused");
                return incoming::refused(reason, caller.failure_status);
            }
        };
        let attempt = incoming.attempt;
        let (works, known) = (self.works.clone(), Arc::clone(caller));
        let outcome = self.results.once(attempt, HOLD_MAX, async move { works.charge(&known, incoming).await }).await;
        incoming::ended(attempt, &outcome, caller.failure_status)
    }

    async fn webhook(&self, gateway: &str, request: &Request, from: SocketAddr) -> (u16, String) {
        match self.works.webhook(gateway, &request.headers(), &request.body).await {
            // What Adyen wants to read; Stripe reads the status.
            Ok(()) => (200, "[accepted]".to_owned()),
            Err(reason) => {
                tracing::warn!(%gateway, %from, %reason, "inbound: a webhook was not taken");
                (if matches!(reason, NotTaken::Later(_)) { 503 } else { 400 }, String::new())
            }
        }
    }
}

/// TLS, where a certificate is configured; the configuration was checked to have one beyond this machine.
fn acceptor(config: &Config, folder: &Path) -> Result<Option<TlsAcceptor>, TlsError> {
    let Some(inbound) = &config.inbound else { return Ok(None) };
    let (Some(certificate), Some(key)) = (&inbound.certificate, &inbound.private_key) else { return Ok(None) };
    crate::transports::plain_acceptor("[inbound]", &folder.join(certificate), &folder.join(key)).map(Some)
}

#[cfg(test)]
mod tests;
