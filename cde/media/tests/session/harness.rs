//! One call, its two peers and a clock.
#![cfg_attr(feature = "masking-off-control", allow(dead_code, reason = "the control runs a part of the tests"))]

use card::Key;
use media::event::EventSender;
use media::g711::{self, Law};
use media::g722::Coder;
use media::opus;
use media::rtp::{self, Header};
use media::srtp::{Keys, Master, PACKET_MAX, Receiver, Sender, Suite};
use media::{Codec, Command, Config, Event, Hold, Output, Packet, RecordFrame, Remote, Session, Side, Stats};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) const CALLER: &str = "192.0.2.1:4000";
pub(crate) const AGENT: &str = "192.0.2.2:5000";
pub(crate) const EVENTS: u8 = 101;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const MU: Codec = Codec::G711(Law::Mu);

pub(crate) fn remote(side: Side) -> Remote {
    remote_of(side, MU)
}

pub(crate) fn remote_of(side: Side, codec: Codec) -> Remote {
    let address = if side == Side::Caller { CALLER } else { AGENT }.parse().unwrap();
    Remote { telephone_event: Some(EVENTS), ..Remote::of(address, codec) }
}

/// Where the recorder takes the copies of a leg.
pub(crate) fn copies_at(side: Side) -> Remote {
    let (address, rtcp) = match side {
        Side::Caller => ("192.0.2.3:6002", "192.0.2.3:6003"),
        Side::Agent => ("192.0.2.3:6000", "192.0.2.3:6001"),
    };
    Remote { rtcp: rtcp.parse().unwrap(), sends: false, ..Remote::g711(address.parse().unwrap(), Law::Mu) }
}

/// A packet that a leg got, with when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Got {
    pub(crate) at: u64,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

impl Got {
    pub(crate) fn samples(&self, law: Law) -> Vec<i16> {
        self.payload.iter().map(|code| g711::decode(law, *code)).collect()
    }
}

/// The peer of a leg: its own stream, and what it got.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Where it takes RTCP, if not there.
    pub(crate) rtcp: Option<SocketAddr>,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) codec: Codec,
    /// With what it codes G.722, and Opus.
    pub(crate) coder: Coder,
    pub(crate) encoder: opus::Encoder,
    pub(crate) got: Vec<Got>,
    pub(crate) reports: Vec<Told>,
    /// Of a leg that is protected.
    pub(crate) srtp: Option<(Sender, Receiver)>,
    /// Bytes as they came, of a leg that is protected.
    pub(crate) raw: Vec<Vec<u8>>,
}

/// RTCP that a leg got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) at: u64,
    /// So many packets had come before it.
    pub(crate) packets: usize,
    pub(crate) bytes: Vec<u8>,
}

/// A master key that tells its number.
pub(crate) fn master(suite: Suite, number: u8) -> Master {
    (0..64).find_map(|length| Master::new(suite, &vec![number; length])).unwrap()
}

impl Peer {
    fn new(side: Side) -> Self {
        let ssrc = if side == Side::Caller { 0xca11 } else { 0xa9e7 };
        Self {
            address: remote(side).address,
            rtcp: None,
            ssrc,
            sequence: 0xfff0,
            timestamp: 0xffff_f000,
            codec: MU,
            coder: Coder::default(),
            encoder: opus::Encoder::new().unwrap(),
            got: Vec::new(),
            reports: Vec::new(),
            srtp: None,
            raw: Vec::new(),
        }
    }

    /// What goes over the network for a packet of this peer.
    pub(crate) fn sent(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some((sender, _)) = &mut self.srtp else { return bytes.to_vec() };
        let mut buffer = [bytes, &[0; 16]].concat();
        let length = sender.protect(&mut buffer, bytes.len()).unwrap();
        buffer.truncate(length);
        buffer
    }

    /// The same for RTCP.
    pub(crate) fn sent_report(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some((sender, _)) = &mut self.srtp else { return bytes.to_vec() };
        let mut buffer = [bytes, &[0; 20]].concat();
        let length = sender.protect_rtcp(&mut buffer, bytes.len()).unwrap();
        buffer.truncate(length);
        buffer
    }

