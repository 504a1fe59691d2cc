//! What a call takes of the memory, with all that it allocates. It must not creep up: calls are many, and what is touched
//! with each packet must find room in the processor's cache.

use crate::harness::{MU, ms, remote_of};
use media::g711::{self, Law};
use media::opus::Encoder;
use media::rtp::{Header, Packet};
use media::{Codec, Command, Config, Policy, Room, Session, Side};
use std::time::Instant;

const PACKETS: u16 = 40;
/// Bytes of an open call, and of a masked one whose caller is heard; what the allocator adds is in them.
const OPEN_MAX: usize = 2_500;
const NATURAL_MAX: usize = 4_096;

/// A voice of 140 Hz, louder and softer.
fn voice(packet: u16) -> Vec<u8> {
    let sample = |n: u16| ((i32::from(n) * 7) % 400 - 200) * i32::from(packet % 16);
    (0..160).map(|n| g711::encode(Law::Mu, sample(n) as i16)).collect()
}

fn call(now: Instant, room: &mut Room, policy: Option<Policy>, codec: Codec) -> Session {
    let mut session = Session::new(now, Config { seed: [3; 32], record: false, hold: media::Hold::default() });
    session.lend(room);
    for side in [Side::Caller, Side::Agent] {
        session.handle_command(now, Command::Connect { side, remote: remote_of(side, codec) });
    }
    if let Some(policy) = policy {
        session.handle_command(now, Command::Secure { policy });
    }
    while session.poll_output().is_some() {}
    session.lend(room);
    session
}

/// Both sides talk, and what comes of it is polled in the room that all have in common, as a media thread does it.
fn talk(session: &mut Session, room: &mut Room, begin: Instant, codec: Codec) {
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
            session.lend(room);
            session.handle_packet(now, side, remote.address, packet.as_bytes());
            while session.poll_output().is_some() {}
            session.lend(room);
        }
    }
}

/// Calls that stay, so that none takes the room that another has left, and the room that all have in common at its full size.
struct Calls {
    sessions: Vec<Session>,
    room: Room,
    begin: Instant,
    policy: Option<Policy>,
    codec: Codec,
}

impl Calls {
    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
    fn new(policy: Option<Policy>, codec: Codec) -> Self {
        let begin = Instant::now();
        let mut room = Room::default();
        talk(&mut call(begin, &mut room, policy, codec), &mut room, begin, codec);
        Self { sessions: Vec::new(), room, begin, policy, codec }
    }

    fn add(&mut self, count: usize) {
        self.sessions.reserve_exact(count);
        for _ in 0..count {
            self.sessions.push(call(self.begin, &mut self.room, self.policy, self.codec));
        }
        self.sessions.iter_mut().for_each(|session| talk(session, &mut self.room, self.begin, self.codec));
    }
}

/// Counted piece by piece, so that it is the same on every machine: the pages that a kernel gives are rounded, and some are
/// the program's own. glibc's allocator adds eight bytes before each piece, and on average eight for its step of sixteen.
fn bytes_of_a_call(policy: Option<Policy>, codec: Codec) -> usize {
    const CALLS: usize = 1_000;
    let mut calls = Calls::new(policy, codec);
    let measured = allocation_counter::measure(|| calls.add(CALLS));
    usize::try_from(measured.bytes_current + measured.count_current * 16).unwrap() / CALLS
}

#[test]
fn a_call_stays_small() {
    let open = bytes_of_a_call(None, MU);
    let natural = bytes_of_a_call(Some(Policy::Natural), MU);
    println!("{open} bytes an open call, {natural} a masked one");
    assert!((size_of::<Session>()..=OPEN_MAX).contains(&open), "{open} bytes an open call");
    assert!((open + 1_000..=NATURAL_MAX).contains(&natural), "{natural} bytes a masked call");
    // The states of a coder for each way of each leg, and while it is masked one more for the witness.
    let wide = bytes_of_a_call(None, Codec::G722);
    let masked = bytes_of_a_call(Some(Policy::Natural), Codec::G722);
    println!("with G.722 {wide} and {masked}");
    assert!((open + 500..=OPEN_MAX + 1_100).contains(&wide), "{wide} bytes an open call of G.722");
    assert!(masked <= NATURAL_MAX + 1_400, "{masked} bytes a masked call of G.722");
}

/// Of this process, as the kernel counts it (proc(5)): libopus takes its memory past our allocator.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn resident_bytes_of_a_call(policy: Option<Policy>, codec: Codec) -> usize {
    const CALLS: usize = 400;
    let mut calls = Calls::new(policy, codec);
    let before = resident_bytes();
    calls.add(CALLS);
    (resident_bytes() - before) / CALLS
}

/// Only a leg of Opus has a coder and a decoder of it, some ten thousand bytes each: of two legs with it there are four, and
/// while it is masked one more.
#[test]
fn a_call_of_opus_takes_what_its_coders_take_and_no_more() {
    const ONE: std::ops::Range<usize> = 15_000..32_000;
    let open = resident_bytes_of_a_call(None, Codec::Opus);
    let masked = resident_bytes_of_a_call(Some(Policy::Natural), Codec::Opus);
    println!("with Opus {open} and {masked}");
    assert!((4 * ONE.start..4 * ONE.end).contains(&open), "{open} bytes an open call of Opus");
    assert!((4 * ONE.start..5 * ONE.end).contains(&masked), "{masked} bytes a masked call of Opus");
}
