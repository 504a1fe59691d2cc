//! How the sound of a call's legs fares, and how it is carried. Nothing here says which key was pressed, or when.

use serde::{Deserialize, Serialize};

/// Both legs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFigures {
    /// The side that pays.
    pub caller: LegFigures,
    /// The agent's side.
    pub agent: LegFigures,
}

/// One leg. Counts are of packets, since the call began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegFigures {
    /// The codec, as SDP names it; none before one is agreed on.
    pub codec: Option<String>,
    /// The SRTP crypto-suite, as RFC 4568 names it; none: the sound is not protected.
    pub srtp: Option<String>,
    /// The payload type of telephone-event (RFC 4733) that was agreed on.
    pub telephone_event: Option<u8>,
    /// By which ways keys have come from this leg, as far as that was looked at: on the caller's side only.
    pub keys_by: Vec<KeyTransport>,
    /// Taken.
    pub received: u32,
    /// That never came when they were due.
    pub lost: u32,
    /// Not taken: not from the peer's address, of another stream, or not authentic.
    pub refused: u32,
    /// Interarrival jitter of what was received (RFC 3550 §6.4.1), microseconds; none while nothing was.
    pub jitter_us: Option<u32>,
    /// Sent.
    pub sent: u32,
    /// What the peer has reported last of what it was sent, if it reports.
    pub reported: Option<PeerFigures>,
}

/// What a peer says of what it was sent (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFigures {
    /// Packets that it has not got, less those that came twice.
    pub lost: i32,
    /// Interarrival jitter, microseconds.
    pub jitter_us: u32,
    /// From us to the peer and back, milliseconds; none until that was measured.
    pub round_trip_ms: Option<u32>,
}

/// A way in which keys travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyTransport {
    /// RFC 4733 events in RTP.
    Events,
    /// SIP INFO.
    Info,
    /// Tones in the sound.
    Tones,
}
