//! WebSocket as a transport of SIP (RFC 6455, RFC 7118): a server's opening handshake, and frames.
//!
//! One message of a WebSocket is one of SIP. What is read goes out of here as it was said, and its memory with it: digits
//! travel in INFO, and a buffer that lives on must not keep them.

mod framer;
mod opening;

pub use framer::{Frame, Framer};
pub use opening::{HEAD_BYTES_MAX, Opening, Refused, opening};

/// What the peer says with it, by its name in the handshake (RFC 7118 §4).
const SUBPROTOCOL: &str = "sip";
/// The most bytes that a control frame carries (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is (RFC 6455 §11.8).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A message of SIP as one frame: text, unless it is none (RFC 7118 §4.2 lets it be either).
#[must_use]
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let opcode = if std::str::from_utf8(bytes).is_ok() { Opcode::Text } else { Opcode::Binary };
    frame(opcode, bytes)
}

/// Asks whether the peer is there.
#[must_use]
pub fn ping() -> Vec<u8> {
    frame(Opcode::Ping, &[])
}

/// The answer to a ping, with what it said.
#[must_use]
pub fn pong(said: &[u8]) -> Vec<u8> {
    frame(Opcode::Pong, said.get(..CONTROL_BYTES_MAX).unwrap_or(said))
}

/// Nothing follows, for this reason (RFC 6455 §7.4).
#[must_use]
pub fn close(code: u16) -> Vec<u8> {
    frame(Opcode::Close, &code.to_be_bytes())
}

/// One whole frame of a server, which masks nothing.
fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 10);
    out.push(0x80 | opcode.bits());
    match (u8::try_from(payload.len()), u16::try_from(payload.len()), u64::try_from(payload.len())) {
        (Ok(length @ ..=125), _, _) => out.push(length),
        (_, Ok(length), _) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (_, _, length) => {
            out.push(127);
            out.extend_from_slice(&length.unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}
