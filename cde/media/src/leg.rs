//! What comes in on a leg: only from its peer's address, and only of one SSRC: the first, until another follows it.

use crate::coding::{self, Coding, Samples};
use crate::event::KeyEvent;
use crate::g711::Law;
use crate::interface::{Codec, EventClock, LegStats, Remote};
use crate::number::{ahead, ahead16};
use crate::place::{Place, is_somewhere};
use crate::reports::Reports;
use crate::rtp::{self, Header, PAYLOAD_MAX};
use crate::srtp::{Inbound, Master};
use crate::stream::Stream;
use crate::successor::{Predecessor, SILENT, Successor};
use crate::{Output, Side, rtcp};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Instant;

/// Samples of a packet that is heard: 10 to 60 ms.
const PAYLOAD: RangeInclusive<usize> = 80..=PAYLOAD_MAX;
/// Further jumps of the sequence mean that the sender started anew (RFC 3550 appendix A.1).
const DROPOUT_MAX: i16 = 3000;
const MISORDER_MAX: i16 = 100;
/// No event is further from its sound: ten seconds.
const AMONG_MAX: u32 = 80_000;
/// Samples of a packet until one has come.
const PACKET_SAMPLES: u32 = 160;

/// One leg's way in.
pub(crate) struct Leg {
    /// At the place that is known, if it is behind a NAT.
    remote: Option<Remote>,
    place: Option<Box<Place>>,
    lock: Option<Lock>,
    /// Who may take its place.
    successor: Option<Box<Successor>>,
    /// In whose place the locked stream has come.
    predecessor: Option<Box<Predecessor>>,
    packet_samples: u32,
    /// How what comes is coded.
    coding: Coding,
    pub(crate) reports: Reports,
    /// On a protected leg only. It outlives a hold, or what the peer sends after it would not be understood.
    srtp: Option<Box<Inbound>>,
    pub(crate) stats: LegStats,
}

/// The stream that a leg is locked to.
#[derive(Clone, Copy)]
pub(crate) struct Lock {
    pub(crate) ssrc: u32,
    newest_sequence: u16,
    /// Where the newest packet's sound ends.
    pub(crate) end: u32,
    /// When that packet came.
    pub(crate) at: Instant,
    /// When any packet of the stream came, whatever it holds and however late.
    heard: Instant,
}

/// A packet that may be heard.
pub(crate) struct Arrived<'a> {
    /// Its timestamp counts samples of 8 kHz, but for events [`Arrived::in_other_clock`].
    pub(crate) header: Header,
    /// Its timestamp as the peer counts.
    pub(crate) timestamp: u32,
    pub(crate) media: Media<'a>,
    pub(crate) order: Order,
    /// An event whose timestamp counts in another clock than the sound's: it says nothing of when that was.
    pub(crate) in_other_clock: bool,
    /// The first packet of a stream that has come in the place of another, without a word by SIP.
    pub(crate) is_successor: bool,
}

/// What a packet holds.
pub(crate) enum Media<'a> {
    /// The payload, and how many samples it stands for.
    Audio(&'a [u8], usize),
    /// Its duration in samples of 8 kHz, whatever its clock.
    Event(KeyEvent),
}

/// How a packet stands to those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Newer than all before; so many are missing in between.
    Next { lost: u16 },
    /// Older than one that has come.
    Late,
    /// The sender counts anew.
    Anew,
}

