//! Copies of what the legs are sent, for a recorder (RFC 7866): each leg's sound as a stream of its own.
//!
//! A packet is copied as it is about to leave, behind the mask, the witness and whatever else stands in its way, and its
//! payload goes byte for byte. So the witness of the agent leg has heard the copy too, and where a leg is silent, its copy
//! is. Recorders know no Opus: of such a leg they get in G.711 what its peer decodes, which is the payload and nothing else
//! too. Keys that pass on an open line as events are not copied; those that pass as sound are sound.

use crate::coding::{self, Coding, Samples};
use crate::interface::{Codec, Output, Remote, Side};
use crate::outputs::Outputs;
use crate::reports::Reports;
use crate::rtp::{self, Header, PAYLOAD_MAX, Packet};
use crate::srtp::Keys;
use crate::stream::{Length, Stream};
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use std::time::Instant;

/// The copies of one call.
pub(crate) struct Fork {
    of_caller: Copies,
    of_agent: Copies,
    outputs: Outputs,
}

/// Those of one leg.
struct Copies {
    remote: Option<Remote>,
    stream: Stream,
    reports: Reports,
    source: Option<Source>,
}

/// The stream that is copied.
struct Source {
    codec: Codec,
    /// It counts the stream's timestamps, and decodes it for a recorder that does not know the codec.
    ear: Coding,
}

impl Copies {
    fn new(now: Instant, random: &mut ChaCha12Rng) -> Self {
        Self { remote: None, stream: Stream::new(random), reports: Reports::new(now, random), source: None }
    }

    /// The copy of a packet of sound.
    fn of(&mut self, now: Instant, header: &Header, peer: &Remote, to: &Remote, payload: &[u8]) -> Option<Packet> {
        let length = Length::Audio(u32::try_from(coding::samples(peer.codec, payload)?).ok()?);
        self.source.take_if(|source| source.codec != peer.codec);
        let source = self.source.get_or_insert_with(|| Source { codec: peer.codec, ear: Coding::new(peer.codec) });
        let timestamp = source.ear.sample(header.timestamp);
        let header = self.stream.relay(now, &Header { timestamp, ..*header }, length, to.payload_type)?;
        if to.codec == peer.codec {
            return Packet::new(&header, payload);
        }
        let sound = Samples::decode(&mut source.ear, payload);
        let mut codes = [0; PAYLOAD_MAX];
        let written = self.stream.coding.encode(sound.as_slice(), &mut codes)?;
        Packet::new(&header, codes.get(..written)?)
    }
}

/// Can a recorder of this codec hear what is coded so?
fn hears(recorder: Codec, coded: Codec) -> bool {
    recorder == coded || matches!((recorder, coded), (Codec::G711(_), Codec::Opus))
}

impl Fork {
    pub(crate) fn new(now: Instant, seed: [u8; 32]) -> Self {
        let mut random = ChaCha12Rng::from_seed(seed);
        let (of_caller, of_agent) = (Copies::new(now, &mut random), Copies::new(now, &mut random));
        Self { of_caller, of_agent, outputs: Outputs::new() }
    }

    /// Where the copies of a leg go. With keys that cannot be used they go nowhere.
    pub(crate) fn connect(&mut self, now: Instant, side: Side, remote: Remote, keys: Option<Keys>) {
        let protected = self.outputs.protect(side, keys.map(|keys| keys.outbound));
        let copies = self.copies(side);
        copies.remote = Some(remote).filter(|_| protected);
        copies.stream.code_as(remote.codec);
        copies.reports.connect(now, copies.remote.as_ref());
    }

    /// A packet is about to leave for the peer of a leg.
    pub(crate) fn copy(&mut self, now: Instant, side: Side, peer: &Remote, packet: &Packet) {
        let copies = self.copies(side);
        let Ok((header, _)) = rtp::split(packet.as_bytes()) else { return };
        let Some(to) = copies.remote.filter(|to| to.receives && hears(to.codec, peer.codec)) else {
            return copies.stream.detach();
        };
        if header.payload_type != peer.payload_type {
            return copies.stream.leave_out(&header);
        }
        if let Some(copy) = copies.of(now, &header, peer, &to, packet.payload()) {
            self.outputs.send(side, to.address, copy);
        }
    }

    /// Takes back what was about to leave.
    pub(crate) fn recall(&mut self, side: Side) {
        self.copies(side).stream.detach();
        self.outputs.recall(side);
    }

    pub(crate) fn end(&mut self, now: Instant) {
        self.both().for_each(|copies| copies.reports.end(now));
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.both().for_each(|copies| copies.reports.handle_timeout(now));
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [&self.of_caller, &self.of_agent].into_iter().filter_map(|copies| copies.reports.poll_timeout()).min()
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        if let Some(Output::Send { side, to, packet }) = self.outputs.poll() {
            self.copies(side).reports.sent(packet.payload());
            return Some(Output::Copy { side, to, packet });
        }
        [Side::Caller, Side::Agent].into_iter().find_map(|side| self.poll_report(side))
    }

    fn poll_report(&mut self, side: Side) -> Option<Output> {
        let copies = self.copies(side);
        let packet = copies.reports.poll(&copies.stream)?;
        let Remote { address, rtcp: to, .. } = copies.remote?;
        let report = Output::Control { side, to, muxed: address == to, packet };
        let Output::Control { side, to, muxed, packet } = self.outputs.report(report)? else { return None };
        Some(Output::CopyControl { side, to, muxed, packet })
    }

    fn copies(&mut self, side: Side) -> &mut Copies {
        match side {
            Side::Caller => &mut self.of_caller,
            Side::Agent => &mut self.of_agent,
        }
    }

    fn both(&mut self) -> impl Iterator<Item = &mut Copies> {
        [&mut self.of_caller, &mut self.of_agent].into_iter()
    }
}
