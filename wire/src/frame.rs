//! The door's framing: one JSON object a line, with the version and a sequence number.
//!
//! Each side numbers its lines from 1 on every connection; a gap or an unknown version ends the connection, and the
//! next one starts with [`FromCde::Hello`] and [`FromOffice::Hello`]. Records are delivered at least once and known by
//! their number; commands are sent until [`Event::CommandEnded`] comes and known by their id.

use crate::{CallSnapshot, Command, Event, JournalId, Record};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version of this language. Both sides must speak the same: it is raised whenever a word is added, changed or taken away.
pub const VERSION: u32 = 3;
/// The longest line either side accepts.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// What the cde says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromCde {
    /// First line: whose journal this is, every call that is alive, and what is wrong with this installation, if
    /// anything (for `/readyz`).
    Hello {
        /// The journal.
        journal: JournalId,
        /// The calls.
        calls: Vec<CallSnapshot>,
        /// Plain words, such as that both processes run as one user.
        warnings: Vec<String>,
    },
    /// A live event.
    Event(Event),
    /// A row of the journal.
    Record(Record),
    /// After a connection: every row that was in the journal when it began has been sent. A payment without an
    /// `attempt_sent` whose call is gone was never sent to a gateway.
    CaughtUp,
    /// Nothing to say, but alive. At least every second.
    Ping,
}

/// What the office says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromOffice {
    /// First line: the journal last seen and its newest record that is safely stored.
    Hello {
        /// The journal, if any was seen.
        journal: Option<JournalId>,
        /// The newest record stored.
        acknowledged: u64,
    },
    /// A command.
    Command(Command),
    /// Every record up to this one is safely stored.
    Ack {
        /// The record's number.
        number: u64,
    },
    /// Nothing to say, but alive. At least every second.
    Ping,
}

#[derive(Serialize)]
struct Line<'a, T> {
    v: u32,
    seq: u64,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Deserialize)]
struct Head {
    v: u32,
    seq: u64,
}

/// Why a line was not understood. Never repeats the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not one of ours.
    #[error("a line on the door is not understood (line {line}, column {column} of its JSON)")]
    Json {
        /// Line within the text.
        line: usize,
        /// Column within the text.
        column: usize,
    },
    /// Another version.
    #[error("the other side speaks version {0} of the door, this one {VERSION}: run both from the same build")]
    Version(u32),
    /// A line is missing.
    #[error("a line on the door is missing: expected number {expected}, got {got}")]
    Gap {
        /// Awaited.
        expected: u64,
        /// Came.
        got: u64,
    },
    /// Longer than [`LINE_BYTES_MAX`].
    #[error("a line on the door is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
}

/// Writes one line, with its newline.
pub fn encode<T: Serialize>(seq: u64, body: &T) -> Result<Vec<u8>, FrameError> {
    let mut line = serde_json::to_vec(&Line { v: VERSION, seq, body }).map_err(json_error)?;
    line.push(b'\n');
    if line.len() > LINE_BYTES_MAX { Err(FrameError::TooLong) } else { Ok(line) }
}

/// Reads one line, which must be number `seq_expected` of its connection.
pub fn decode<T: DeserializeOwned>(seq_expected: u64, line: &[u8]) -> Result<T, FrameError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(FrameError::TooLong);
    }
    let head: Head = serde_json::from_slice(line).map_err(json_error)?;
    if head.v != VERSION {
        return Err(FrameError::Version(head.v));
    }
    if head.seq != seq_expected {
        return Err(FrameError::Gap { expected: seq_expected, got: head.seq });
    }
    serde_json::from_slice(line).map_err(json_error)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn json_error(error: serde_json::Error) -> FrameError {
    FrameError::Json { line: error.line(), column: error.column() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, CallId, CommandId, Origin};
    use uuid::Uuid;

    fn command() -> FromOffice {
        FromOffice::Command(Command {
            id: CommandId(Uuid::from_u128(1)),
            call: CallId(Uuid::from_u128(2)),
            origin: Origin::User { id: 3 },
            action: Action::Secure,
        })
    }

    #[test]
    fn a_line_reads_back_as_written() {
        let line = encode(5, &command()).unwrap();
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        assert_eq!(decode::<FromOffice>(5, &line).unwrap(), command());
    }

    #[test]
    fn a_missing_line_and_another_version_are_noticed() {
        let line = encode(5, &command()).unwrap();
        assert_eq!(decode::<FromOffice>(4, &line), Err(FrameError::Gap { expected: 4, got: 5 }));
        let other = br#"{"v":1,"seq":1,"say":"ping"}"#;
        assert_eq!(decode::<FromOffice>(1, other), Err(FrameError::Version(1)));
    }

    #[test]
    fn an_error_never_repeats_the_line() {
        let line = format!(r#"{{"v":{VERSION},"seq":1,"say":"4242424242424242"}}"#);
        let error = decode::<FromOffice>(1, line.as_bytes()).unwrap_err();
        assert!(matches!(error, FrameError::Json { .. }), "{error}");
        assert!(!error.to_string().contains("4242"));
    }

    /// Every type that crosses the door, as it stands in its file, without what is said about it.
    fn shapes() -> String {
        let files = [
            include_str!("address.rs"),
            include_str!("attempt.rs"),
            include_str!("bounce.rs"),
            include_str!("card.rs"),
            include_str!("command.rs"),
            include_str!("credential.rs"),
            include_str!("event.rs"),
            include_str!("figures.rs"),
            include_str!("frame.rs"),
            include_str!("hook.rs"),
            include_str!("ladder.rs"),
            include_str!("record.rs"),
            include_str!("report.rs"),
            include_str!("stored.rs"),
            include_str!("testcall.rs"),
            include_str!("token.rs"),
            include_str!("trunk.rs"),
        ];
        let mut shapes = String::new();
        for file in files {
            let mut is_shape = false;
            for line in file.lines() {
                is_shape |= line.starts_with("#[derive(") && line.contains("erialize");
                let words = line.trim();
                if is_shape && !words.starts_with("//") {
                    shapes.push_str(words);
                }
                is_shape &= !(line.starts_with('}') || line.ends_with(';') && !line.starts_with(' '));
            }
        }
        shapes
    }

    /// Who changes a word and forgets the version has two processes that do not understand each other, and nobody says why.
    #[test]
    fn another_word_is_another_version() {
        // FNV-1a, 64 bits (IETF draft-eastlake-fnv).
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let found = shapes().bytes().fold(0xcbf2_9ce4_8422_2325, hash);
        let known = (3, 0x0cb9_a373_31f6_88e1);
        assert_eq!(
            (VERSION, found),
            known,
            "the words of the door have changed: raise VERSION, once for a release, and write down both here"
        );
    }
}
