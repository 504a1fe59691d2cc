//! What a browser sends after the handshake, cut into messages (RFC 6455 §5).

use super::{CONTROL_BYTES_MAX, Opcode};
use crate::message::MESSAGE_BYTES_MAX;
use zeroize::Zeroize;

/// Why a connection is given up (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// What a peer said.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, of one frame or several.
    Message(Vec<u8>),
    /// It asks whether we are there: answer with [`pong`](super::pong) and what it said.
    Ping(Vec<u8>),
    /// It is there.
    Pong,
    /// It leaves, or is not understood: answer with [`close`](super::close) and this code, then close. Nothing comes after it.
    Close(u16),
}

/// One connection, behind the handshake. It holds no more than one message, one frame and what came with its end.
#[derive(Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// What came of a message of several frames, and whether that is text.
    begun: Option<(Opcode, Vec<u8>)>,
    is_over: bool,
}

/// The head of a frame.
struct Head {
    is_last: bool,
    opcode: Opcode,
    mask: [u8; 4],
    /// Bytes of the head itself.
    length: usize,
    payload: usize,
}

impl Framer {
    /// Takes what was read, in pieces of any size. Drain [`Self::next_frame`] after each.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.is_over {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether a message or a frame has begun and not ended.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty() || self.begun.is_some()
    }

    /// The next whole thing, if it is there.
    pub fn next_frame(&mut self) -> Option<Frame> {
        while !self.is_over {
            let head = match self.head() {
                Ok(head) => head?,
                Err(code) => return Some(self.end(code)),
            };
            let end = head.length.checked_add(head.payload).filter(|end| *end <= self.buffer.len())?;
            let payload = self.take(&head, end);
            if let Some(frame) = self.frame(&head, payload) {
                return Some(frame);
            }
        }
        None
    }

    /// The head of the next frame, once it is there whole.
    fn head(&self) -> Result<Option<Head>, u16> {
        let Some([first, second]) = self.buffer.first_chunk().copied() else { return Ok(None) };
        // No extension was agreed on, so the reserved bits mean nothing; and a client masks (RFC 6455 §5.1, §5.2).
        let opcode = Opcode::of(first & 0x0f).filter(|_| first & 0x70 == 0 && second & 0x80 != 0);
        let opcode = opcode.ok_or(PROTOCOL_ERROR)?;
        let is_last = first & 0x80 != 0;
        let Some((payload, extended)) = self.payload_length(second & 0x7f)? else { return Ok(None) };
        if opcode.is_control() && (payload > CONTROL_BYTES_MAX || !is_last) {
            return Err(PROTOCOL_ERROR);
        }
        if payload > MESSAGE_BYTES_MAX {
            return Err(TOO_BIG);
        }
        let mask = self.buffer.get(2 + extended..).and_then(<[u8]>::first_chunk).copied();
        Ok(mask.map(|mask| Head { is_last, opcode, mask, length: 6 + extended, payload }))
    }

    /// How long a payload is, and how many more bytes say so; in as few as there can be (RFC 6455 §5.2).
    fn payload_length(&self, short: u8) -> Result<Option<(usize, usize)>, u16> {
        let rest = self.buffer.get(2..).unwrap_or_default();
        let (said, extended, least) = match short {
            126 => (rest.first_chunk().map(|bytes| u64::from(u16::from_be_bytes(*bytes))), 2, 126),
            127 => (rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)), 8, 1 << 16),
            _ => (Some(u64::from(short)), 0, 0),
        };
        match said {
            None => Ok(None),
            Some(said) if said < least => Err(PROTOCOL_ERROR),
            Some(said) => usize::try_from(said).map(|said| Some((said, extended))).map_err(|_| TOO_BIG),
        }
    }

    /// Takes a frame out of the buffer, unmasked. Nothing of it stays behind.
    fn take(&mut self, head: &Head, end: usize) -> Vec<u8> {
        let masked = self.buffer.get(head.length..end).unwrap_or_default();
        let payload = masked.iter().zip(head.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        let rest = self.buffer.split_off(end.min(self.buffer.len()));
        self.buffer.zeroize();
        self.buffer = rest;
        payload
    }

    fn frame(&mut self, head: &Head, mut payload: Vec<u8>) -> Option<Frame> {
        match (head.opcode, self.begun.take()) {
            (Opcode::Ping, begun) => {
                self.begun = begun;
                Some(Frame::Ping(payload))
            }
            (Opcode::Pong, begun) => {
                self.begun = begun;
                Some(Frame::Pong)
            }
            (Opcode::Close, _) => Some(self.end(NORMAL)),
            (Opcode::Continuation, Some((opcode, mut whole))) => {
                if whole.len() + payload.len() > MESSAGE_BYTES_MAX {
                    whole.zeroize();
                    return Some(self.end(TOO_BIG));
                }
                // In a buffer of its own: one that grows would leave a copy behind.
                let joined = [whole.as_slice(), payload.as_slice()].concat();
                whole.zeroize();
                payload.zeroize();
                self.whole(head, opcode, joined)
            }
            (opcode @ (Opcode::Text | Opcode::Binary), None) => self.whole(head, opcode, payload),
            _ => Some(self.end(PROTOCOL_ERROR)),
        }
    }

    fn whole(&mut self, head: &Head, opcode: Opcode, message: Vec<u8>) -> Option<Frame> {
        if !head.is_last {
            self.begun = Some((opcode, message));
            return None;
        }
        let is_text = opcode != Opcode::Text || std::str::from_utf8(&message).is_ok();
        Some(if is_text { Frame::Message(message) } else { self.end(NOT_UTF8) })
    }

    fn end(&mut self, code: u16) -> Frame {
        self.is_over = true;
        self.buffer.zeroize();
        if let Some((_, mut begun)) = self.begun.take() {
            begun.zeroize();
        }
        Frame::Close(code)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{close, message, ping, pong};
    use super::*;
    use proptest::{collection::vec, prelude::*};

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A client's frame.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ ..126 => out.push(0x80 | u8::try_from(length).unwrap()),
            length @ ..0x1_0000 => {
                out.push(0xfe);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                out.push(0xff);
                out.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        out.extend(MASK);
        out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    fn said(bytes: &[u8]) -> Frame {
        Frame::Message(bytes.to_vec())
    }

    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
        let (mut framer, mut heard) = (Framer::default(), Vec::new());
        for piece in pieces {
            framer.push(piece);
            heard.extend(std::iter::from_fn(|| framer.next_frame()));
        }
        heard
    }

    /// RFC 6455 §5.7: "Hello", masked; and in two fragments with a ping between them.
    #[test]
    fn the_rfcs_examples_are_read() {
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(frames([&hello[..]]), [said(b"Hello")]);
        assert_eq!(message(b"Hello"), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        let pieces = [masked(0x01, b"Hel"), masked(0x89, b"Hello"), masked(0x80, b"lo")].concat();
        assert_eq!(frames([&pieces[..]]), [Frame::Ping(b"Hello".to_vec()), said(b"Hello")]);
        assert_eq!(
            (ping(), pong(b"ab"), close(1002)),
            (vec![0x89, 0], vec![0x8a, 2, b'a', b'b'], vec![0x88, 2, 3, 234])
        );
    }

    #[test]
    fn what_breaks_the_rules_ends_the_connection() {
        let unmasked = message(b"Hello");
        let long_ping = masked(0x89, &[0; 126]);
        let wasteful = [&[0x82, 0xfe, 0, 5], &MASK[..], &[0; 5]].concat();
        let reserved = masked(0xc1, b"a");
        let unknown = masked(0x83, b"a");
        let torn_ping = masked(0x09, b"");
        let headless = masked(0x80, b"a");
        let interrupted = [masked(0x01, b"a"), masked(0x81, b"b")].concat();
        for broken in [unmasked, long_ping, wasteful, reserved, unknown, torn_ping, headless, interrupted] {
            assert_eq!(frames([&broken[..]]), [Frame::Close(PROTOCOL_ERROR)], "{broken:?}");
        }
        assert_eq!(frames([&masked(0x81, b"\xff")[..]]), [Frame::Close(NOT_UTF8)]);
        assert_eq!(frames([&masked(0x82, b"\xff")[..]]), [said(b"\xff")]);
        assert_eq!(frames([&masked(0x88, b"\x03\xe8")[..], &masked(0x81, b"a")[..]]), [Frame::Close(NORMAL)]);
    }

    #[test]
    fn nothing_larger_than_a_message_is_kept() {
        let largest = vec![b'a'; MESSAGE_BYTES_MAX];
        assert_eq!(frames([&masked(0x81, &largest)[..]]), [said(&largest)]);
        let head = [&[0x82, 0xff], &u64::try_from(MESSAGE_BYTES_MAX + 1).unwrap().to_be_bytes()[..]].concat();
        assert_eq!(frames([&head[..]]), [Frame::Close(TOO_BIG)], "said by its head alone");
        let pieces = [masked(0x01, &largest), masked(0x80, b"a")].concat();
        assert_eq!(frames([&pieces[..]]), [Frame::Close(TOO_BIG)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_written_is_read_however_it_is_cut(payload in vec(any::<u8>(), 0..70_000), cut in 1_usize..9_000) {
            let wire = masked(0x82, &payload);
            let frames = frames(wire.chunks(cut));
            prop_assert_eq!(frames, if payload.len() > MESSAGE_BYTES_MAX { vec![Frame::Close(TOO_BIG)] } else { vec![said(&payload)] });
        }

        #[test]
        fn no_bytes_make_it_panic_or_grow(pieces in vec(vec(any::<u8>(), 0..200), 0..50)) {
            let mut framer = Framer::default();
            for piece in &pieces {
                framer.push(piece);
                while framer.next_frame().is_some() {}
                prop_assert!(framer.buffer.len() <= MESSAGE_BYTES_MAX + 14 + 200);
            }
        }
    }
}
