//! What a call takes of the memory, with all that it allocates. It must not creep up: calls are many, and what is touched
//! with each packet must find room in the processor's cache.

use crate::harness::{MU, ms, remote_of};
use media::g711::{self, Law};
use media::opus::Encoder;
use media::rtp::{Header, Packet};
use media::{Codec, Command, Config, Policy, Session, Side};
use std::time::Instant;

const CALLS: usize = 4_000;
const PACKETS: u16 = 40;
/// Bytes of an open call, and of a masked one whose caller is heard; what the allocator adds is in them.
const OPEN_MAX: usize = 3_700;
const NATURAL_MAX: usize = 6_400;

/// A voice of 140 Hz, louder and softer.
fn voice(packet: u16) -> Vec<u8> {
    let sample = |n: u16| ((i32::from(n) * 7) % 400 - 200) * i32::from(packet % 16);
    (0..160).map(|n| g711::encode(Law::Mu, sample(n) as i16)).collect()
}

fn call(now: Instant, policy: Option<Policy>, codec: Codec) -> Session {
    let mut session = Session::new(now, Config { seed: [3; 32], record: false, hold: media::Hold::default() });
    for side in [Side::Caller, Side::Agent] {
        session.handle_command(now, Command::Connect { side, remote: remote_of(side, codec) });
    }
    if let Some(policy) = policy {
        session.handle_command(now, Command::Secure { policy });
    }
    while session.poll_output().is_some() {}
    session
}

/// Both sides talk.
fn talk(session: &mut Session, begin: Instant, codec: Codec) {
    let mut encoder = Encoder::new().unwrap();
    let mut coded = |n: u16| {
        let mut packet = [0; 480];
        let sound: Vec<i16> = voice(n).iter().map(|code| g711::decode(Law::Mu, *code)).collect();
        let length = encoder.encode(&sound, &mut packet).unwrap();
        packet[..length].to_vec()
    };
    let ticks = if codec == Codec::Opus { 960 } else { 160 };
    for n in 0..PACKETS {
        let payload = if codec == Codec::Opus { coded(n) } else { voice(n) };
        let now = begin + ms(20 * u64::from(n));
        for (side, ssrc) in [(Side::Caller, 1), (Side::Agent, 2)] {
            let remote = remote_of(side, codec);
            let payload_type = remote.payload_type;
            let header = Header { payload_type, marker: false, sequence: n, timestamp: ticks * u32::from(n), ssrc };
            let packet = Packet::new(&header, &payload).unwrap();
            session.handle_packet(now, side, remote.address, packet.as_bytes());
            while session.poll_output().is_some() {}
        }
    }
}

/// Of this process, as the kernel counts it (proc(5)).
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The calls stay, so that none takes the room that another has left.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
fn bytes_of(count: usize, policy: Option<Policy>, codec: Codec) -> (usize, Vec<Session>) {
    let now = Instant::now();
    let mut calls = Vec::with_capacity(count);
    let before = resident_bytes();
    for _ in 0..count {
        calls.push(call(now, policy, codec));
    }
    calls.iter_mut().for_each(|session| talk(session, now, codec));
    ((resident_bytes() - before) / count, calls)
}

fn bytes_of_a_call(policy: Option<Policy>, codec: Codec) -> (usize, Vec<Session>) {
    bytes_of(CALLS, policy, codec)
}

#[test]
fn a_call_stays_small() {
    let (open, _open) = bytes_of_a_call(None, MU);
    let (natural, _natural) = bytes_of_a_call(Some(Policy::Natural), MU);
    println!("{open} bytes an open call, {natural} a masked one");
    assert!((size_of::<Session>()..=OPEN_MAX).contains(&open), "{open} bytes an open call");
    assert!((open + 1_000..=NATURAL_MAX).contains(&natural), "{natural} bytes a masked call");
    // The states of a coder for each way of each leg, and while it is masked one more for the witness.
    let (wide, _wide) = bytes_of_a_call(None, Codec::G722);
    let (masked, _masked) = bytes_of_a_call(Some(Policy::Natural), Codec::G722);
    println!("with G.722 {wide} and {masked}");
    assert!((open + 500..=OPEN_MAX + 1_100).contains(&wide), "{wide} bytes an open call of G.722");
    assert!(masked <= NATURAL_MAX + 1_400, "{masked} bytes a masked call of G.722");
}

/// Only a leg of Opus has a coder and a decoder of it, some ten thousand bytes each: of two legs with it there are four, and
/// while it is masked one more.
#[test]
fn a_call_of_opus_takes_what_its_coders_take_and_no_more() {
    const ONE: std::ops::Range<usize> = 15_000..32_000;
    let (open, _open) = bytes_of(400, None, Codec::Opus);
    let (masked, _masked) = bytes_of(400, Some(Policy::Natural), Codec::Opus);
    println!("with Opus {open} and {masked}");
    assert!((4 * ONE.start..4 * ONE.end).contains(&open), "{open} bytes an open call of Opus");
    assert!((4 * ONE.start..5 * ONE.end).contains(&masked), "{masked} bytes a masked call of Opus");
}
