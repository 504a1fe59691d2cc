//! What comes in on a leg: only from its peer's address, and only of the first SSRC.

use crate::coding::{self, Coding, Samples};
use crate::event::KeyEvent;
use crate::g711::Law;
use crate::interface::{Codec, EventClock, LegStats, Remote};
use crate::number::{ahead, ahead16};
use crate::reports::Reports;
use crate::rtp::{self, Header, PAYLOAD_MAX};
use crate::srtp::{Inbound, Master};
use crate::stream::Stream;
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
    remote: Option<Remote>,
    lock: Option<Lock>,
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
        Self { remote: None, lock: None, packet_samples: PACKET_SAMPLES, coding, reports, srtp: None, stats }
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// The peer, if it may be sent to.
    pub(crate) fn receiver(&self) -> Option<&Remote> {
        self.remote.as_ref().filter(|remote| remote.receives)
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
        let changed = self.remote.as_ref().map(stream) != remote.as_ref().map(stream);
        if sends_again || changed {
            self.lock = None;
        }
        if let Some(remote) = remote.filter(|_| changed) {
            self.coding = Coding::new(remote.codec);
        }
        self.remote = remote;
        self.reports.connect(now, remote.as_ref());
        changed
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
        let Remote { address, rtcp, .. } = self.remote?;
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
        if self.remote.is_none_or(|remote| remote.address != source) {
            self.stats.refused_source += 1;
            return None;
        }
        let Ok((header, _)) = rtp::split(bytes) else {
            self.stats.malformed += 1;
            return None;
        };
        let waits = self.srtp.as_ref()?.waits();
        if !waits {
            self.check_ssrc(&header)?;
        }
        let srtp = self.srtp.as_mut()?;
        let length = srtp.unprotect(now, bytes, clear, self.lock.is_none());
        if waits && !srtp.waits() {
            // Who has a new key may be another source of sound; who goes on with the old stream is locked to it again.
            self.lock = self.lock.filter(|lock| lock.ssrc == header.ssrc);
        }
        self.stats.refused_srtp += u32::from(length.is_err());
        clear.get(..length.ok()?)
    }

    /// The same for RTCP, whichever port it came on.
    pub(crate) fn unprotect_report<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        bytes: &[u8],
        clear: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        if self.remote.is_none_or(|remote| remote.rtcp != source) {
            self.stats.refused_source += 1;
            return None;
        }
        let length = self.srtp.as_mut()?.unprotect_rtcp(now, bytes, clear);
        self.stats.refused_srtp += u32::from(length.is_err());
        clear.get(..length.ok()?)
    }

    fn check_ssrc(&mut self, header: &Header) -> Option<()> {
        let locked_to_another = self.lock.is_some_and(|lock| lock.ssrc != header.ssrc);
        self.stats.refused_ssrc += u32::from(locked_to_another);
        (!locked_to_another).then_some(())
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
        self.check_ssrc(&header)?;
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
        let media = media?;
        self.stats.accepted += 1;
        if !in_other_clock {
            self.move_end(now, &header, &media);
        }
        Some(Arrived { header, timestamp: received.header.timestamp, media, order, in_other_clock })
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
