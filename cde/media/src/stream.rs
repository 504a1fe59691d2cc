//! What goes out on a leg: a stream of our own, with one SSRC and one run of sequence numbers and timestamps, whatever
//! it is made of.

use crate::coding::Coding;
use crate::g711::Law;
use crate::interface::Codec;
use crate::number::{RATE, ahead, ahead16, samples};
use crate::rtp::Header;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use std::time::Instant;

/// A sequence that jumps further ahead, or further back, is mapped anew.
const JUMP_MAX: i16 = 3000;
const BACK_MAX: i16 = 100;
/// Timestamps that differ more from the wall clock are mapped anew: one second.
const DRIFT_MAX: u32 = RATE;

/// Of the mask's grid, which no timing of a masked line is finer than: 250 ms.
const GRID: u32 = RATE / 4;

/// Made sound that is no later than this goes on where the one before ended: 100 ms.
const SEAM_MAX: i32 = 800;

/// One leg's way out.
pub(crate) struct Stream {
    ssrc: u32,
    next_sequence: u16,
    first_timestamp: u32,
    last: Option<Sent>,
    source: Option<Source>,
    /// As the peer decodes what it has got of us.
    pub(crate) coding: Coding,
    /// How fast its clock is, and the timestamp that our first sample would have: all is counted in samples here.
    ticks_per_sample: u16,
    zero: u32,
}

/// The newest sound that went out.
#[derive(Clone, Copy)]
struct Sent {
    at: Instant,
    /// Where it ends, and how much of that was still to be played when it was sent.
    end: u32,
    ahead: u32,
}

/// How the numbers of the stream that is being relayed become ours.
#[derive(Clone, Copy)]
struct Source {
    sequence: u16,
    timestamp: u32,
    newest: u16,
    /// Before it, our numbers went to something else.
    oldest: u16,
    audio: Option<(Instant, u32)>,
}

/// A packet's sound: how long it is, for audio; how long the key has been down, for an event.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Audio(u32),
    Event(u32),
}

impl Stream {
    pub(crate) fn new(random: &mut ChaCha12Rng) -> Self {
        let [low, high, ..] = random.next_u32().to_le_bytes();
        Self {
            ssrc: random.next_u32(),
            // In the lower half, so that who misses the first packets cannot miss a turn (RFC 3711 section 3.3.1).
            next_sequence: u16::from_le_bytes([low, high]) >> 1,
            first_timestamp: random.next_u32(),
            last: None,
            source: None,
            coding: Coding::new(Codec::G711(Law::Mu)),
            ticks_per_sample: 1,
            zero: 0,
        }
    }

    /// What is sent from here on is coded so. Where its clock is another one the timestamps go on from where they were (RFC
    /// 7160 section 4.1).
    pub(crate) fn code_as(&mut self, codec: Codec) {
        self.coding = Coding::new(codec);
        let now = self.last.map_or(self.first_timestamp, |sent| sent.end);
        let reached = self.ticks(now);
        self.ticks_per_sample = codec.ticks_per_sample();
        self.zero = reached.wrapping_sub(now.wrapping_mul(self.ticks_per_sample.into()));
    }

    /// As the peer counts them.
    fn ticks(&self, samples: u32) -> u32 {
        self.zero.wrapping_add(samples.wrapping_mul(self.ticks_per_sample.into()))
    }

    /// The header of sound that is made here, for this moment.
    pub(crate) fn generate(&mut self, at: Instant, length: u32, payload_type: u8, marker: bool) -> Header {
        self.source = None;
        let timestamp = self.next_timestamp(at);
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        self.last = Some(Sent { at, end: timestamp.wrapping_add(length), ahead: length });
        Header { payload_type, marker, sequence, timestamp: self.ticks(timestamp), ssrc: self.ssrc }
    }

