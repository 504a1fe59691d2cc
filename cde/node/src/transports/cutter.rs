//! What a connection brings, cut into messages: a stream by its lengths, a WebSocket by its frames.

use sip::message::{Frame, Framer, Malformed, PONG};
use sip::websocket::{self, Frame as WebFrame};

/// How a connection carries messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// One after the other (RFC 3261 §18.3).
    Stream,
    /// Each in a message of a WebSocket (RFC 7118).
    Web,
}

impl Coding {
    /// A message as it is written.
    pub(super) fn write(self, message: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Stream => message,
            Self::Web => websocket::message(&message),
        }
    }
}

/// What a connection held next.
pub(super) enum Cut {
    /// A whole message.
    Message(Vec<u8>),
    /// A sign of life, to be answered with this, as it is.
    Asked(Vec<u8>),
    /// A sign of life.
    Alive,
    /// What follows cannot be cut. The board answers it where it can.
    Broken(Malformed),
    /// The end; this is written before it, as it is.
    Ended(Vec<u8>),
}

/// One connection's input.
pub(super) enum Cutter {
    Stream(Framer),
    Web(websocket::Framer),
}

impl Cutter {
    pub(super) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Stream => Self::Stream(Framer::default()),
            Coding::Web => Self::Web(websocket::Framer::default()),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Stream(framer) => framer.push(bytes),
            Self::Web(framer) => framer.push(bytes),
        }
    }

    pub(super) fn is_partial(&self) -> bool {
        match self {
            Self::Stream(framer) => framer.is_partial(),
            Self::Web(framer) => framer.is_partial(),
        }
    }

    pub(super) fn next(&mut self) -> Option<Cut> {
        Some(match self {
            Self::Stream(framer) => match framer.next_frame()? {
                Frame::Message(bytes) => Cut::Message(bytes),
                Frame::Ping => Cut::Asked(PONG.to_vec()),
                Frame::Broken(malformed) => Cut::Broken(malformed),
            },
            Self::Web(framer) => match framer.next_frame()? {
                // A keep-alive of empty lines, as some send here too (RFC 5626 §3.5.1).
                WebFrame::Message(bytes) if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {
                    Cut::Asked(websocket::message(PONG))
                }
                WebFrame::Message(bytes) => Cut::Message(bytes),
                WebFrame::Ping(said) => Cut::Asked(websocket::pong(&said)),
                WebFrame::Pong => Cut::Alive,
                WebFrame::Close(code) => Cut::Ended(websocket::close(code)),
            },
        })
    }
}
