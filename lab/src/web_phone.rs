//! The demo's telephone in a web page, by which a person is the caller: its files, what it signs in with, and whether somebody
//! has it open. The call itself goes from the page to Tonewall and never through here.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rust_embed::Embed;
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long a page that says that it is open waits for the answer. It asks again at once.
const HERE_FOR: Duration = Duration::from_secs(20);
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tonewall demo</title>\
    <h1>The telephone is not part of this build</h1><p>Run <code>cargo xtask web</code>, then build again.</p></html>";

/// `office/web/dist-caller`, as it was when this was built.
#[derive(Embed)]
#[folder = "../office/web/dist-caller"]
#[allow_missing = true]
struct Files;

/// What the page signs in with. Good for this demo alone, and given to pages of this machine alone.
#[derive(Clone, Serialize)]
pub struct Account {
    /// Where SIP is spoken over a WebSocket: `ws://ADDRESS:PORT`.
    pub url: String,
    /// The name of the `[[phone]]`.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The number that it calls.
    pub number: String,
}

/// A page that is not served yet: its address is known, its account is not.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Shared {
    account: Account,
    host: String,
    policy: String,
    open: watch::Sender<usize>,
}

impl Bound {
    /// Takes a free port of this machine. No other address: a browser gives no microphone to a page without TLS of another
    /// machine.
    pub async fn new() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it will be.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves it as long as the process lasts; returns how many tabs have it open.
    pub fn serve(self, account: Account) -> watch::Receiver<usize> {
        let (open, tabs) = watch::channel(0);
        let (host, policy) = (self.address.to_string(), policy(&account.url));
        let app = router(Shared { account, host, policy, open });
        tokio::spawn(async move { axum::serve(self.listener, app).await });
        tabs
    }
}

/// Nothing from anywhere else, and nothing inline.
fn policy(url: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {url}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/account", get(account))
        .route("/here", get(here))
        .fallback(get(file))
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// Answers nobody who came by another name: a page of somewhere else could have given its own name our address.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host != Some(&shared.host) {
        let said = format!("This is the telephone of a Tonewall demo. Please open http://{}/\n", shared.host);
        return (StatusCode::MISDIRECTED_REQUEST, said).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    put(headers, header::CONTENT_SECURITY_POLICY, &shared.policy);
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::REFERRER_POLICY, "no-referrer");
    put(headers, HeaderName::from_static("permissions-policy"), "microphone=(self), camera=(), geolocation=()");
    put(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(headers, header::CACHE_CONTROL, "no-store");
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

async fn account(State(shared): State<Shared>) -> Json<Account> {
    Json(shared.account)
}

/// A tab that is open. It counts until this is dropped, which is also when the browser has gone.
struct Tab(watch::Sender<usize>);

impl Tab {
    fn new(open: watch::Sender<usize>) -> Self {
        open.send_modify(|tabs| *tabs += 1);
        Self(open)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.0.send_modify(|tabs| *tabs = tabs.saturating_sub(1));
    }
}

async fn here(State(shared): State<Shared>) -> StatusCode {
    let _tab = Tab::new(shared.open);
    tokio::time::sleep(HERE_FOR).await;
    StatusCode::NO_CONTENT
}

async fn file(request: Request) -> Response {
    let path = match request.uri().path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    match Files::get(path) {
        Some(file) => ([(header::CONTENT_TYPE, kind(path))], file.data.into_owned()).into_response(),
        None if path == "index.html" => ([(header::CONTENT_TYPE, kind(path))], NOT_BUILT).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    async fn start() -> anyhow::Result<(SocketAddr, watch::Receiver<usize>)> {
        // An error means that it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let bound = Bound::new().await?;
        let address = bound.address();
        let text = |text: &str| text.to_owned();
        let account =
            Account { url: text("ws://127.0.0.1:9"), user: text("u"), password: text("p"), number: text("1") };
        Ok((address, bound.serve(account)))
    }

    #[tokio::test]
    async fn its_account_is_given_to_nobody_who_came_by_another_name() -> anyhow::Result<()> {
        let (address, _tabs) = start().await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{address}/account");
        let answer = client.get(&url).send().await?;
        let policy = answer.headers().get("content-security-policy").context("a policy")?.to_str()?.to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self' ws://127.0.0.1:9;"));
        assert_eq!(answer.json::<serde_json::Value>().await?["password"], "p");
        let stranger = client.get(&url).header("Host", format!("evil.example:{}", address.port())).send().await?;
        assert_eq!(stranger.status(), 421);
        assert!(!stranger.text().await?.contains("password"));
        Ok(())
    }

    #[tokio::test]
    async fn a_tab_counts_until_the_browser_has_gone() -> anyhow::Result<()> {
        let (address, mut tabs) = start().await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let open = tokio::spawn(client.get(format!("http://{address}/here")).send());
        tabs.wait_for(|tabs| *tabs == 1).await?;
        open.abort();
        tokio::time::timeout(Duration::from_secs(10), tabs.wait_for(|tabs| *tabs == 0)).await??;
        Ok(())
    }
}
