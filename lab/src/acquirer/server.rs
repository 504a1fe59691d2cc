//! The bank on a socket, with connections that really break.
//!
//! axum has no word for "close without an answer", so each connection carries a `Switch` that its handler sets and
//! its writer obeys.

mod postman;

use super::bank::{Bank, Request, Response};
use super::fault::Delivery;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::serve::{IncomingStream, Listener};
use card::YearMonth;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The longest request body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Serves the bank until the listener fails. Bind it to this machine only: the control routes ask for no key.
pub async fn serve(listener: TcpListener, bank: Arc<Mutex<Bank>>) -> io::Result<()> {
    let app = axum::Router::new().fallback(handle).with_state(bank);
    axum::serve(Breakable(listener), app.into_make_service_with_connect_info::<Switch>()).await
}

/// Starts a fresh bank on an address of this machine; port 0 takes a free one. It lasts as long as the process.
pub async fn start(address: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let unix_ms = unix_ms();
    let bank = Bank::new(clock(), YearMonth::at_unix_ms(unix_ms)).opened_at(unix_ms);
    tokio::spawn(serve(listener, Arc::new(Mutex::new(bank))));
    Ok(address)
}

#[expect(clippy::disallowed_methods, reason = "a shell has a clock")]
fn unix_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn handle(
    State(bank): State<Arc<Mutex<Bank>>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: HttpRequest,
) -> HttpResponse {
    if request.uri().path() == "/v1/statement.csv" {
        let text = bank.lock().unwrap_or_else(PoisonError::into_inner).statement(clock(), unix_ms());
        return ([(CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let header = |(name, value): (&axum::http::HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    let request = Request {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        headers: parts.headers.iter().filter_map(header).collect(),
        body: body.into(),
    };
    let (response, delivery, notices) = {
        let mut bank = bank.lock().unwrap_or_else(PoisonError::into_inner);
        let (response, delivery) = bank.handle(clock(), &request);
        (response, delivery, bank.notices())
    };
    notices.into_iter().for_each(postman::post);
    match delivery {
        Delivery::Normal => {}
        Delivery::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Delivery::DropBeforeCommit | Delivery::DropAfterCommit => switch.set(Break::Now),
        Delivery::Truncate => switch.set(Break::BeforeLast(response.body.len() / 2)),
    }
    deliver(response)
}

fn deliver(response: Response) -> HttpResponse {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut delivered = (status, [(CONTENT_TYPE, "application/json")], Body::from(response.body)).into_response();
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            delivered.headers_mut().insert(name, value);
        }
    }
    delivered
}

#[expect(clippy::disallowed_methods, reason = "the shell's clock")]
fn clock() -> Instant {
    Instant::now()
}

/// When a connection breaks.
#[derive(Clone, Copy)]
enum Break {
    Never,
    /// So many bytes before the end of the next write. hyper writes a short answer, head and body, in one piece.
    BeforeLast(usize),
    Now,
}

/// Breaks one connection.
#[derive(Clone)]
struct Switch(Arc<Mutex<Break>>);

impl Switch {
    fn set(&self, at: Break) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn read(&self) -> Break {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected<IncomingStream<'_, Breakable>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Breakable>) -> Self {
        stream.io().switch.clone()
    }
}

/// A listener whose connections can be broken.
struct Breakable(TcpListener);

impl Listener for Breakable {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        (Connection { stream, switch: Switch(Arc::new(Mutex::new(Break::Never))) }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection that obeys its switch.
struct Connection {
    stream: TcpStream,
    switch: Switch,
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

/// Not vectored, so that an answer comes as one piece and can be cut.
impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let keep = match this.switch.read() {
            Break::Never => return Pin::new(&mut this.stream).poll_write(cx, bytes),
            Break::Now => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Break::BeforeLast(cut) => bytes.len().saturating_sub(cut),
        };
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes.get(..keep).unwrap_or_default());
        if written.is_ready() {
            this.switch.set(Break::Now);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use card::YearMonth;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn open() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bank = Bank::new(clock(), YearMonth { year: 2026, month: 11 });
        tokio::spawn(serve(listener, Arc::new(Mutex::new(bank))));
        address
    }

    /// Everything that comes back until the connection closes, and how it closed.
    async fn send(address: SocketAddr, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: bank\r\nconnection: close\r\nauthorization: Bearer tw_test_x\r\n\
             idempotency-key: k\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset after some bytes is also an end.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    const CHARGE: &str = r#"{"amount":4200,"currency":"GBP","merchant":"shop","channel":"moto","reference":"r1","card":{"number":"4242424242424242","exp_month":12,"exp_year":2030}}"#;

    async fn charge_with(fault: &str) -> (String, String) {
        let address = open().await;
        let order = format!(r#"{{"next":["{fault}"],"delay_ms":300}}"#);
        assert!(send(address, "POST /v1/faults", &order).await.starts_with("HTTP/1.1 200"));
        let answer = send(address, "POST /v1/charges", CHARGE).await;
        (answer, send(address, "GET /v1/ledger", "").await)
    }

    fn body_of(answer: &str) -> (&str, usize) {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        (body, length.parse().unwrap())
    }

    #[tokio::test]
    async fn a_charge_is_answered_whole() {
        let (answer, ledger) = charge_with("none").await;
        let (body, length) = body_of(&answer);
        assert!(answer.starts_with("HTTP/1.1 201") && body.contains("approved") && body.len() == length);
        assert!(ledger.contains("r1"));
    }

    #[tokio::test]
    async fn a_dropped_connection_carries_no_byte_of_an_answer() {
        let (answer, ledger) = charge_with("drop_before").await;
        assert_eq!((answer.as_str(), ledger.contains("r1")), ("", false));
        let (answer, ledger) = charge_with("drop_after").await;
        assert_eq!((answer.as_str(), ledger.contains("r1")), ("", true));
    }

    #[tokio::test]
    async fn a_truncated_answer_ends_before_its_length() {
        let (answer, ledger) = charge_with("truncate").await;
        let (body, length) = body_of(&answer);
        assert!(!body.is_empty() && body.len() < length && ledger.contains("r1"));
    }

    #[tokio::test]
    async fn an_error_after_the_charge_is_a_500() {
        let (answer, ledger) = charge_with("error_500_after").await;
        assert!(answer.starts_with("HTTP/1.1 500") && ledger.contains("r1"));
    }

    #[tokio::test]
    async fn a_delayed_answer_is_late_and_the_bank_serves_others_meanwhile() {
        let address = open().await;
        send(address, "POST /v1/faults", r#"{"next":["delay"],"delay_ms":400}"#).await;
        let began = clock();
        let late = tokio::spawn(send(address, "POST /v1/charges", CHARGE));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(send(address, "POST /v1/charges", CHARGE).await.contains("in_flight"));
        assert!(clock() - began < Duration::from_millis(400));
        assert!(late.await.unwrap().starts_with("HTTP/1.1 201"));
        assert!(clock() - began >= Duration::from_millis(400));
    }
}
