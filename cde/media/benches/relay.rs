//! What a packet costs: on an open line, on a masked one, and a generated frame.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark times itself and prints"
)]

use media::rtp::{Header, Packet};
use media::{Codec, Command, Config, EventClock, Policy, Remote, Session, Side};
use std::hint::black_box;
use std::time::{Duration, Instant};

const PACKETS: u32 = 200_000;

fn main() {
    println!("open    {:>6} ns/packet", run(false, Codec::Pcmu));
    println!("crossed {:>6} ns/packet (other law)", run(false, Codec::Pcma));
    println!("masked  {:>6} ns/packet (with its share of generated frames)", run(true, Codec::Pcmu));
}

/// Nanoseconds a packet of the caller, 20 ms of virtual time each.
fn run(masked: bool, agent: Codec) -> u128 {
    let start = Instant::now();
    let mut now = start;
    let mut session = Session::new(now, Config { seed: [1; 32], record: false });
    for (side, codec, port) in [(Side::Caller, Codec::Pcmu, 4000), (Side::Agent, agent, 5000)] {
        let address = ([192, 0, 2, 1], port).into();
        let payload_type = if codec == Codec::Pcmu { 0 } else { 8 };
        let (telephone_event, event_clock) = (Some(101), EventClock::default());
        let remote = Remote { address, codec, payload_type, telephone_event, event_clock, sends: true, receives: true };
        session.handle_command(now, Command::Connect { side, remote });
    }
    if masked {
        session.handle_command(now, Command::Secure { policy: Policy::Strict });
    }
    let source = ([192, 0, 2, 1], 4000).into();
    let began = Instant::now();
    for (n, sequence) in (0..PACKETS).zip((0..=u16::MAX).cycle()) {
        now += Duration::from_millis(20);
        let header = Header { payload_type: 0, marker: false, sequence, timestamp: n.wrapping_mul(160), ssrc: 1 };
        let packet = Packet::new(&header, &[0x55; 160]).unwrap();
        session.handle_packet(now, Side::Caller, source, packet.as_bytes());
        if session.poll_timeout().is_some_and(|at| at <= now) {
            session.handle_timeout(now);
        }
        while let Some(output) = session.poll_output() {
            black_box(&output);
        }
    }
    began.elapsed().as_nanos() / u128::from(PACKETS)
}