    /// What this peer makes of a packet from the network.
    fn received(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some((_, receiver)) = &mut self.srtp else { return bytes.to_vec() };
        self.raw.push(bytes.to_vec());
        let mut clear = [0; PACKET_MAX];
        let length = receiver.unprotect(bytes, &mut clear, false).unwrap_or_else(|why| panic!("{why:?}"));
        clear[..length].to_vec()
    }

    /// The same for RTCP.
    fn received_report(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some((_, receiver)) = &mut self.srtp else { return bytes.to_vec() };
        let mut clear = [0; PACKET_MAX];
        let length = receiver.unprotect_rtcp(bytes, &mut clear).unwrap_or_else(|why| panic!("{why:?}"));
        clear[..length].to_vec()
    }

    /// The next packet, 20 ms after the one before.
    pub(crate) fn packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let header = Header { payload_type, marker, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        Packet::new(&header, payload).unwrap().as_bytes().to_vec()
    }

    pub(crate) fn audio(&mut self, samples: &[i16]) -> Vec<u8> {
        let codes: Vec<u8> = match self.codec {
            Codec::G711(law) => samples.iter().map(|sample| g711::encode(law, *sample)).collect(),
            Codec::G722 => samples.iter().map(|sample| self.coder.encode(*sample)).collect(),
            Codec::Opus => {
                let mut packet = [0; 480];
                let length = self.encoder.encode(samples, &mut packet).unwrap();
                packet[..length].to_vec()
            }
        };
        self.codes(&codes)
    }

    /// A packet of these codes.
    pub(crate) fn codes(&mut self, codes: &[u8]) -> Vec<u8> {
        let timestamp = self.timestamp;
        let ticks = match self.codec {
            Codec::G711(_) | Codec::G722 => codes.len(),
            Codec::Opus => 6 * opus::samples(codes).unwrap(),
        };
        self.timestamp = timestamp.wrapping_add(ticks as u32);
        let remote = remote_of(Side::Caller, self.codec);
        self.packet(remote.payload_type, false, timestamp, codes)
    }

    /// All sound that it got, from the first packet on.
    pub(crate) fn hears(&self) -> Vec<i16> {
        let (mut ear, mut decoder) = (Coder::default(), opus::Decoder::new().unwrap());
        let sound = self.got.iter().filter(|got| got.header.payload_type != EVENTS);
        let decode = |got: &Got| match self.codec {
            Codec::G711(law) => got.samples(law),
            Codec::G722 => got.payload.iter().map(|code| ear.decode(*code)).collect(),
            Codec::Opus => {
                let mut sound = [0; 960];
                let length = decoder.decode(&got.payload, &mut sound);
                sound[..length].to_vec()
            }
        };
        sound.flat_map(decode).collect()
    }

    /// The packets of a key press that began now; time goes on by as much.
    pub(crate) fn key(&mut self, key: u8, duration: Duration) -> Vec<Vec<u8>> {
        let start = self.timestamp;
        let ticks: u32 = if self.codec == Codec::Opus { 6 } else { 1 };
        let packets = EventSender::new(key, duration).unwrap();
        let bytes: Vec<Vec<u8>> = packets
            .map(|sent| {
                let [code, flags, high, low] = sent.payload;
                let [high, low] = (u16::from_be_bytes([high, low]) * ticks as u16).to_be_bytes();
                let offset = ticks * sent.timestamp_offset;
                self.packet(EVENTS, sent.marker, start.wrapping_add(offset), &[code, flags, high, low])
            })
            .collect();
        self.timestamp = start.wrapping_add(160 * ticks * bytes.len() as u32);
        bytes
    }
}

pub(crate) struct Call {
    pub(crate) session: Session,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) caller: Peer,
    pub(crate) agent: Peer,
    pub(crate) events: Vec<(u64, String)>,
    pub(crate) frames: Vec<RecordFrame>,
    /// What the recorder got: of which leg.
    pub(crate) copies: Vec<(Side, Vec<u8>)>,
    pub(crate) copy_reports: Vec<(Side, Vec<u8>)>,
}

