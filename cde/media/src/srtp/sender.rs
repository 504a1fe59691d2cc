//! Packets on their way out under one key.

use super::Master;
use super::cipher::{Cipher, Place};
use super::derive::{self, SessionKeys};
use super::window::{self, Window};
use crate::rtp;

/// SRTCP's index has 31 bits (RFC 3711 section 3.4).
const RTCP_INDEX_MAX: u64 = (1 << 31) - 1;

/// Protects what we send: one stream of RTP, and RTCP.
pub struct Sender {
    master: Master,
    rtp: Cipher,
    rtcp: Cipher,
    window: Window,
    rtcp_next: u64,
}

impl Sender {
    /// None if aws-lc does not take the key.
    pub fn new(master: Master) -> Option<Self> {
        let rtp = SessionKeys::derive(&master, &derive::RTP)?.cipher(&master, false)?;
        let rtcp = SessionKeys::derive(&master, &derive::RTCP)?.cipher(&master, true)?;
        Some(Self { master, rtp, rtcp, window: Window::default(), rtcp_next: 0 })
    }

    /// Protects the packet of RTP at the beginning of the buffer and gives its new length. None if it is no RTP, if there
    /// is no room for the tag, or if its number was used before: two packets under one number would give both away.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (header, rest) = rtp::split(buffer.get(..length)?).ok()?;
        let clear = length - rest.len();
        let first = u64::from(header.sequence);
        let index = self.window.newest().map_or(Some(first), |newest| window::near(newest, header.sequence))?;
        if !self.window.is_new(index) {
            return None;
        }
        let place = Place { ssrc: header.ssrc, index };
        // Taken even if it fails: what was encrypted may be seen.
        self.window.take(index);
        self.rtp.seal_rtp(buffer, clear, length, place)
    }

    /// Protects the compound of RTCP at the beginning of the buffer and gives its new length, which is at most
    /// [`RTCP_TRAILER_MAX`](super::RTCP_TRAILER_MAX) more.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let ssrc = super::receiver::rtcp_ssrc(buffer.get(..length)?)?;
        let index = Some(self.rtcp_next).filter(|index| *index <= RTCP_INDEX_MAX)?;
        self.rtcp_next += 1;
        self.rtcp.seal_rtcp(buffer, length, Place { ssrc, index })
    }

    pub(super) fn has(&self, master: &Master) -> bool {
        self.master.is(master)
    }

    #[cfg(test)]
    pub(super) fn with_rtcp_index(mut self, index: u64) -> Self {
        self.rtcp_next = index;
        self
    }
}
