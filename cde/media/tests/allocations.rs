//! A call that goes on takes no memory: not for a packet, and not for the proofs of its mask.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "test code")]

use media::g711::Law;
use media::opus::Encoder;
use media::rtp::{Header, Packet};
use media::{Codec, Command, Config, Hold, Policy, Remote, Session, Side};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn peer(side: Side) -> SocketAddr {
    ([127, 0, 0, 1], if side == Side::Caller { 4000 } else { 5000 }).into()
}

fn header(number: u16, remote: &Remote, ssrc: u32) -> Header {
    let ticks = if remote.codec == Codec::Opus { 960 } else { 160 };
    let payload_type = remote.payload_type;
    Header { payload_type, marker: false, sequence: number, timestamp: ticks * u32::from(number), ssrc }
}

/// What a peer sends.
struct Sender {
    side: Side,
    remote: Remote,
    encoder: Encoder,
}

impl Sender {
    fn new(side: Side, codec: Codec) -> Self {
        Self { side, remote: Remote::of(peer(side), codec), encoder: Encoder::new().unwrap() }
    }

    fn packet(&mut self, number: u16) -> Packet {
        let header = header(number, &self.remote, if self.side == Side::Caller { 1 } else { 2 });
        if self.remote.codec != Codec::Opus {
            let sound: Vec<u8> = (0..160).map(|at| (at * 7 + number).to_le_bytes()[0] | 0x80).collect();
            return Packet::new(&header, &sound).unwrap();
        }
        let sound: Vec<i16> = (0..160_i16).map(|at| (at % 57 - 28) * 90).collect();
        let mut payload = [0; 480];
        let length = self.encoder.encode(&sound, &mut payload).unwrap();
        Packet::new(&header, payload.get(..length).unwrap()).unwrap()
    }
}

/// Allocations of so many packets each way, with all that is due meanwhile but RTCP, whose reports are made every few seconds.
fn allocations(session: &mut Session, senders: &mut [Sender; 2], start: Instant, numbers: std::ops::Range<u16>) -> u64 {
    let mut count = 0;
    for number in numbers {
        let now = start + Duration::from_millis(20 * u64::from(number));
        session.handle_timeout(now);
        while session.poll_output().is_some() {}
        for sender in senders.iter_mut() {
            let packet = sender.packet(number);
            let measured = allocation_counter::measure(|| {
                session.handle_packet(now, sender.side, peer(sender.side), packet.as_bytes());
                while session.poll_output().is_some() {}
            });
            count += measured.count_total;
        }
    }
    count
}

#[test]
fn a_packet_allocates_nothing() {
    let mu = Codec::G711(Law::Mu);
    let pairs = [[mu, mu], [Codec::G722, mu], [Codec::Opus, mu], [mu, Codec::Opus], [Codec::Opus, Codec::Opus]];
    let policies = [None, Some(Policy::Natural), Some(Policy::Strict)];
    for (codecs, policy) in pairs.into_iter().flat_map(|codecs| policies.map(|policy| (codecs, policy))) {
        let now = Instant::now();
        let mut session = Session::new(now, Config { seed: [3; 32], record: false, hold: Hold::default() });
        let [caller, agent] = codecs;
        let mut senders = [Sender::new(Side::Caller, caller), Sender::new(Side::Agent, agent)];
        for Sender { side, remote, .. } in &senders {
            session.handle_command(now, Command::Connect { side: *side, remote: *remote });
        }
        if let Some(policy) = policy {
            session.handle_command(now, Command::Secure { policy });
        }
        // The control: on an open line the first packets make the room that the others use; a mask has made it when it began.
        let first = allocations(&mut session, &mut senders, now, 0..100);
        assert!(first > 0 || policy.is_some());
        assert_eq!(allocations(&mut session, &mut senders, now, 100..1100), 0, "{codecs:?} {policy:?}");
    }
}