impl Call {
    /// Both legs connected, the line open.
    pub(crate) fn new() -> Self {
        Self::with_hold(Hold::default())
    }

    pub(crate) fn with_hold(hold: Hold) -> Self {
        Self::coded(hold, [MU, MU])
    }

    /// The caller's codec, and the agent's.
    pub(crate) fn coded(hold: Hold, [caller, agent]: [Codec; 2]) -> Self {
        let mut call = Self::of(hold);
        (call.caller.codec, call.agent.codec) = (caller, agent);
        call.command(Command::Connect { side: Side::Caller, remote: call.remote(Side::Caller) });
        call.command(Command::Connect { side: Side::Agent, remote: call.remote(Side::Agent) });
        call
    }

    pub(crate) fn remote(&self, side: Side) -> Remote {
        remote_of(side, if side == Side::Caller { self.caller.codec } else { self.agent.codec })
    }

    /// Both legs connected and protected, the line open.
    pub(crate) fn protected(suite: Suite) -> Self {
        let mut call = Self::unconnected();
        call.protect(Side::Caller, suite, 1);
        call.protect(Side::Agent, suite, 3);
        call
    }

    /// Connects a leg with the keys of this number and the next one; its peer takes them too.
    pub(crate) fn protect(&mut self, side: Side, suite: Suite, number: u8) {
        let sender = Sender::new(master(suite, number)).unwrap();
        let receiver = Receiver::new(master(suite, number + 1)).unwrap();
        let peer = if side == Side::Caller { &mut self.caller } else { &mut self.agent };
        peer.srtp = Some((sender, receiver));
        self.connect_protected(side, suite, number);
    }

    /// The caller's peer sends another stream under the key of this number, which the leg has.
    pub(crate) fn protect_another_stream(&mut self, suite: Suite, number: u8) {
        let sender = Sender::new(master(suite, number)).unwrap();
        self.caller.srtp = self.caller.srtp.take().map(|(_, receiver)| (sender, receiver));
    }

    /// The same, and the peer goes on as it was.
    pub(crate) fn connect_protected(&mut self, side: Side, suite: Suite, number: u8) {
        let keys = Box::new(Keys { inbound: master(suite, number), outbound: master(suite, number + 1) });
        self.command(Command::ConnectProtected { side, remote: remote(side), keys });
    }