impl Leg {
    pub(crate) fn new(reports: Reports) -> Self {
        let stats = LegStats::default();
        let coding = Coding::new(Codec::G711(Law::Mu));
        Self {
            remote: None,
            place: None,
            lock: None,
            successor: None,
            predecessor: None,
            packet_samples: PACKET_SAMPLES,
            coding,
            reports,
            srtp: None,
            stats,
        }
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// The peer, if it may be sent to.
    pub(crate) fn receiver(&self) -> Option<&Remote> {
        self.remote.as_ref().filter(|remote| remote.receives && is_somewhere(remote.address))
    }

    pub(crate) fn lock(&self) -> Option<Lock> {
        self.lock
    }

    /// Samples of a packet, as they come on this leg.
    pub(crate) fn packet_samples(&self) -> u32 {
        self.packet_samples
    }

    /// Are the peer's packets looked at?
    pub(crate) fn may_be_heard(&self) -> bool {
        self.remote.is_some_and(|remote| remote.sends)
    }

    /// Takes a new peer. The lock is kept unless the stream must be, or after a hold may be, another one: a PBX that
    /// sends again often does so under a new SSRC. True if the streams, both ways, are others than before.
    pub(crate) fn connect(&mut self, now: Instant, remote: Option<Remote>) -> bool {
        let stream = |remote: &Remote| {
            (remote.address, remote.codec, remote.payload_type, remote.telephone_event, remote.event_clock)
        };
        let sends_again = !self.may_be_heard() && remote.is_some_and(|remote| remote.sends);
        let remote = remote.map(|remote| self.placed(now, remote, sends_again));
        let changed = self.remote.as_ref().map(stream) != remote.as_ref().map(stream);
        if sends_again || changed {
            (self.lock, self.predecessor) = (None, None);
        }
        if let Some(remote) = remote.filter(|_| changed) {
            self.coding = Coding::new(remote.codec);
        }
        self.remote = remote;
        self.reports.connect(now, remote.as_ref());
        changed
    }

    /// A peer behind a NAT stays where it is known to be, through a hold too, until another address is agreed on.
    fn placed(&mut self, now: Instant, remote: Remote, sends_again: bool) -> Remote {
        let known = self.place.take().filter(|place| place.is_of(&remote));
        let place = match known {
            Some(mut place) => {
                if sends_again {
                    place.doubt();
                }
                Some(place)
            }
            None => Place::new(now, &remote).map(Box::new),
        };
        let placed = place.as_ref().map_or(remote, |place| place.of(&remote));
        self.place = place;
        placed
    }

    /// Of a leg that is not protected: a packet may tell where the peer is behind its NAT. `is_masked`: it has its place, or
    /// gets the first one, and no other. True if this may be the peer all the same, and is refused for its place: sound or a
    /// key, of whatever stream, from the right host.
    pub(crate) fn learn(&mut self, now: Instant, source: SocketAddr, bytes: &[u8], is_masked: bool) -> bool {
        let (Some(place), Some(remote)) = (&self.place, &self.remote) else { return false };
        let moves = place.would_move(source);
        if rtcp::is_rtcp(bytes) {
            if place.may_report_from(source) && rtcp::parse(bytes, 0).is_ok() {
                self.reports_from(source);
            }
            return false;
        }
        if place.may_be_at(now, source, is_masked) && self.could_be_its_own(remote, bytes, moves) {
            self.is_at(now, source);
            return false;
        }
        moves && place.is_its_host(source) && self.could_be_its_own(remote, bytes, false)
    }

    /// Whether a packet could be of the leg's stream. If the peer would have moved with it, it must go on with what is locked.
    fn could_be_its_own(&self, remote: &Remote, bytes: &[u8], moves: bool) -> bool {
        let Ok(received) = rtp::parse(bytes) else { return false };
        let (kind, payload) = (received.header.payload_type, received.payload);
        let is_sound = || coding::samples(remote.codec, payload).is_some_and(|samples| PAYLOAD.contains(&samples));
        let is_media = kind == remote.payload_type && is_sound()
            || Some(kind) == remote.telephone_event && KeyEvent::parse(payload).is_some();
        is_media && (!moves || self.lock.is_none_or(|lock| lock.ssrc == received.header.ssrc))
    }

    /// A packet of the peer has come from here, where it may be.
    fn is_at(&mut self, now: Instant, source: SocketAddr) {
        let (Some(place), Some(remote)) = (&mut self.place, &mut self.remote) else { return };
        place.heard(now, source);
        *remote = place.of(remote);
    }

    fn reports_from(&mut self, source: SocketAddr) {
        let (Some(place), Some(remote)) = (&mut self.place, &mut self.remote) else { return };
        place.reported(source);
        *remote = place.of(remote);
    }

    /// RTCP, whichever port it came on. It is read for the figures alone; the stream and the lock are RTP's.
    pub(crate) fn accept_report(&mut self, now: Instant, source: SocketAddr, bytes: &[u8], ours: u32) {
        if self.remote.is_none_or(|remote| remote.rtcp != source) {
            self.stats.refused_source += 1;
            return;
        }
        let Ok(received) = rtcp::parse(bytes, ours) else {
            self.stats.malformed += 1;
            return;
        };
        self.stats.rtcp += 1;
        self.stats.byes += u32::from(received.bye);
        self.stats.reported = self.reports.hear(now, &received).or(self.stats.reported);
    }

    /// The report that is owed to the peer.
    pub(crate) fn poll_report(&mut self, side: Side, stream: &Stream) -> Option<Output> {
        let packet = self.reports.poll(stream)?;
        let Remote { address, rtcp, .. } = self.remote.filter(|remote| is_somewhere(remote.rtcp))?;
        Some(Output::Control { side, to: rtcp, muxed: address == rtcp, packet })
    }

    /// With which key the peer protects what it sends, if it does. False if the key cannot be used.
    pub(crate) fn protect(&mut self, now: Instant, key: Option<Master>) -> bool {
        let Some(key) = key else {
            self.srtp = None;
            return true;
        };
        let srtp = match self.srtp.take() {
            Some(srtp) => srtp.rekey(now, key),
            None => Inbound::new(key),
        };
        self.srtp = srtp.map(Box::new);
        self.srtp.is_some()
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.srtp.is_some()
    }

    /// What an authentic packet of the peer was before it was protected. It is looked at during a hold too: who holds may
    /// go on sending, and its numbers must be followed.
    pub(crate) fn unprotect<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        bytes: &[u8],
        clear: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let may_be_at = |place: &Place| place.may_be_at(now, source, false);
        let is_its_own = self.remote.is_some_and(|remote| remote.address == source);
        if self.remote.is_none() || !is_its_own && !self.place.as_deref().is_some_and(may_be_at) {
            self.stats.refused_source += 1;
            return None;
        }
        let Ok((header, _)) = rtp::split(bytes) else {
            self.stats.malformed += 1;
            return None;
        };
        let waits = self.srtp.as_ref()?.waits();
        if !waits && self.is_of_another(&header) && !self.is_silent(now) {
            self.stats.refused_ssrc += 1;
            return None;
        }
        let srtp = self.srtp.as_mut()?;
        let length = srtp.unprotect(now, bytes, clear, self.lock.is_none());
        if waits && !srtp.waits() {
            // Who has a new key may be another source of sound; who goes on with the old stream is locked to it again.
            self.lock = self.lock.filter(|lock| lock.ssrc == header.ssrc);
        }
        self.stats.refused_srtp += u32::from(length.is_err());
        let length = length.ok()?;
        self.is_at(now, source);
        clear.get(..length)
    }

