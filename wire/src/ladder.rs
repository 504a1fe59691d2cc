//! The SIP messages of a call, as an engineer reads them. The cde has taken every secret out before it kept them.
//!
//! It is asked for by [`Action::Ladder`](crate::Action::Ladder) and [`Action::Ladders`](crate::Action::Ladders), and held in memory alone.

use crate::CallId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The messages of one call, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// Whose.
    pub call: CallId,
    /// They.
    pub messages: Vec<LadderMessage>,
    /// How many more there were, for which there was no room: of the middle, if the call has many.
    pub left_out: u32,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderMessage {
    /// When it came or went, Unix milliseconds. Those that carry keys are told to the quarter of a second.
    pub at_unix_ms: i64,
    /// It went out.
    pub is_out: bool,
    /// How it travelled, such as `udp`.
    pub transport: String,
    /// From whom, or to whom.
    pub peer: SocketAddr,
    /// The trunk that this is, if it is one.
    pub trunk: Option<String>,
    /// Start line, headers, an empty line, and a body that may be shown. Lines end with a line feed.
    pub text: String,
}

/// A call whose messages are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderSummary {
    /// Which; also of an INVITE that was refused and never became one.
    pub call: CallId,
    /// When its first message came or went, Unix milliseconds.
    pub started_unix_ms: i64,
    /// It is not over.
    pub is_live: bool,
    /// Who called.
    pub from: String,
    /// Which number.
    pub to: String,
    /// How many messages are kept.
    pub messages: u32,
    /// The last start line.
    pub last: String,
}
