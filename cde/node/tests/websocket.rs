//! A whole cde process and telephones of web pages (RFC 7118), whose frames are made here by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

#[path = "transports/peers.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod peers;

use peers::{Cde, Client, SDP, invite, response};
use sip::{ConnectionId, Credentials, Endpoint, Event, Local, NameAddr, Output, Peer, Registration, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CARRIER: &str = "127.0.0.2";
const PAGE: &str = "https://desk.example.com";
const WAIT_MAX: Duration = Duration::from_secs(10);

fn toml() -> String {
    format!(
        "[sip]\nlisten = []\nlisten_tcp = \"127.0.0.1:0\"\nlisten_ws = \"127.0.0.1:0\"\nws_origins = [\"{PAGE}\"]\n\
         [[trunk]]\nname = \"carrier\"\naddress = \"{CARRIER}\"\ntransport = \"tcp\"\n\
         [[trunk]]\nname = \"desks\"\ntransport = \"ws\"\n\
         [[phone]]\nname = \"1001\"\ntrunk = \"desks\"\npassword = \"correct horse battery\"\ndigest = \"legacy\"\n\
         [[route]]\nfrom = \"carrier\"\nto = \"desks\"\nextension = \"1001\"\n"
    )
}

/// What a browser asks for, and what it is told.
async fn opened(to: SocketAddr, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {to}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = timeout(WAIT_MAX, stream.read_u8()).await.expect("an answer in time");
        answer.push(byte.expect("an answer"));
    }
    (stream, String::from_utf8(answer).unwrap())
}

fn upgrade(origin: &str) -> String {
    format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
         dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nOrigin: {origin}\r\n"
    )
}

/// A page's telephone: a connection, and an endpoint of our own behind it.
struct Page {
    stream: TcpStream,
    endpoint: Endpoint,
    us: Peer,
    events: Vec<Event>,
    heard: Vec<String>,
}

impl Page {
    async fn open(to: SocketAddr) -> Self {
        let (stream, answer) = opened(to, &upgrade(PAGE)).await;
        assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        let local = Local { transport: Transport::Ws, address: stream.local_addr().unwrap() };
        let config = sip::Config { local: vec![local], user_agent: String::new(), transactions_max: 9, dialogs_max: 9 };
        let us = Peer { connection: Some(ConnectionId(1)), ..Peer::new(Transport::Ws, to) };
        Self { stream, endpoint: Endpoint::new(config, [5; 32]), us, events: Vec::new(), heard: Vec::new() }
    }

