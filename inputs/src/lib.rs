//! What is done with bytes from outside, as one function for each kind of them: a fuzzer calls it (`cargo xtask fuzz`), and a
//! test with every input of `fuzz/corpus`.
//!
//! # Invariants
//! - A function ends, whatever it is given, and panics only where something promised does not hold.
//! - The same bytes do the same, but for `stun` and `checks`, whose keys are drawn by the library.
//!
//! # Layout
//! - `sip`: messages, streams, WebSocket, session descriptions, what a recorder is told.
//! - `media`: RTP, RTCP, SRTP, Opus.
//! - `gateway`: answers, webhooks, what moved on a day, and charges that come in.
//! - `report`: what gateways report at the end of a day.
//! - `webrtc`: connectivity checks and handshakes.

mod gateway;
mod media;
mod report;
mod sip;
mod webrtc;

use std::time::Instant;

/// One kind of input.
pub struct Target {
    /// As its folder in `fuzz/corpus` is called.
    pub name: &'static str,
    /// Takes one input.
    pub take: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "message", take: sip::message },
    Target { name: "framer", take: sip::framer },
    Target { name: "websocket", take: sip::websocket },
    Target { name: "sdp", take: sip::sdp },
    Target { name: "siprec", take: sip::siprec },
    Target { name: "rtp", take: media::rtp },
    Target { name: "rtcp", take: media::rtcp },
    Target { name: "srtp", take: media::srtp },
    Target { name: "opus", take: media::opus },
    Target { name: "answer", take: gateway::answer },
    Target { name: "webhook", take: gateway::webhook },
    Target { name: "connector", take: gateway::connector },
    Target { name: "balance", take: gateway::balance },
    Target { name: "report", take: report::report },
    Target { name: "stun", take: webrtc::stun },
    Target { name: "checks", take: webrtc::checks },
];

/// Gives an input to the target of that name; false if there is none.
pub fn take(name: &str, input: &[u8]) -> bool {
    let target = TARGETS.iter().find(|target| target.name == name);
    target.into_iter().for_each(|target| (target.take)(input));
    target.is_some()
}

/// Any moment will do as the start of virtual time.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
fn start() -> Instant {
    Instant::now()
}

/// Cuts an input into pieces, each behind a byte that says how long it is, and one that says more.
fn pieces(input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let ([kind, length], after) = rest.split_first_chunk()?;
        let (piece, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        Some((*kind, piece))
    })
}

/// Puts something in the place of a word that stands for it, which no fuzzer would guess.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        let (before, after) = rest.split_at(at);
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(to);
        rest = after.get(from.len()..).unwrap_or_default();
    }
    replaced.extend_from_slice(rest);
    replaced
}
