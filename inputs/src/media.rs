//! What comes on the ports of a call's sound.

use crate::{pieces, start};
use media::g711::Law;
use media::opus::{self, Decoder};
use media::srtp::{Keys, Master, PACKET_MAX, Receiver, Suite};
use media::{Codec, Command, Config, Event, Hold, Output, Policy, Remote, Session, Side, rtcp as reports};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const CALLER: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);
const AGENT: ([u8; 4], u16) = ([192, 0, 2, 2], 5000);
const EVENTS: u8 = 101;
const PIECES_MAX: usize = 200;

fn address(side: Side) -> SocketAddr {
    if side == Side::Caller { CALLER.into() } else { AGENT.into() }
}

/// Others than the caller's: of its host, of nobody's, and the one that its SDP has if it is behind a NAT.
const OTHERS: [([u8; 4], u16); 3] = [([192, 0, 2, 1], 4002), ([198, 51, 100, 7], 4000), INSIDE];
const INSIDE: ([u8; 4], u16) = ([10, 0, 0, 5], 4000);

fn codec(bits: u8) -> Codec {
    match bits % 4 {
        0 => Codec::G711(Law::Mu),
        1 => Codec::G711(Law::A),
        2 => Codec::G722,
        _ => Codec::Opus,
    }
}

/// A call that this input is played to.
struct Call {
    session: Session,
    now: Instant,
    masked: bool,
    /// Sizes of packets of sound that the agent was sent under the mask.
    size: Option<usize>,
    /// The caller is behind a NAT: it is found by packets.
    hidden: bool,
}

impl Call {
    fn new(how: u8, keys: Option<fn() -> Box<Keys>>) -> Self {
        let now = start();
        let mut session = Session::new(now, Config { seed: [3; 32], record: how & 0x40 != 0, hold: Hold::default() });
        for (side, bits) in [(Side::Caller, how), (Side::Agent, how >> 2)] {
            let mut remote = Remote { telephone_event: Some(EVENTS), ..Remote::of(address(side), codec(bits)) };
            if how & 0x80 != 0 && side == Side::Caller {
                (remote.address, remote.rtcp) = (INSIDE.into(), INSIDE.into());
                remote.learns_from = Some(address(side).ip());
            }
            session.handle_command(
                now,
                match keys {
                    Some(keys) => Command::ConnectProtected { side, remote, keys: keys() },
                    None => Command::Connect { side, remote },
                },
            );
        }
        let mut call = Self { session, now, masked: false, size: None, hidden: how & 0x80 != 0 };
        if how & 0x30 != 0 {
            let policy = if how & 0x20 != 0 { Policy::Strict } else { Policy::Natural };
            call.session.handle_command(now, Command::Secure { policy });
        }
        call.drain();
        call
    }

    /// A piece: a packet of a side, or time that goes by, or a command.
    fn play(&mut self, kind: u8, bytes: &[u8]) {
        let side = if kind & 1 == 0 { Side::Caller } else { Side::Agent };
        match kind >> 5 {
            4 if self.hidden => {
                let from = OTHERS.get(usize::from(kind & 0x1f) % OTHERS.len()).copied().unwrap_or(INSIDE);
                self.session.handle_packet(self.now, Side::Caller, from.into(), bytes);
            }
            0..=4 => self.session.handle_packet(self.now, side, address(side), bytes),
            5 => self.session.handle_command(self.now, Command::Release),
            6 => self.session.handle_command(self.now, Command::Secure { policy: Policy::Natural }),
            _ => self.session.handle_command(self.now, Command::InfoKey { key: kind & 0x1f | 0x20, duration_ms: None }),
        }
        self.drain();
        self.now += Duration::from_millis(u64::from(kind & 0x1e) * 2);
        self.session.handle_timeout(self.now);
        self.drain();
    }

    /// What goes to the agent of a masked line tells nothing by its kind or its size; and a caller that is found by packets is
    /// found at its host.
    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Send { side: Side::Caller, to, .. } | Output::Control { side: Side::Caller, to, .. } =
                &output
            {
                assert!(to.ip() == address(Side::Caller).ip() && to.port() != 0, "sent to {to}");
            }
            match output {
                Output::Send { side: Side::Agent, packet, .. } if self.masked && !media::masking_disabled() => {
                    let size = *self.size.get_or_insert(packet.as_bytes().len());
                    assert!(packet.as_bytes().len() == size, "the sizes of a masked leg differ");
                    let kind = packet.as_bytes().get(1).copied().unwrap_or_default() & 0x7f;
                    assert!(kind != EVENTS, "an event on a masked leg");
                }
                Output::Event(Event::Secured) => self.masked = true,
                Output::Event(Event::Opened) => (self.masked, self.size) = (false, None),
                _ => {}
            }
        }
    }
}

fn play(input: &[u8], keys: Option<fn() -> Box<Keys>>) {
    let Some((how, pieces_of)) = input.split_first() else { return };
    let mut call = Call::new(*how, keys);
    for (kind, bytes) in pieces(pieces_of).take(PIECES_MAX) {
        call.play(kind, bytes);
    }
    call.session.handle_command(call.now, Command::End);
    call.drain();
}

/// Packets of both sides, in the clear.
pub(crate) fn rtp(input: &[u8]) {
    play(input, None);
}

/// One packet of RTCP, read by itself and by a session.
pub(crate) fn rtcp(input: &[u8]) {
    black_box(reports::parse(input, 1).is_ok());
    let mut call = Call::new(0, None);
    for side in [Side::Caller, Side::Agent] {
        call.session.handle_packet(call.now, side, address(side), input);
    }
    call.drain();
}

fn master(suite: Suite) -> Option<Master> {
    (0..64).find_map(|length| Master::new(suite, &vec![7; length]))
}

fn keys() -> Box<Keys> {
    let master = || master(Suite::Aes128Gcm);
    match (master(), master()) {
        (Some(inbound), Some(outbound)) => Box::new(Keys { inbound, outbound }),
        _ => unreachable!("a key of 64 bytes at most fits each suite"),
    }
}

/// Packets of both sides to a protected call, and each to receivers of every suite. None of it is authentic.
pub(crate) fn srtp(input: &[u8]) {
    play(input, Some(keys));
    for mut receiver in Suite::ALL.into_iter().filter_map(master).filter_map(Receiver::new) {
        for (_, bytes) in pieces(input).take(PIECES_MAX) {
            let mut clear = [0; PACKET_MAX];
            assert!(receiver.unprotect(bytes, &mut clear, true).is_err(), "a forged packet");
            assert!(receiver.unprotect_rtcp(bytes, &mut clear).is_err(), "a forged report");
        }
    }
}

/// Packets of one stream of Opus.
pub(crate) fn opus(input: &[u8]) {
    let Some(mut decoder) = Decoder::new() else { return };
    for (_, packet) in pieces(input).take(PIECES_MAX) {
        let mut sound = [0; 960];
        let length = decoder.decode(packet, &mut sound);
        assert!(length == opus::samples(packet).unwrap_or_default(), "as long as it says");
    }
}
