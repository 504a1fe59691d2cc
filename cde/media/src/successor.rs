//! Another stream of sound in the place of the one that a leg is locked to, without a word by SIP: a PBX that bridges, parks or
//! changes its source begins to send under another SSRC (RFC 3550 section 8).
//!
//! The lock is what keeps out who sends as the peer and does not know its stream. So it is given up only for sound of the agreed
//! kind, from the peer's own place and authentic where the leg is protected, packet after packet, after the old stream has been silent.

use crate::number::samples;
use crate::rtp::Header;
use std::time::{Duration, Instant};

/// So long nothing came of the stream that the leg is locked to. Two streams at a time are the first one.
pub(crate) const SILENT: Duration = Duration::from_millis(500);
/// Packets in their order before it is believed (RFC 3550 appendix A.1 wants two), and they come as sound does, not in a burst.
const PACKETS: u8 = 4;
/// The longest time between two of them.
const APART_MAX: Duration = Duration::from_millis(200);
/// So long the stream before is known: if it was not over, it is the first one still.
const KNOWN: Duration = Duration::from_secs(5);

/// Who may be the successor.
pub(crate) struct Successor {
    ssrc: u32,
    next: u16,
    packets: u8,
    first: Instant,
    at: Instant,
}

impl Successor {
    /// The first packet of another stream.
    pub(crate) fn new(now: Instant, header: &Header) -> Self {
        Self { ssrc: header.ssrc, next: header.sequence.wrapping_add(1), packets: 1, first: now, at: now }
    }

    /// A further one, of whatever stream, that stands for so many samples. True if the leg is its from here on.
    pub(crate) fn goes_on(&mut self, now: Instant, header: &Header, packet: u32) -> bool {
        let is_next = header.ssrc == self.ssrc && header.sequence == self.next;
        if !is_next || now.saturating_duration_since(self.at) > APART_MAX {
            *self = Self::new(now, header);
            return false;
        }
        (self.next, self.at) = (self.next.wrapping_add(1), now);
        self.packets = self.packets.saturating_add(1);
        let lasted = samples(now.saturating_duration_since(self.first));
        self.packets >= PACKETS && lasted >= packet.saturating_mul(u32::from(PACKETS) - 1)
    }
}

/// The stream in whose place another has come.
pub(crate) struct Predecessor {
    ssrc: u32,
    until: Instant,
    /// What came of it since.
    since: Option<Successor>,
}

impl Predecessor {
    pub(crate) fn new(now: Instant, ssrc: u32) -> Self {
        Self { ssrc, until: now + KNOWN, since: None }
    }

    pub(crate) fn is_known(&self, now: Instant) -> bool {
        now < self.until
    }

    pub(crate) fn is(&self, header: &Header) -> bool {
        self.ssrc == header.ssrc
    }

    /// A packet of sound of another stream than the leg's. True if it is this one that speaks again, whoever else does.
    pub(crate) fn is_back(&mut self, now: Instant, header: &Header, packet: u32) -> bool {
        if !self.is(header) {
            return false;
        }
        match &mut self.since {
            Some(since) => since.goes_on(now, header, packet),
            None => {
                self.since = Some(Successor::new(now, header));
                false
            }
        }
    }
}