    async fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, 0xfe];
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        if payload.len() < 126 {
            frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
        }
        frame.extend([1, 2, 3, 4]);
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next frame, and what it is.
    async fn next(&mut self) -> (u8, Vec<u8>) {
        timeout(WAIT_MAX, self.read()).await.expect("a frame in time")
    }

    async fn read(&mut self) -> (u8, Vec<u8>) {
        let first = self.stream.read_u8().await.unwrap();
        let length = match self.stream.read_u8().await.unwrap() {
            126 => self.stream.read_u16().await.unwrap().into(),
            127 => panic!("too long"),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.unwrap();
        (first, payload)
    }

    /// Lets the telephone speak and hear until something has happened.
    #[expect(clippy::disallowed_methods, reason = "a test's clock")]
    async fn run(&mut self) -> Event {
        loop {
            while let Some(output) = self.endpoint.poll_output() {
                match output {
                    Output::Send { bytes, .. } => self.frame(0x81, &bytes).await,
                    Output::Event(event) => self.events.push(event),
                }
            }
            if !self.events.is_empty() {
                return self.events.remove(0);
            }
            let (first, payload) = self.next().await;
            assert_eq!(first, 0x81, "text");
            self.heard.push(String::from_utf8(payload.clone()).unwrap());
            self.endpoint.handle_message(Instant::now(), self.us, &payload);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test's clock")]
    async fn sign_in(&mut self, password: &str) -> Event {
        let registration = Registration {
            registrar: "sip:127.0.0.1".parse().unwrap(),
            destination: self.us,
            address: NameAddr::new("sip:1001@127.0.0.1".parse().unwrap()),
            credentials: Arc::new(Credentials::new("1001".to_owned(), password.to_owned(), true)),
        };
        self.endpoint.register(Instant::now(), registration).unwrap();
        self.run().await
    }
}

#[tokio::test]
async fn a_call_reaches_the_page_that_has_signed_in_and_no_other() {
    let cde = Cde::start(|_| toml()).await;
    let mut carrier = Client::tcp(CARRIER, cde.address("TCP")).await;
    carrier.send(&invite("sip:02079460018@127.0.0.1", "TCP", "i1", SDP)).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 100 "));
    assert!(carrier.receive().await.starts_with("SIP/2.0 480 "), "nobody has signed in");
    let mut thief = Page::open(cde.address("WS")).await;
    assert!(matches!(thief.sign_in("guess").await, Event::RegistrationFailed { status: 401, .. }));
    let mut page = Page::open(cde.address("WS")).await;
    assert!(matches!(page.sign_in("correct horse battery").await, Event::Registered { .. }));
    carrier.send(&invite("sip:02079460018@127.0.0.1", "TCP", "i2", SDP).replace("Call-ID: c", "Call-ID: d")).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 100 "));
    let Event::Incoming { .. } = page.run().await else { panic!("nobody calls") };
    let called = page.heard.last().unwrap().clone();
    let contact = page.stream.local_addr().unwrap();
    assert!(called.starts_with(&format!("INVITE sip:1001@{contact};transport=ws SIP/2.0\r\n")), "{called}");
    let ours = cde.address("WS");
    assert!(called.contains(&format!("\r\nVia: SIP/2.0/WS {ours};")), "{called}");
    assert!(called.contains(&format!("\r\nContact: <sip:{ours};transport=ws>\r\n")), "{called}");
    page.frame(0x81, response(&called, 486, "").as_bytes()).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 486 "));
    drop(page);
    // Whoever calls while that it is closed is not known yet is told something else.
    let mut told = String::new();
    for number in 3..100 {
        let again = invite("sip:02079460018@127.0.0.1", "TCP", &format!("i{number}"), SDP);
        carrier.send(&again.replace("Call-ID: c", &format!("Call-ID: e{number}"))).await;
        assert!(carrier.receive().await.starts_with("SIP/2.0 100 "));
        told = carrier.receive().await;
        if told.starts_with("SIP/2.0 480 ") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(told.starts_with("SIP/2.0 480 "), "the page is closed: {told}");
    cde.stop().await;
}

/// Toll fraud: a page that has shown no password dials nothing, whatever name it writes.
#[tokio::test]
async fn a_page_that_shows_no_password_dials_nothing() {
    let pbx = tokio::net::TcpListener::bind(("127.0.0.3", 0)).await.unwrap();
    let port = pbx.local_addr().unwrap().port();
    let cde = Cde::start(|_| {
        let pbx = format!("[[trunk]]\nname = \"pbx\"\naddress = \"127.0.0.3:{port}\"\ntransport = \"tcp\"\n");
        [toml(), pbx, "[[route]]\nfrom = \"desks\"\nto = \"pbx\"\n".to_owned()].concat()
    })
    .await;
    let mut page = Page::open(cde.address("WS")).await;
    for (branch, user, status) in [("n1", "1001", "401"), ("n2", "nobody", "401"), ("n3", "", "401")] {
        let from = format!("<sip:{user}@a.invalid>").replace("sip:@", "sip:");
        let call = invite("sip:02079460018@127.0.0.1", "WS", branch, SDP);
        let call = call.replace("<sip:447700900142@peer.example>;tag", &format!("{from};tag"));
        page.frame(0x81, call.replace("Call-ID: c", &format!("Call-ID: {branch}")).as_bytes()).await;
        assert!(page.next().await.1.starts_with(b"SIP/2.0 100 "));
        let (_, refused) = page.next().await;
        let refused = String::from_utf8(refused).unwrap();
        assert!(refused.starts_with(&format!("SIP/2.0 {status} ")), "{user}: {refused}");
        assert!(refused.contains("algorithm=MD5") && !refused.contains("SHA-256"), "{refused}");
    }
    assert!(timeout(Duration::from_millis(300), pbx.accept()).await.is_err(), "nobody is called");
    cde.stop().await;
}

#[tokio::test]
async fn a_page_that_is_not_listed_or_asks_for_something_else_is_told_so() {
    let cde = Cde::start(|_| toml()).await;
    let to = cde.address("WS");
    let told = |headers: String| async move { opened(to, &headers).await.1 };
    assert!(told("Accept: text/html\r\n".to_owned()).await.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    assert!(told(upgrade("https://evil.example")).await.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    assert!(told(upgrade(PAGE).replace("Origin", "X")).await.starts_with("HTTP/1.1 403 "), "no page at all");
    assert!(told(upgrade(PAGE).replace("col: sip", "col: chat")).await.starts_with("HTTP/1.1 400 "));
    assert!(told(upgrade("HTTPS://desk.example.com")).await.starts_with("HTTP/1.1 101 "));
    cde.stop().await;
}

#[tokio::test]
async fn frames_are_answered_as_the_rules_say_and_what_breaks_them_ends_the_connection() {
    let cde = Cde::start(|_| toml()).await;
    let mut page = Page::open(cde.address("WS")).await;
    page.frame(0x89, b"there?").await;
    assert_eq!(page.next().await, (0x8a, b"there?".to_vec()));
    page.frame(0x81, b"\r\n\r\n").await;
    assert_eq!(page.next().await, (0x81, b"\r\n".to_vec()), "the older way to ask");
    let options = peers::options("sip:127.0.0.1", "WS", "o1");
    let (first, second) = options.as_bytes().split_at(100);
    page.frame(0x02, first).await;
    page.frame(0x80, second).await;
    let (_, answer) = page.next().await;
    assert!(answer.starts_with(b"SIP/2.0 200 "), "{}", String::from_utf8_lossy(&answer));
    page.frame(0x81, b"no SIP at all").await;
    page.frame(0x81, options.replace("z9hG4bKo1", "z9hG4bKo2").as_bytes()).await;
    assert!(page.next().await.1.starts_with(b"SIP/2.0 200 "), "what is no message is passed over");
    page.stream.write_all(&[0x81, 0x01, b'a']).await.unwrap();
    assert_eq!(page.next().await, (0x88, vec![0x03, 0xea]), "1002: it was not masked");
    assert!(page.stream.read_u8().await.is_err(), "closed");
    let mut page = Page::open(cde.address("WS")).await;
    page.stream.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(page.next().await, (0x88, vec![0x03, 0xf1]), "1009: larger than a message can be");
    let mut page = Page::open(cde.address("WS")).await;
    page.frame(0x88, &[0x03, 0xe8]).await;
    assert_eq!(page.next().await, (0x88, vec![0x03, 0xe8]), "it leaves");
    cde.stop().await;
}
