//! What comes by the ways of SIP.

use crate::{pieces, replace, start};
use sip::message::{self, Frame, Framer};
use sip::offer_answer::{Answer, Codec, Crypto, Direction, LocalMedia, Offer, Origin, Profile, Srtp, Suite};
use sip::siprec::{Metadata, Participant};
use sip::{Body, Config, Credentials, Endpoint, Event, Local, Output, Peer, Uri, websocket};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const OURS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5060);
const THEIRS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
const SDP: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
/// Between two messages of one input.
const BETWEEN: &[u8] = b"\n---\n";
const MESSAGES_MAX: usize = 8;

/// In a message it stands for our tag of the newest dialog, which no fuzzer would guess.
const TAG: &[u8] = b"$T";

/// Messages one after the other, to an endpoint that takes every call.
pub(crate) fn message(input: &[u8]) {
    let config = Config {
        local: vec![Local::udp(OURS)],
        user_agent: String::new(),
        transactions_max: TRANSACTIONS_MAX,
        dialogs_max: DIALOGS_MAX,
    };
    let mut user = User { endpoint: Endpoint::new(config, [7; 32]), now: start(), tag: Vec::new() };
    for bytes in split(input).take(MESSAGES_MAX) {
        user.hear(bytes);
    }
}

const TRANSACTIONS_MAX: usize = 16;
const DIALOGS_MAX: usize = 4;

/// One who takes every call.
struct User {
    endpoint: Endpoint,
    now: Instant,
    tag: Vec<u8>,
}

impl User {
    fn hear(&mut self, bytes: &[u8]) {
        let bytes = replace(bytes, TAG, &self.tag);
        black_box(message::parse(&bytes).is_ok());
        self.endpoint.handle_message(self.now, Peer::udp(THEIRS), &bytes);
        for event in self.drain() {
            if let Event::Incoming { dialog, .. } = event {
                let credentials = Credentials::new("u".to_owned(), "p".to_owned(), true);
                let opened = self.endpoint.authenticate(self.now, dialog, Peer::udp(THEIRS), &credentials);
                assert!(!opened, "nobody has been told the password");
                self.endpoint.accept(self.now, dialog, Some(Body::from(SDP)));
                self.drain();
            }
        }
        self.now += Duration::from_secs(1);
        self.endpoint.handle_timeout(self.now);
        self.drain();
        let (transactions, dialogs) = (self.endpoint.transactions(), self.endpoint.dialogs());
        assert!(transactions <= TRANSACTIONS_MAX && dialogs <= DIALOGS_MAX, "every table has an end");
    }

    fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { bytes, .. } => {
                    // An answer repeats what it was asked with, well formed or not; what we begin with is ours.
                    assert!(
                        bytes.ends_with(b"\r\n\r\n") || bytes.windows(4).any(|end| end == b"\r\n\r\n"),
                        "a head ends"
                    );
                    self.tag = tag(&bytes).unwrap_or_else(|| std::mem::take(&mut self.tag));
                }
                Output::Event(event) => events.push(event),
            }
        }
        events
    }
}

/// That of the `To` of an answer.
fn tag(sent: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(sent).ok()?;
    let to = text.lines().find_map(|line| line.strip_prefix("To:"))?;
    let (_, tag) = to.split_once(";tag=")?;
    Some(tag.split(';').next()?.as_bytes().to_vec())
}

fn split(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let at = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let (piece, after) = at.map_or((bytes, None), |at| (bytes.get(..at).unwrap_or(bytes), bytes.get(at + 5..)));
        rest = after;
        Some(piece)
    })
}

/// A stream in whatever pieces: the same messages as whole.
pub(crate) fn framer(input: &[u8]) {
    let (step, stream) = input.split_first().unwrap_or((&0, &[]));
    let whole = cut(stream, stream.len());
    let pieces = cut(stream, usize::from(*step) + 1);
    assert!(whole == pieces, "a message hangs on how its stream came");
}

