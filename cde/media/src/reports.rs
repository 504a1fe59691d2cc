//! A leg's RTCP: when a report is due, what it says, and what the peer has reported.
//!
//! What goes to the agent hangs on nothing of the caller but the packets that the agent has been sent:
//! - *When*: a timer and dice of the leg's own, from the connecting of its peer on. No packet moves them.
//! - *Of our stream*: how many packets and bytes have left by this leg, and the timestamp of the newest one; of the time
//!   since then, whole steps of the mask's grid only, because the moment at which a packet left is, on a natural line, when
//!   the caller's came.
//! - *Of a peer's stream*: that of the same leg. Loss and jitter of the caller are told to the caller alone.
//! - *Name and clock*: a CNAME by chance, another one for each leg, and the time since the session began.

use crate::number::samples;
use crate::reception::Reception;
use crate::rtcp::{Block, Compound, NAME_LENGTH, Received, Report, Sender, middle};
use crate::rtp::Header;
use crate::stream::Stream;
use crate::{Flow, PeerReport, Remote};
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use std::time::{Duration, Instant};

/// Between two reports, half of it to one and a half times (RFC 3550 section 6.2); half as much before the first one.
const INTERVAL: Duration = Duration::from_secs(5);
/// A round trip that would be longer was not measured.
const ROUND_TRIP_MAX: u32 = 10 << 16;
/// 64 letters (RFC 4648), six bits each: 96 bits of chance make a name that no other has (RFC 7022 section 4.2).
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The reports of one leg.
pub(crate) struct Reports {
    /// The clock of its reports counts from here: elapsed time will do where none shows the hour (section 6.4.1).
    since: Instant,
    dice: u64,
    name: [u8; NAME_LENGTH],
    /// When the next one is due; once that has come, when that was.
    due: Option<Instant>,
    owed: Owed,
    packets: u32,
    octets: u32,
    /// Packets at the last report, and at the one before.
    told: [u32; 2],
    heard: Option<Reception>,
    last_report: Option<LastReport>,
    /// How fast the clock of both streams is, in which jitter is told.
    ticks_per_sample: u16,
}

/// What is to be polled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owed {
    Nothing,
    Report,
    LastReport,
}

/// The peer's last sender report. Its time and when it came are the middles of NTP times.
#[derive(Clone, Copy)]
struct LastReport {
    ssrc: u32,
    ntp: u32,
    came: u32,
}

impl Reports {
    pub(crate) fn new(now: Instant, random: &mut ChaCha12Rng) -> Self {
        let dice = random.next_u64();
        Self {
            since: now,
            dice,
            name: name(random),
            due: None,
            owed: Owed::Nothing,
            packets: 0,
            octets: 0,
            told: [0; 2],
            heard: None,
            last_report: None,
            ticks_per_sample: 1,
        }
    }

    /// A peer that may be sent to is reported to from now on, also while it is on hold (RFC 3264 section 5.1).
    pub(crate) fn connect(&mut self, now: Instant, remote: Option<&Remote>) {
        self.ticks_per_sample = remote.map_or(1, |remote| remote.codec.ticks_per_sample());
        match remote {
            None => (self.due, self.owed) = (None, Owed::Nothing),
            Some(remote) if remote.receives && self.due.is_none() => self.due = Some(now + self.interval() / 2),
            Some(_) => {}
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            (self.due, self.owed) = (Some(now), Owed::Report);
        }
    }

    /// The call is over: the last report, to a peer that had or would have had others.
    pub(crate) fn end(&mut self, now: Instant) {
        if self.due.is_some() {
            (self.due, self.owed) = (Some(now), Owed::LastReport);
        }
    }

