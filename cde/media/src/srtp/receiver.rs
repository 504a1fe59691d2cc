//! Packets on their way in under one key.

use super::Master;
use super::cipher::{Cipher, Place, RTCP_CLEAR};
use super::derive::{self, SessionKeys};
use super::window::{self, TURN, Window};
use crate::rtp;

/// Streams of one peer that are remembered: a PBX begins a new one with each of its sources of sound.
const STREAMS_MAX: usize = 8;

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No RTP or RTCP, or longer than the place for it.
    Malformed,
    /// It came before, or is so old that nobody knows.
    Replayed,
    /// Not by who has the key.
    NotAuthentic,
}

/// Takes what a peer has protected.
pub struct Receiver {
    master: Master,
    rtp: Cipher,
    rtcp: Cipher,
    /// The one that was heard last stands last.
    streams: Vec<Stream>,
    /// The stream that was heard under the key before, and its newest index.
    before: Option<(u32, u64)>,
}

struct Stream {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
}

impl Receiver {
    /// None if aws-lc does not take the key.
    pub fn new(master: Master) -> Option<Self> {
        let rtp = SessionKeys::derive(&master, &derive::RTP)?.cipher(&master, false)?;
        let rtcp = SessionKeys::derive(&master, &derive::RTCP)?.cipher(&master, true)?;
        Some(Self { master, rtp, rtcp, streams: Vec::with_capacity(STREAMS_MAX), before: None })
    }

    /// The receiver for the key that comes after this one.
    pub(super) fn followed_by(&self, master: Master) -> Option<Self> {
        let before = self.streams.last().and_then(|stream| Some((stream.ssrc, stream.rtp.newest()?)));
        Some(Self { before: before.or(self.before), ..Self::new(master)? })
    }

    /// Puts the packet of RTP into `clear` and gives its length. `anew`: packets may have been missed for so long that the
    /// sequence numbers have turned, after a hold for example.
    pub fn unprotect(&mut self, packet: &[u8], clear: &mut [u8], anew: bool) -> Result<usize, Refused> {
        let (header, rest) = rtp::split(packet).map_err(|_| Refused::Malformed)?;
        let head = packet.len() - rest.len();
        if rest.len() < self.rtp.tag_length() || packet.len() > clear.len() {
            return Err(Refused::Malformed);
        }
        let window = self.stream(header.ssrc).map(|stream| stream.rtp).unwrap_or_default();
        let mut refused = Refused::NotAuthentic;
        for index in self.indices(&window, header.ssrc, header.sequence, anew).into_iter().flatten() {
            if !window.is_new(index) {
                refused = Refused::Replayed;
                continue;
            }
            let place = Place { ssrc: header.ssrc, index };
            if let Some(length) = self.rtp.open_rtp(packet, head, place, clear) {
                self.heard(header.ssrc).rtp.take(index);
                return Ok(length);
            }
        }
        Err(refused)
    }

    /// Puts the compound of RTCP into `clear` and gives its length.
    pub fn unprotect_rtcp(&mut self, packet: &[u8], clear: &mut [u8]) -> Result<usize, Refused> {
        let ssrc = rtcp_ssrc(packet).filter(|_| packet.len() <= clear.len()).ok_or(Refused::Malformed)?;
        let index = self.rtcp.rtcp_index(packet).ok_or(Refused::Malformed)?;
        if self.stream(ssrc).is_some_and(|stream| !stream.rtcp.is_new(index)) {
            return Err(Refused::Replayed);
        }
        let length = self.rtcp.open_rtcp(packet, Place { ssrc, index }, clear).ok_or(Refused::NotAuthentic)?;
        self.heard(ssrc).rtcp.take(index);
        Ok(length)
    }

    pub(super) fn has(&self, master: &Master) -> bool {
        self.master.is(master)
    }

    /// Streams that are remembered, and the newest index of the one heard last.
    #[cfg(test)]
    pub(super) fn heard_so_far(&self) -> (usize, Option<u64>) {
        (self.streams.len(), self.streams.last().and_then(|stream| stream.rtp.newest()))
    }

    /// What index the packet may have. The first one of a stream says nothing of its turn: it is the first; or the second,
    /// when what came before the turn was lost; or it goes on where the key before was left (RFC 3711 section 3.3.1 lets a
    /// new key change nothing, most peers begin to count).
    fn indices(&self, window: &Window, ssrc: u32, sequence: u16, anew: bool) -> [Option<u64>; 3] {
        let first = u64::from(sequence);
        match window.newest().map(|newest| window::near(newest, sequence)) {
            Some(near) if anew => [near, near.map(|index| index + TURN), None],
            Some(near) => [near, None, None],
            None => {
                let before = self.before.filter(|(before, _)| *before == ssrc);
                let goes_on = before.and_then(|(_, newest)| window::near(newest, sequence));
                [Some(first), Some(first + TURN), goes_on.filter(|index| *index > first + TURN)]
            }
        }
    }

    fn stream(&self, ssrc: u32) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.ssrc == ssrc)
    }

    /// Its place among the streams, which takes that of the one not heard for the longest time. Only for what is authentic.
    fn heard(&mut self, ssrc: u32) -> &mut Stream {
        let known = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        let oldest = (self.streams.len() == STREAMS_MAX).then_some(0);
        let stream = match known.or(oldest) {
            Some(at) => self.streams.remove(at),
            None => Stream::new(ssrc),
        };
        let stream = if stream.ssrc == ssrc { stream } else { Stream::new(ssrc) };
        self.streams.push_mut(stream)
    }
}

impl Stream {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, rtp: Window::default(), rtcp: Window::default() }
    }
}

/// The SSRC of who sends a compound of RTCP (RFC 3550 section 6.4.1).
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let [flags, _, _, _, s3, s2, s1, s0] = *packet.first_chunk::<RTCP_CLEAR>()?;
    (flags >> 6 == 2).then_some(u32::from_be_bytes([s3, s2, s1, s0]))
}