    /// The header for a packet of the other leg; none if its place is taken.
    pub(crate) fn relay(&mut self, now: Instant, from: &Header, length: Length, payload_type: u8) -> Option<Header> {
        let known = self.source.filter(|source| source.goes_on(now, from, length));
        let mut source = known.unwrap_or_else(|| self.anchor(now, from));
        if ahead16(from.sequence, source.oldest) < 0 {
            return None;
        }
        source.follow(now, from, length);
        self.source = Some(source);
        let sequence = from.sequence.wrapping_add(source.sequence);
        if ahead16(sequence, self.next_sequence) >= 0 {
            self.next_sequence = sequence.wrapping_add(1);
        }
        let timestamp = from.timestamp.wrapping_add(source.timestamp);
        self.sent(now, timestamp, length);
        let (timestamp, marker) = (self.ticks(timestamp), from.marker || known.is_none());
        Some(Header { payload_type, marker, sequence, timestamp, ssrc: self.ssrc })
    }

    /// A packet of the other leg is left out on purpose: its number is given to the next one.
    pub(crate) fn leave_out(&mut self, from: &Header) {
        if let Some(source) = self.source.as_mut().filter(|source| ahead16(from.sequence, source.newest) > 0) {
            source.newest = from.sequence;
            source.sequence = source.sequence.wrapping_sub(1);
        }
    }

    /// Nothing is being relayed any more; what comes next gets its place by the clock.
    pub(crate) fn detach(&mut self) {
        self.source = None;
    }

    /// Has any sound gone out?
    pub(crate) fn has_spoken(&self) -> bool {
        self.last.is_some()
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// What a report says this moment is: the beginning of the newest packet, and whole steps of the grid since it left.
    pub(crate) fn timestamp_to_report(&self, now: Instant) -> u32 {
        let moment = self.last.map_or(self.first_timestamp, |sent| {
            let elapsed = samples(now.saturating_duration_since(sent.at));
            sent.end.wrapping_sub(sent.ahead).wrapping_add(elapsed / GRID * GRID)
        });
        self.ticks(moment)
    }

    fn anchor(&self, now: Instant, from: &Header) -> Source {
        Source {
            sequence: self.next_sequence.wrapping_sub(from.sequence),
            timestamp: self.timestamp_at(now).wrapping_sub(from.timestamp),
            newest: from.sequence,
            oldest: from.sequence,
            audio: None,
        }
    }

    fn timestamp_at(&self, now: Instant) -> u32 {
        self.last.map_or(self.first_timestamp, |sent| {
            let elapsed = samples(now.saturating_duration_since(sent.at));
            sent.end.wrapping_add(elapsed.saturating_sub(sent.ahead))
        })
    }

    /// Sound that follows goes on without a seam, however unevenly it is made, unless the clock has run away from it.
    fn next_timestamp(&self, at: Instant) -> u32 {
        let by_clock = self.timestamp_at(at);
        self.last.map_or(by_clock, |sent| if ahead(by_clock, sent.end) < SEAM_MAX { sent.end } else { by_clock })
    }

    fn sent(&mut self, now: Instant, timestamp: u32, length: Length) {
        let (length, in_advance) = match length {
            Length::Audio(length) => (length, length),
            Length::Event(length) => (length, 0),
        };
        let end = timestamp.wrapping_add(length);
        if self.last.is_none_or(|last| ahead(end, last.end) > 0) {
            self.last = Some(Sent { at: now, end, ahead: in_advance });
        }
    }
}

impl Source {
    fn goes_on(&self, now: Instant, from: &Header, length: Length) -> bool {
        let jump = ahead16(from.sequence, self.newest);
        let drifts = match (length, self.audio) {
            (Length::Audio(_), Some((at, timestamp))) => {
                let expected = timestamp.wrapping_add(samples(now.saturating_duration_since(at)));
                ahead(from.timestamp, expected).unsigned_abs() > DRIFT_MAX
            }
            _ => false,
        };
        (-BACK_MAX..=JUMP_MAX).contains(&jump) && !drifts
    }

    fn follow(&mut self, now: Instant, from: &Header, length: Length) {
        if ahead16(from.sequence, self.newest) < 0 {
            return;
        }
        self.newest = from.sequence;
        let oldest = from.sequence.wrapping_sub(BACK_MAX.unsigned_abs());
        if ahead16(oldest, self.oldest) > 0 {
            self.oldest = oldest;
        }
        if let Length::Audio(_) = length {
            self.audio = Some((now, from.timestamp));
        }
    }
}
