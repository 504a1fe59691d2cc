//! How long parsing takes, in ns a message.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark: it prints, and its input is known"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// The best of some batches counts: on a busy machine the others measure the neighbors.
const BATCHES: u32 = 50;
const ROUNDS: u32 = 2_000;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

fn main() {
    let invite = message("INVITE sip:+442079460000@192.0.2.9:5060;user=phone SIP/2.0", "INVITE", SDP);
    let info = message("INFO sip:us@192.0.2.9 SIP/2.0", "INFO", "Signal=5\r\nDuration=160\r\n");
    let response = message("SIP/2.0 200 OK", "INVITE", SDP);
    for (name, bytes) in [("INVITE", invite), ("INFO", info), ("200 OK", response)] {
        let nanoseconds = time(|| drop(black_box(sip::message::parse(black_box(&bytes)).unwrap())));
        println!("{name:8} {:5} bytes {nanoseconds:6} ns/message", bytes.len());
    }
    let nanoseconds = time(|| drop(black_box(sip::sdp::SessionDescription::parse(black_box(SDP.as_bytes())).unwrap())));
    println!("{:8} {:5} bytes {nanoseconds:6} ns/message", "SDP", SDP.len());
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn time(mut act: impl FnMut()) -> u128 {
    let mut batch = || {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| act());
        start.elapsed()
    };
    let best = (0..BATCHES).map(|_| batch()).min().unwrap_or(Duration::MAX);
    best.as_nanos() / u128::from(ROUNDS)
}

fn message(start: &str, method: &str, body: &str) -> Vec<u8> {
    format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK776asdhds74a\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;received=198.51.100.7;branch=z9hG4bK0a9f8e\r\n\
         Record-Route: <sip:192.0.2.1;lr;ftag=1928301774>\r\nMax-Forwards: 69\r\n\
         From: \"Alice Example\" <sip:+442079460001@192.0.2.1>;tag=1928301774\r\nTo: <sip:+442079460000@192.0.2.9>;tag=a6c85cf\r\n\
         Call-ID: a84b4c76e66710-0815@192.0.2.1\r\nCSeq: 314159 {method}\r\nContact: <sip:alice@192.0.2.1:5060;transport=udp>\r\n\
         User-Agent: bench/1\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO\r\nP-Asserted-Identity: <sip:+442079460001@192.0.2.1>\r\n\
         Supported: timer\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
