//! One endpoint with a virtual clock, spoken to in raw messages.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sip::{Body, Config, DialogId, Endpoint, Event, Invite, Local, NameAddr, Output, Peer};

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub const PEER: &str = "192.0.2.1:5060";

pub struct Raw {
    pub endpoint: Endpoint,
    pub now: Instant,
    pub sent: Vec<(SocketAddr, String)>,
    pub events: Vec<Event>,
}

pub fn config(local: &str) -> Config {
    let (transactions_max, dialogs_max) = (1000, 500);
    let local = vec![Local::udp(local.parse().unwrap())];
    Config { local, user_agent: "test".to_owned(), transactions_max, dialogs_max }
}

pub fn body() -> Option<Body> {
    Some(Body::from(SDP.as_bytes()))
}

impl Raw {
    #[expect(clippy::disallowed_methods, reason = "any moment will do as the start of virtual time")]
    pub fn new() -> Self {
        Self::with(config("192.0.2.9:5060"), Instant::now())
    }

    pub fn with(config: Config, now: Instant) -> Self {
        Self { endpoint: Endpoint::new(config, [7; 32]), now, sent: Vec::new(), events: Vec::new() }
    }

    pub fn receive(&mut self, message: &str) -> &mut Self {
        self.receive_bytes(message.as_bytes())
    }

    pub fn receive_bytes(&mut self, message: &[u8]) -> &mut Self {
        self.endpoint.handle_message(self.now, Peer::udp(PEER.parse().unwrap()), message);
        self.drain();
        self
    }

    /// Lets time pass, timer by timer.
    pub fn pass(&mut self, seconds: u64) -> &mut Self {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        self
    }

    pub fn run(&mut self, act: impl FnOnce(&mut Endpoint, Instant)) -> &mut Self {
        act(&mut self.endpoint, self.now);
        self.drain();
        self
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { to, bytes } => self.sent.push((to.address, String::from_utf8(bytes).unwrap())),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// The start lines sent since the last look, without the version.
    pub fn starts(&mut self) -> Vec<String> {
        let line = |text: &String| text.lines().next().unwrap().replace("SIP/2.0 ", "").replace(" SIP/2.0", "");
        std::mem::take(&mut self.sent).iter().map(|(_, text)| line(text)).collect()
    }

    pub fn last(&self) -> &str {
        &self.sent.last().unwrap().1
    }

    /// The events since the last look, as they print.
    pub fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events).iter().map(|event| format!("{event:?}").replace(" #1", "")).collect()
    }

    /// Takes a call up to Confirmed; gives our tag.
    pub fn take_call(&mut self) -> (DialogId, String) {
        self.receive(&request("INVITE", "i1", "", 1, "", SDP));
        let id = self.events.last().unwrap().dialog().unwrap();
        self.run(|endpoint, now| endpoint.accept(now, id, body()));
        let tag = header(self.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
        self.receive(&request("ACK", "a1", &tag, 1, "", ""));
        assert_eq!(self.heard(), ["Incoming", "Confirmed"]);
        self.sent.clear();
        (id, tag)
    }

    /// Starts a call and gives the INVITE as sent.
    pub fn call(&mut self) -> (DialogId, String) {
        let uri: sip::Uri = "sip:bob@192.0.2.1".parse().unwrap();
        let (from, to) = (NameAddr::new(uri.clone()), NameAddr::new(uri.clone()));
        let invite = Invite {
            target: uri,
            destination: None,
            tcp_when_large: false,
            from,
            to,
            headers: Vec::new(),
            body: body(),
            credentials: None,
        };
        let id = self.endpoint.invite(self.now, invite).unwrap();
        self.drain();
        (id, self.last().to_owned())
    }

    /// A call of ours up to the ACK of the peer tagged `b`; gives the INVITE.
    pub fn make_call(&mut self) -> (DialogId, String) {
        let (id, invite) = self.call();
        self.receive(&response(&invite, 200, "b", SDP));
        self.run(|endpoint, now| endpoint.ack(now, id, None));
        assert_eq!(self.heard(), ["Answered"]);
        assert_eq!(self.starts(), ["INVITE sip:bob@192.0.2.1", "ACK sip:bob@192.0.2.1:5062"]);
        (id, invite)
    }
}

/// A request of the peer; `to_tag` may be empty.
pub fn request(method: &str, branch: &str, to_tag: &str, cseq: u32, extra: &str, body: &str) -> String {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let content = if body.starts_with("v=0") { "Content-Type: application/sdp\r\n" } else { "" };
    format!(
        "{method} sip:us@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\n\
         From: <sip:peer@192.0.2.1>;tag=p\r\nTo: <sip:us@192.0.2.9>{tag}\r\nCall-ID: c1\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:peer@192.0.2.1:5062>\r\nMax-Forwards: 70\r\n{extra}{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A response of the peer to a request of ours.
pub fn response(request: &str, status: u16, tag: &str, body: &str) -> String {
    let to = header(request, "To");
    let tag = if tag.is_empty() || to.contains("tag=") { String::new() } else { format!(";tag={tag}") };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status} Any\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:bob@192.0.2.1:5062>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        body.len()
    )
}

pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    message.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default()
}
