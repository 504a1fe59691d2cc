//! A call to the test number of a trunk, step by step. The number stands in the cde's file; the office says only which trunk.

use crate::{CallId, PeerFigures};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A test as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestSnapshot {
    /// Under which id its SIP messages are kept.
    pub test: CallId,
    /// Of which trunk.
    pub trunk: String,
    /// When it began, Unix milliseconds.
    pub started_unix_ms: i64,
    /// What became of it; none while it goes on.
    pub result: Option<TestResult>,
    /// What has happened, in order.
    pub steps: Vec<TestStep>,
}

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestResult {
    /// It was answered, and sound came and went.
    Good,
    /// It was answered, and no sound came.
    NoSound,
    /// It was not answered, or could not be made.
    Failed,
}

/// One thing that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestStep {
    /// So long after the beginning, milliseconds.
    pub after_ms: u32,
    /// What.
    #[serde(flatten)]
    pub what: TestEvent,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TestEvent {
    /// A place was asked by OPTIONS whether it is there.
    Asked {
        /// Which.
        address: SocketAddr,
        /// What it said; 408: nothing.
        status: u16,
    },
    /// No media ports could be had.
    NoPorts,
    /// The number was called.
    Called {
        /// At which place.
        address: SocketAddr,
        /// As the file has it.
        number: String,
    },
    /// Somebody is there (RFC 3261 §21.1).
    Progress {
        /// The provisional status.
        status: u16,
    },
    /// It was not taken.
    Refused {
        /// The final status; 408: no answer, 503: no way there.
        status: u16,
    },
    /// It rang, and nobody answered in time.
    NotAnswered,
    /// It was answered.
    Answered {
        /// The codec, as SDP names it.
        codec: String,
        /// The SRTP crypto-suite; none: the sound is not protected.
        srtp: Option<String>,
        /// The payload type of telephone-event.
        telephone_event: Option<u8>,
    },
    /// It was answered with a description of sound that cannot be used.
    Unusable,
    /// How sound has fared, in packets.
    Sound {
        /// Taken.
        received: u32,
        /// That never came when they were due.
        lost: u32,
        /// Not taken: from another address than was told, of another stream, or not authentic.
        refused: u32,
        /// Interarrival jitter, microseconds.
        jitter_us: Option<u32>,
        /// Sent.
        sent: u32,
        /// What the other side has reported of what it was sent.
        reported: Option<PeerFigures>,
    },
    /// It is over.
    HungUp {
        /// The other side has ended it.
        by_them: bool,
    },
}