    /// A packet has left.
    pub(crate) fn sent(&mut self, payload: &[u8]) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u32::try_from(payload.len()).unwrap_or_default());
    }

    /// A packet of the leg's stream has come, so many numbers after the newest one; none if a stream begins with it.
    pub(crate) fn received(&mut self, now: Instant, header: &Header, further: Option<u16>, is_sound: bool) {
        if further.is_none() {
            self.heard = None;
        }
        let heard = self.heard.get_or_insert_with(|| Reception::new(header));
        heard.count(further.unwrap_or(1));
        if is_sound {
            heard.sound(samples(now.saturating_duration_since(self.since)), header.timestamp);
        }
    }

    /// The peer has reported. Gives what it says of our stream.
    pub(crate) fn hear(&mut self, now: Instant, received: &Received<'_>) -> Option<PeerReport> {
        if let Some((ssrc, sender)) = received.sender {
            self.last_report = Some(LastReport { ssrc, ntp: middle(sender.ntp), came: middle(self.ntp(now)) });
        }
        let Block { fraction_lost, lost, jitter, .. } = received.block?;
        let round_trip = received.block.and_then(|block| self.round_trip(now, &block));
        let jitter = jitter / u32::from(self.ticks_per_sample.max(1));
        Some(PeerReport { fraction_lost, lost, jitter, round_trip })
    }

    /// From our report to the peer's, without the time that the peer took (section 6.4.1).
    fn round_trip(&self, now: Instant, block: &Block) -> Option<Duration> {
        let since_ours = middle(self.ntp(now)).wrapping_sub(block.last_report);
        let trip = since_ours.wrapping_sub(block.since_last_report);
        let measured = block.last_report != 0 && trip <= ROUND_TRIP_MAX;
        measured.then(|| Duration::from_micros((u64::from(trip) * 1_000_000) >> 16))
    }

    /// The report that is owed.
    pub(crate) fn poll(&mut self, stream: &Stream) -> Option<Compound> {
        let bye = match std::mem::replace(&mut self.owed, Owed::Nothing) {
            Owed::Nothing => return None,
            Owed::Report => false,
            Owed::LastReport => true,
        };
        let now = self.due?;
        self.due = (!bye).then(|| now + self.interval());
        let report = Report {
            ssrc: stream.ssrc(),
            sender: self.sender(now, stream),
            block: self.block(now),
            name: self.name,
            bye,
        };
        Some(Compound::new(&report))
    }

    /// Who has sent nothing since the report before the last one is no sender (section 6.4).
    fn sender(&mut self, now: Instant, stream: &Stream) -> Option<Sender> {
        let [last, before] = self.told;
        self.told = [self.packets, last];
        let (ntp, timestamp) = (self.ntp(now), stream.timestamp_to_report(now));
        let sender = Sender { ntp, timestamp, packets: self.packets, octets: self.octets };
        (self.packets != before).then_some(sender)
    }

    pub(crate) fn flow(&self) -> Flow {
        Flow { sent: self.packets, jitter: self.heard.as_ref().map(Reception::jitter) }
    }

    fn block(&mut self, now: Instant) -> Option<Block> {
        let block = self.heard.as_mut()?.report()?;
        let last = self.last_report.filter(|last| last.ssrc == block.ssrc);
        let now = middle(self.ntp(now));
        let (last_report, since_last_report) = last.map_or((0, 0), |last| (last.ntp, now.wrapping_sub(last.came)));
        let jitter = block.jitter.saturating_mul(self.ticks_per_sample.into());
        Some(Block { last_report, since_last_report, jitter, ..block })
    }

    fn ntp(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.since);
        let fraction = (u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000;
        elapsed.as_secs() << 32 | fraction
    }

    /// The dice are no secret; they only keep reports of many calls from going in step.
    fn interval(&mut self) -> Duration {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [a, b, c, d, ..] = self.dice.to_be_bytes();
        let part = u64::from(u32::from_be_bytes([a, b, c, d]));
        INTERVAL / 2 + Duration::from_millis((part * 5_000) >> 32)
    }
}

fn name(random: &mut ChaCha12Rng) -> [u8; NAME_LENGTH] {
    let bits = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
    std::array::from_fn(|n| {
        let letter = usize::try_from(bits >> (6 * n) & 63).unwrap_or_default();
        LETTERS.get(letter).copied().unwrap_or(b'A')
    })
}