    pub(crate) fn unconnected() -> Self {
        Self::of(Hold::default())
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
    fn of(hold: Hold) -> Self {
        let now = Instant::now();
        let session = Session::new(now, Config { seed: [7; 32], record: true, hold });
        let (caller, agent) = (Peer::new(Side::Caller), Peer::new(Side::Agent));
        let (events, frames, copies, copy_reports) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { session, start: now, now, caller, agent, events, frames, copies, copy_reports }
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.session.handle_command(self.now, command);
        self.drain();
    }

    pub(crate) fn info(&mut self, key: u8) {
        self.command(Command::InfoKey { key, duration_ms: None });
    }

    pub(crate) fn give(&mut self, side: Side, bytes: &[u8]) {
        let peer = if side == Side::Caller { &mut self.caller } else { &mut self.agent };
        let bytes = peer.sent(bytes);
        self.give_raw(side, &bytes);
    }

    /// Exactly these bytes from the peer's address.
    pub(crate) fn give_raw(&mut self, side: Side, bytes: &[u8]) {
        let source = if side == Side::Caller { self.caller.address } else { self.agent.address };
        self.session.handle_packet(self.now, side, source, bytes);
        self.drain();
    }

    /// Lets time go by, with all timeouts on their time.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// The caller sends a packet and 20 ms go by.
    pub(crate) fn caller_sends(&mut self, bytes: &[u8]) {
        self.give(Side::Caller, bytes);
        self.wait(ms(20));
    }

    pub(crate) fn caller_is_silent(&mut self, time: Duration) {
        self.caller_says(&vec![0; time.as_millis() as usize * 8]);
    }

    pub(crate) fn caller_says(&mut self, samples: &[i16]) {
        for frame in samples.chunks_exact(160) {
            let bytes = self.caller.audio(frame);
            self.caller_sends(&bytes);
        }
    }

    pub(crate) fn caller_keys(&mut self, keys: &str) {
        for key in keys.bytes() {
            let packets = self.caller.key(key, ms(100));
            packets.iter().for_each(|bytes| self.caller_sends(bytes));
            self.caller_is_silent(ms(100));
        }
    }

    /// The keys that the call was told of; `!` for a lost one.
    pub(crate) fn keys(&self) -> String {
        self.events.iter().filter(|(_, event)| event.len() == 1).map(|(_, event)| event.as_str()).collect()
    }

    /// When events of this name came.
    pub(crate) fn times(&self, name: &str) -> Vec<u64> {
        self.events.iter().filter(|(_, event)| event == name).map(|(at, _)| *at).collect()
    }

    pub(crate) fn elapsed(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    pub(crate) fn agent_heard(&self) -> Vec<i16> {
        self.agent.got.iter().filter(|got| got.header.payload_type == 0).flat_map(|got| got.samples(Law::Mu)).collect()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.session.stats()
    }

    fn drain(&mut self) {
        let at = self.elapsed();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send { side, to, packet } => {
                    let peer = if side == Side::Caller { &mut self.caller } else { &mut self.agent };
                    assert_eq!(to, peer.address);
                    let bytes = peer.received(packet.as_bytes());
                    let read = rtp::parse(&bytes).unwrap_or_else(|error| panic!("{error}"));
                    peer.got.push(Got { at, header: read.header, payload: read.payload.to_vec() });
                }
                Output::Control { side, to, packet, .. } => {
                    let peer = if side == Side::Caller { &mut self.caller } else { &mut self.agent };
                    assert_eq!(to, peer.rtcp.unwrap_or(peer.address));
                    let (packets, bytes) = (peer.got.len(), peer.received_report(packet.as_bytes()));
                    peer.reports.push(Told { at, packets, bytes });
                }
                Output::Copy { side, to, packet } => {
                    assert_eq!(to, copies_at(side).address);
                    self.copies.push((side, packet.as_bytes().to_vec()));
                }
                Output::CopyControl { side, to, muxed, packet } => {
                    assert_eq!((to, muxed), (copies_at(side).rtcp, false));
                    self.copy_reports.push((side, packet.as_bytes().to_vec()));
                }
                Output::Event(event) => self.events.push((at, name(event))),
                Output::Recorded(frame) => self.frames.push(frame),
            }
        }
    }
}

fn name(event: Event) -> String {
    match event {
        Event::Secured => "Secured".to_owned(),
        Event::Releasing => "Releasing".to_owned(),
        Event::Opened => "Opened".to_owned(),
        Event::Masking { policy } => format!("{policy:?}"),
        Event::Proof { .. } => "Proof".to_owned(),
        Event::LeakSuspected => "LeakSuspected".to_owned(),
        Event::KeysOnOpenLine => "KeysOnOpenLine".to_owned(),
        Event::KeyLost => "!".to_owned(),
        Event::Key(key) => key_name(&key),
        Event::AgentCode => "agent code".to_owned(),
        Event::AgentDigit(key) => format!("agent {}", key_name(&key)),
        Event::AgentDigitsEnd => "agent end".to_owned(),
    }
}

fn key_name(key: &Key) -> String {
    match key {
        Key::Digit(digit) => digit.expose(|value| value.to_string()),
        Key::Star => "*".to_owned(),
        Key::Pound => "#".to_owned(),
        Key::Letter => "L".to_owned(),
    }
}

/// A small generator, so that a seed replays.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A soft hum, so that relayed sound is not all silence.
pub(crate) fn hum(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (((n * 37) % 400) as i16 - 200) * 8).collect()
}
