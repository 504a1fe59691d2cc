//! What a call takes of the memory, with all that it allocates. It must not creep up: calls are many, and what is touched
//! with each packet must find room in the processor's cache.

use crate::harness::{MU, ms, remote_of};
use media::g711::{self, Law};
use media::rtp::{Header, Packet};
use media::{Codec, Command, Config, Policy, Session, Side};
use std::time::Instant;

const CALLS: usize = 4_000;
const PACKETS: u16 = 40;
/// Bytes of an open call, and of a masked one whose caller is heard; what the allocator adds is in them.
const OPEN_MAX: usize = 3_600;
const NATURAL_MAX: usize = 6_200;

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
    for n in 0..PACKETS {
        let now = begin + ms(20 * u64::from(n));
        for (side, ssrc) in [(Side::Caller, 1), (Side::Agent, 2)] {
            let remote = remote_of(side, codec);
            let payload_type = remote.payload_type;
            let header = Header { payload_type, marker: false, sequence: n, timestamp: 160 * u32::from(n), ssrc };
            let packet = Packet::new(&header, &voice(n)).unwrap();
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
fn bytes_of_a_call(policy: Option<Policy>, codec: Codec) -> (usize, Vec<Session>) {
    let now = Instant::now();
    let mut calls = Vec::with_capacity(CALLS);
    let before = resident_bytes();
    for _ in 0..CALLS {
        calls.push(call(now, policy, codec));
    }
    calls.iter_mut().for_each(|session| talk(session, now, codec));
    ((resident_bytes() - before) / CALLS, calls)
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
    assert!((open + 600..=OPEN_MAX + 1_100).contains(&wide), "{wide} bytes an open call of G.722");
    assert!(masked <= NATURAL_MAX + 1_400, "{masked} bytes a masked call of G.722");
}
