//! A call that goes on takes no memory: not for a packet, and not for the proofs of its mask.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "test code")]

use media::g711::Law;
use media::rtp::{Header, Packet};
use media::{Command, Config, Hold, Policy, Remote, Session, Side};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const SIDES: [Side; 2] = [Side::Caller, Side::Agent];

fn peer(side: Side) -> SocketAddr {
    ([127, 0, 0, 1], if side == Side::Caller { 4000 } else { 5000 }).into()
}

fn packet(number: u16, side: Side) -> Packet {
    let sound: Vec<u8> = (0..160).map(|at| (at * 7 + number).to_le_bytes()[0] | 0x80).collect();
    let (timestamp, ssrc) = (160 * u32::from(number), if side == Side::Caller { 1 } else { 2 });
    Packet::new(&Header { payload_type: 0, marker: false, sequence: number, timestamp, ssrc }, &sound).unwrap()
}

/// Allocations of so many packets each way, with all that is due meanwhile but RTCP, whose reports are made every few seconds.
fn allocations(session: &mut Session, start: Instant, numbers: std::ops::Range<u16>) -> u64 {
    let mut count = 0;
    for number in numbers {
        let now = start + Duration::from_millis(20 * u64::from(number));
        session.handle_timeout(now);
        while session.poll_output().is_some() {}
        for side in SIDES {
            let packet = packet(number, side);
            let measured = allocation_counter::measure(|| {
                session.handle_packet(now, side, peer(side), packet.as_bytes());
                while session.poll_output().is_some() {}
            });
            count += measured.count_total;
        }
    }
    count
}

#[test]
fn a_packet_allocates_nothing() {
    for policy in [None, Some(Policy::Natural), Some(Policy::Strict)] {
        let now = Instant::now();
        let mut session = Session::new(now, Config { seed: [3; 32], record: false, hold: Hold::default() });
        for side in SIDES {
            session.handle_command(now, Command::Connect { side, remote: Remote::g711(peer(side), Law::Mu) });
        }
        if let Some(policy) = policy {
            session.handle_command(now, Command::Secure { policy });
        }
        // The control: on an open line the first packets make the room that the others use; a mask has made it when it began.
        let first = allocations(&mut session, now, 0..100);
        assert!(first > 0 || policy.is_some());
        assert_eq!(allocations(&mut session, now, 100..1100), 0, "{policy:?}");
    }
}
