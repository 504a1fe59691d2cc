//! Session descriptions (a subset of RFC 8866): a strict reader and a writer of one-stream descriptions.
//!
//! Nothing here prints content: `a=crypto` carries keys.

mod crypto;
mod parser;
mod web;
mod writer;

use std::{fmt, net::IpAddr};

use thiserror::Error;

pub(crate) use crypto::encode as base64;
pub use crypto::{Crypto, Suite};
use web::WebLines;
pub use web::{Hash, Setup, Web};
pub(crate) use writer::write_labeled;
pub use writer::{Carried, Origin, Rejected, write};

/// The most media lines in a description.
pub const MEDIA_MAX: usize = 16;
/// The most lines in a description.
pub const LINES_MAX: usize = 512;

/// Why a description cannot be read. It never quotes the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SdpError {
    /// A line is not `letter=value`, or the letters stand in the wrong order.
    #[error("line {0} is malformed or misplaced")]
    Line(usize),
    /// The value of a line that matters here cannot be read.
    #[error("the value of line {0} is malformed")]
    Value(usize),
    /// `v=0`, `o=` or `s=` is missing.
    #[error("a mandatory line is missing")]
    Missing,
    /// Too many lines or media.
    #[error("too many lines or media")]
    TooLong,
}

/// Which way media flows, as the writer of the description sees it (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// It only sends: the other side is on hold.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The same flow, seen from the other side.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// What both allow.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        Self::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// Whether it sends.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether it receives.
    #[must_use]
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    fn from_attribute(name: &str) -> Option<Self> {
        Some(match name {
            "sendrecv" => Self::SendRecv,
            "sendonly" => Self::SendOnly,
            "recvonly" => Self::RecvOnly,
            "inactive" => Self::Inactive,
            _ => return None,
        })
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Where media goes: an address, or a name that this core does not resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// `IN IP4` or `IN IP6` with an address.
    Address(IpAddr),
    /// A host name.
    Name,
}

impl Connection {
    /// Whether it is the null address of an old-style hold (RFC 3264 §8.4).
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self, Self::Address(ip) if ip.is_unspecified())
    }
}

/// A description as read.
#[derive(Default)]
pub struct SessionDescription {
    pub(crate) origin: String,
    pub(crate) connection: Option<Connection>,
    pub(crate) direction: Option<Direction>,
    pub(crate) media: Vec<Media>,
    pub(crate) web: WebLines,
}

/// How RTP is carried, as a media line names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// `RTP/AVP`: plain; with `a=crypto`, protected if both sides can (RFC 8643).
    #[default]
    Avp,
    /// `RTP/SAVP`: protected.
    Savp,
    /// `UDP/TLS/RTP/SAVP`: protected by keys that are agreed on where the sound goes (RFC 5764).
    TlsSavp,
    /// The same with feedback, as browsers write it (RFC 8829).
    TlsSavpf,
}

impl Profile {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Savp => "RTP/SAVP",
            Self::TlsSavp => "UDP/TLS/RTP/SAVP",
            Self::TlsSavpf => "UDP/TLS/RTP/SAVPF",
        }
    }
}

/// One media line with what belongs to it.
pub struct Media {
    /// `audio`, `video`, `image`, …
    pub kind: String,
    /// The port; 0 means the stream is refused or stopped.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, …
    pub proto: String,
    /// The formats in order of preference, as written.
    pub formats: Vec<String>,
    /// The media's own connection.
    pub connection: Option<Connection>,
    /// The media's own direction.
    pub direction: Option<Direction>,
    /// Packet time in milliseconds.
    pub ptime: Option<u16>,
    /// RTP and RTCP may share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// Where RTCP goes, if that is another port than the one above RTP's (RFC 3605), and perhaps another address.
    pub(crate) rtcp: Option<(u16, Option<Connection>)>,
    pub(crate) rtpmaps: Vec<Rtpmap>,
    pub(crate) fmtps: Vec<(u8, String)>,
    /// The keys that can be used, in order of preference.
    pub(crate) cryptos: Vec<Crypto>,
    /// There is a key, perhaps one that cannot be used.
    pub(crate) has_crypto: bool,
    /// What a browser says.
    pub(crate) web: WebLines,
}

/// `a=rtpmap`.
#[derive(Clone)]
pub(crate) struct Rtpmap {
    pub(crate) payload_type: u8,
    pub(crate) encoding: String,
    pub(crate) clock: u32,
    pub(crate) channels: u8,
}

impl SessionDescription {
    /// Reads a description; LF alone ends a line too (RFC 8866 §9).
    ///
    /// # Errors
    /// If it is malformed or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        parser::parse(bytes)
    }

    /// All media lines, refused ones included.
    #[must_use]
    pub fn media(&self) -> &[Media] {
        &self.media
    }

    /// Whether `other` has the same origin line: then nothing changed (RFC 3264 §8).
    #[must_use]
    pub fn is_same_version_as(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// Where `media` goes: its own connection, else the session's.
    #[must_use]
    pub fn connection_of(&self, media: &Media) -> Option<Connection> {
        media.connection.or(self.connection)
    }

    /// The direction of `media`: its own, else the session's, else both ways.
    #[must_use]
    pub fn direction_of(&self, media: &Media) -> Direction {
        media.direction.or(self.direction).unwrap_or_default()
    }

    /// The index of the first audio stream over plain RTP that is not refused.
    #[must_use]
    pub fn audio(&self) -> Option<usize> {
        self.media.iter().position(|media| media.carries_audio() == Some(Profile::Avp))
    }

    /// The index of the first audio stream that is not refused and has a key that can be used.
    pub(crate) fn protected_audio(&self) -> Option<usize> {
        self.media.iter().position(|media| media.carries_audio().is_some() && !media.cryptos.is_empty())
    }
}

impl Media {
    /// How it carries audio; none if it does not, or is refused.
    pub(crate) fn carries_audio(&self) -> Option<Profile> {
        let profile = [Profile::Avp, Profile::Savp].into_iter().find(|profile| profile.name() == self.proto);
        profile.filter(|_| self.kind == "audio" && self.port != 0)
    }

    /// The payload types among the formats.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats.iter().filter_map(|format| format.parse().ok()).filter(|pt| *pt < 128)
    }

    /// Whether `payload_type` stands for this encoding, clock and number of channels; `static_type` needs no rtpmap (RFC 3551).
    pub(crate) fn is_encoding(
        &self,
        payload_type: u8,
        (encoding, clock, channels): (&str, u32, u8),
        static_type: Option<u8>,
    ) -> bool {
        match self.rtpmaps.iter().find(|map| map.payload_type == payload_type) {
            Some(map) => map.encoding.eq_ignore_ascii_case(encoding) && (map.clock, map.channels) == (clock, channels),
            None => static_type == Some(payload_type),
        }
    }

    /// Whether the fmtp of telephone-event covers the twelve keys; without fmtp 0-15 is meant (RFC 4733 §2.4.1).
    pub(crate) fn covers_keys(&self, payload_type: u8) -> bool {
        let Some((_, events)) = self.fmtps.iter().find(|(pt, _)| *pt == payload_type) else { return true };
        let events = events.strip_prefix("events=").unwrap_or(events);
        (0..=11).all(|key| events.split(',').any(|range| in_range(range.trim(), key)))
    }
}

fn in_range(range: &str, event: u8) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u8>(), last.parse::<u8>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&event),
        _ => false,
    }
}

impl fmt::Debug for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionDescription({} media)", self.media.len())
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Media({} formats)", self.formats.len())
    }
}