fn cut(stream: &[u8], step: usize) -> Vec<(u8, Vec<u8>)> {
    let (mut framer, mut frames) = (Framer::default(), Vec::new());
    for piece in stream.chunks(step.max(1)) {
        framer.push(piece);
        while let Some(frame) = framer.next_frame() {
            frames.push(match frame {
                Frame::Message(bytes) => (0, bytes),
                Frame::Ping => (1, Vec::new()),
                Frame::Broken(_) => (2, Vec::new()),
            });
        }
    }
    frames
}

/// A web page's handshake, or its frames in whatever pieces.
pub(crate) fn websocket(input: &[u8]) {
    drop(websocket::opening(input));
    let (step, stream) = input.split_first().unwrap_or((&0, &[]));
    let whole = unmask(stream, stream.len());
    assert!(whole == unmask(stream, usize::from(*step) + 1), "a message hangs on how its stream came");
}

fn unmask(stream: &[u8], step: usize) -> Vec<(u8, Vec<u8>)> {
    let (mut framer, mut frames) = (websocket::Framer::default(), Vec::new());
    for piece in stream.chunks(step.max(1)) {
        framer.push(piece);
        while let Some(frame) = framer.next_frame() {
            frames.push(match frame {
                websocket::Frame::Message(bytes) => (0, bytes),
                websocket::Frame::Ping(bytes) => (1, bytes),
                websocket::Frame::Pong => (2, Vec::new()),
                websocket::Frame::Close(code) => (3, code.to_be_bytes().to_vec()),
            });
        }
    }
    frames
}

/// An offer, whose answer must be one, and an answer.
pub(crate) fn sdp(input: &[u8]) {
    let (body, origin) = (Body::from(input), Origin { session_id: 1, version: 1 });
    if let Ok(offer) = Offer::parse(&body) {
        for srtp in [Srtp::Off, Srtp::Preferred, Srtp::Required] {
            let Ok(agreed) = offer.agree_under(srtp, &Codec::ALL) else { continue };
            let answer = match agreed.protection {
                Some(chosen) => {
                    let ours = Crypto::new(chosen.tag, chosen.suite, |key| key.fill(1));
                    offer.answer_protected(origin, &agreed, OURS, Direction::SendRecv, &ours)
                }
                None => offer.answer(origin, &agreed, OURS, Direction::SendRecv),
            };
            let read = Offer::parse(&answer).map(|read| read.description().media().len());
            assert!(read == Ok(offer.description().media().len()), "an answer has the offer's media lines");
        }
    }
    if let Ok(answer) = Answer::parse(&body) {
        let local = LocalMedia::new(OURS);
        black_box(answer.agreed(&local).is_ok());
        let ours = [Crypto::new(1, Suite::Aes128Gcm, |key| key.fill(1))];
        for place in [(0, 1), (0, 2), (1, 2)] {
            black_box(answer.agreed_at(place, Srtp::Preferred, &local, Profile::Avp, &ours).is_ok());
        }
    }
}

/// Addresses that others have chosen, in the metadata of a recording: they never become markup.
pub(crate) fn siprec(input: &[u8]) {
    let uri = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<Uri>().ok();
    let mut parts = pieces(input).filter_map(|(_, bytes)| uri(bytes));
    let since = i64::try_from(input.len()).unwrap_or_default() * 1_000_000_007;
    if let (Some(first), Some(second), Some(plain)) = (parts.next(), parts.next(), uri(b"sip:a@192.0.2.1")) {
        assert!(marks(since, first, second) == marks(0, plain.clone(), plain), "an address has become markup");
    }
}

/// How often what makes markup stands in the metadata of these two.
fn marks(since_unix_ms: i64, first: Uri, second: Uri) -> [usize; 3] {
    let participant = |id, address| Participant { id: [id; 16], stream: [id + 1; 16], address };
    let participants = [participant(1, first), participant(3, second)];
    let text = Metadata { session: [0; 16], since_unix_ms, participants }.write();
    [b'<', b'>', b'"'].map(|mark| text.as_bytes().iter().filter(|byte| **byte == mark).count())
}
