//! Where a peer behind a NAT is. Its own SDP does not know: it names an address inside, and the NAT chooses another one.
//!
//! It is learned from what comes, and only from one host: the one that the leg's signaling comes from or goes to. So:
//! - Until it is known nothing is sent, not even to keep a way open: the address in the SDP is nobody, or somebody else in our
//!   own network. The peer must speak first, as every phone does that is made for NATs (symmetric RTP, RFC 4961).
//! - The first packet that could be of this leg's stream tells the place, and from then on the leg is locked to it.
//! - A NAT may forget and choose another port. That is believed only when nothing has come from the place for [`SILENT`],
//!   or the peer's signaling has just said that it sends again; only of the stream that is locked, while one is; and, of a
//!   stream in the clear, never while the line is masked, once the peer was heard: then all that a packet from elsewhere can
//!   do is to keep the line masked.
//! - Of a protected leg only an authentic packet tells anything.
//! - RTCP has a place of its own if the peers agreed on two ports. It is learned once, and anew where the sound moves.

use crate::Remote;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Without a packet for so long a peer may be elsewhere. A pause in speech is shorter where silence is sent, as with G.711.
const SILENT: Duration = Duration::from_secs(5);
/// No packet comes from here, and none is sent there.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Where packets come from, and go to.
pub(crate) struct Place {
    host: IpAddr,
    /// As was agreed on, for sound and for RTCP.
    agreed: [SocketAddr; 2],
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    /// A packet has come from there; until then it is only what the SDP says.
    was_heard: bool,
    /// When a packet came from there last; none: another place is believed at once.
    heard: Option<Instant>,
}

impl Place {
    /// None for a peer that is where it says. An address of the right host is believed at first.
    pub(crate) fn new(now: Instant, remote: &Remote) -> Option<Self> {
        let host = remote.learns_from?;
        let agreed = [remote.address, remote.rtcp];
        let [rtp, rtcp] = agreed.map(|address| (address.ip() == host).then_some(address));
        Some(Self { host, agreed, rtp, rtcp, was_heard: false, heard: rtp.map(|_| now) })
    }

    /// Whether this is still the peer that was agreed on.
    pub(crate) fn is_of(&self, remote: &Remote) -> bool {
        remote.learns_from == Some(self.host) && self.agreed == [remote.address, remote.rtcp]
    }

    /// The peer at its place, as far as that is known.
    pub(crate) fn of(&self, remote: &Remote) -> Remote {
        let address = self.rtp.unwrap_or(NOWHERE);
        let rtcp = if self.is_muxed() { address } else { self.rtcp.unwrap_or(NOWHERE) };
        Remote { address, rtcp, ..*remote }
    }

    /// The peer's signaling says that it sends again: its NAT may have forgotten it meanwhile.
    pub(crate) fn doubt(&mut self) {
        self.heard = None;
    }

    /// Could the peer be here? `is_fixed`: a peer that was heard does not move now.
    pub(crate) fn may_be_at(&self, now: Instant, source: SocketAddr, is_fixed: bool) -> bool {
        let is_silent = || self.heard.is_none_or(|at| now.saturating_duration_since(at) >= SILENT);
        let stays = is_fixed && self.was_heard;
        let is_free = || self.rtp.is_none() || !stays && is_silent();
        self.is_its_host(source) && (self.rtp == Some(source) || is_free())
    }

    /// Is this a port of the host that the peer is behind?
    pub(crate) fn is_its_host(&self, source: SocketAddr) -> bool {
        source.ip() == self.host
    }

    /// Has the peer another place than this, so that it would move?
    pub(crate) fn would_move(&self, source: SocketAddr) -> bool {
        self.rtp.is_some_and(|rtp| rtp != source)
    }

    /// It is here.
    pub(crate) fn heard(&mut self, now: Instant, source: SocketAddr) {
        if self.would_move(source) {
            self.rtcp = None;
        }
        self.rtp = Some(source);
        self.was_heard = true;
        self.heard = Some(now);
    }

    /// Could its RTCP come from here?
    pub(crate) fn may_report_from(&self, source: SocketAddr) -> bool {
        self.is_its_host(source) && !self.is_muxed() && self.rtcp.is_none_or(|rtcp| rtcp == source)
    }

    /// It does.
    pub(crate) fn reported(&mut self, source: SocketAddr) {
        self.rtcp = Some(source);
    }

    fn is_muxed(&self) -> bool {
        let [rtp, rtcp] = self.agreed;
        rtp == rtcp
    }
}

/// Is there such a place?
pub(crate) fn is_somewhere(address: SocketAddr) -> bool {
    address != NOWHERE
}