    /// The same for RTCP, whichever port it came on.
    pub(crate) fn unprotect_report<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        bytes: &[u8],
        clear: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let may_report = |place: &Place| place.may_report_from(source);
        let is_its_own = self.remote.is_some_and(|remote| remote.rtcp == source);
        if self.remote.is_none() || !is_its_own && !self.place.as_deref().is_some_and(may_report) {
            self.stats.refused_source += 1;
            return None;
        }
        let length = self.srtp.as_mut()?.unprotect_rtcp(now, bytes, clear);
        self.stats.refused_srtp += u32::from(length.is_err());
        let length = length.ok()?;
        if !is_its_own {
            self.reports_from(source);
        }
        clear.get(..length)
    }

    fn is_of_another(&self, header: &Header) -> bool {
        self.lock.is_some_and(|lock| lock.ssrc != header.ssrc)
    }

    /// Has nothing come for a while of the stream that the leg is locked to?
    fn is_silent(&self, now: Instant) -> bool {
        self.lock.is_none_or(|lock| now.saturating_duration_since(lock.heard) >= SILENT)
    }

    /// A packet of another stream than the leg's. True if that stream has come in its place. Events make none: one that has begun
    /// before would be a key.
    fn is_succeeded(&mut self, now: Instant, remote: &Remote, header: &Header, payload: &[u8]) -> bool {
        let samples = coding::samples(remote.codec, payload).filter(|samples| PAYLOAD.contains(samples));
        let samples = samples.filter(|_| header.payload_type == remote.payload_type);
        let Some(packet) = samples.and_then(|samples| u32::try_from(samples).ok()) else {
            self.successor = None;
            return false;
        };
        self.predecessor.take_if(|predecessor| !predecessor.is_known(now));
        if self.predecessor.as_mut().is_some_and(|predecessor| predecessor.is_back(now, header, packet)) {
            return true;
        }
        if !self.is_silent(now) {
            self.successor = None;
            return false;
        }
        match &mut self.successor {
            Some(successor) => successor.goes_on(now, header, packet),
            None => {
                self.successor = Some(Box::new(Successor::new(now, header)));
                false
            }
        }
    }

    /// The leg is another stream's from here on. The one before is known for a while, unless it was that which has come back.
    fn give_over(&mut self, now: Instant, header: &Header) {
        let is_back = self.predecessor.take().is_some_and(|predecessor| predecessor.is(header));
        let before = self.lock.take().filter(|_| !is_back);
        self.predecessor = before.map(|lock| Box::new(Predecessor::new(now, lock.ssrc)));
    }

    /// A packet, if it may be heard. Everything else is counted.
    pub(crate) fn accept<'a>(&mut self, now: Instant, source: SocketAddr, bytes: &'a [u8]) -> Option<Arrived<'a>> {
        let Some(remote) = self.remote.filter(|remote| remote.address == source && remote.sends) else {
            self.stats.refused_source += 1;
            return None;
        };
        let Ok(received) = rtp::parse(bytes) else {
            self.stats.malformed += 1;
            return None;
        };
        let mut header = received.header;
        let is_successor = self.is_of_another(&header);
        if is_successor && !self.is_succeeded(now, &remote, &header, received.payload) {
            self.stats.refused_ssrc += 1;
            return None;
        }
        self.successor = None;
        if is_successor {
            self.give_over(now, &header);
        }
        if let Some(lock) = &mut self.lock {
            lock.heard = now;
        }
        let media = self.media(&remote, &header, received.payload);
        let is_event = matches!(media, Some(Media::Event(_)));
        let in_other_clock = is_event && !remote.counts_alike() && !self.is_among_sound(&remote, header.timestamp);
        let locked = self.lock.is_some();
        if media.is_none() && !locked {
            return None;
        }
        if !in_other_clock {
            header.timestamp = self.coding.sample(header.timestamp);
        }
        // What is not understood holds its place in the sequence all the same, or it would look like a loss.
        let is_sound = matches!(media, Some(Media::Audio(..)));
        let order = self.order(now, &header, is_sound)?;
        let order = if is_successor { Order::Anew } else { order };
        let media = media?;
        self.stats.accepted += 1;
        if !in_other_clock {
            self.move_end(now, &header, &media);
        }
        Some(Arrived { header, timestamp: received.header.timestamp, media, order, in_other_clock, is_successor })
    }

    /// Does the timestamp of an event lie where the sound is? Most phones that agree on a clock of its own for events count in
    /// that of Opus all the same.
    fn is_among_sound(&mut self, remote: &Remote, timestamp: u32) -> bool {
        let Some(lock) = self.lock.filter(|_| remote.takes_events()) else { return false };
        ahead(self.coding.sample(timestamp), lock.end).unsigned_abs() <= AMONG_MAX
    }

    /// What a packet sounds like. One that is late says nothing where each goes on from the one before.
    pub(crate) fn hear(&mut self, arrived: &Arrived<'_>) -> Option<Samples> {
        let Media::Audio(payload, _) = arrived.media else { return None };
        if arrived.order == Order::Late && self.coding.keeps_state() {
            return None;
        }
        Some(Samples::decode(&mut self.coding, payload))
    }

    /// Must every packet be heard, whoever listens?
    pub(crate) fn keeps_state(&self) -> bool {
        self.coding.keeps_state()
    }

    fn media<'a>(&mut self, remote: &Remote, header: &Header, payload: &'a [u8]) -> Option<Media<'a>> {
        let media = if header.payload_type == remote.payload_type {
            let samples = coding::samples(remote.codec, payload).filter(|samples| PAYLOAD.contains(samples));
            samples.map(|samples| Media::Audio(payload, samples))
        } else if Some(header.payload_type) == remote.telephone_event {
            KeyEvent::parse(payload).map(|event| Media::Event(in_samples(event, remote.event_clock)))
        } else {
            self.stats.unknown_payload += 1;
            return None;
        };
        self.stats.malformed += u32::from(media.is_none());
        media
    }

    /// None for a packet that has come already.
    fn order(&mut self, now: Instant, header: &Header, is_sound: bool) -> Option<Order> {
        let locked = self.lock.is_some();
        if !locked {
            self.coding.start_anew();
        }
        let lock = self.lock.get_or_insert(Lock {
            ssrc: header.ssrc,
            newest_sequence: header.sequence.wrapping_sub(1),
            end: header.timestamp,
            at: now,
            heard: now,
        });
        let distance = ahead16(header.sequence, lock.newest_sequence);
        let goes_on = locked && (-MISORDER_MAX..=DROPOUT_MAX).contains(&distance);
        let further = goes_on.then(|| distance.max(0).unsigned_abs());
        self.reports.received(now, header, further, is_sound);
        if distance == 0 {
            self.stats.duplicate += 1;
            return None;
        }
        if (-MISORDER_MAX..0).contains(&distance) {
            return Some(Order::Late);
        }
        lock.newest_sequence = header.sequence;
        if !(1..=DROPOUT_MAX).contains(&distance) {
            self.coding.start_anew();
            return Some(Order::Anew);
        }
        let lost = distance.unsigned_abs() - 1;
        self.stats.lost = self.stats.lost.saturating_add(lost.into());
        Some(Order::Next { lost })
    }

    fn move_end(&mut self, now: Instant, header: &Header, media: &Media<'_>) {
        let length = match media {
            Media::Audio(_, samples) => {
                self.packet_samples = u32::try_from(*samples).unwrap_or(PACKET_SAMPLES);
                self.packet_samples
            }
            Media::Event(event) => u32::from(event.duration),
        };
        let end = header.timestamp.wrapping_add(length);
        if let Some(lock) = self.lock.as_mut().filter(|lock| ahead(end, lock.end) > 0) {
            lock.end = end;
            lock.at = now;
        }
    }
}

/// A peer that counts in 8 kHz for all that was agreed on is heard to press its keys shorter than it does.
fn in_samples(event: KeyEvent, clock: EventClock) -> KeyEvent {
    KeyEvent { duration: event.duration / clock.per_sample(), ..event }
}
