//! What a browser sends after the handshake, cut into messages (RFC 6455 §5).

use super::{CONTROL_BYTES_MAX, Opcode};
use crate::message::MESSAGE_BYTES_MAX;
use zeroize::Zeroize;

/// Why a connection is given up (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const NOT_TOLERATED: u16 = 1008;
const TOO_BIG: u16 = 1009;

/// Frames of one message. The RFC knows no bound, but what costs us work must bring something.
const FRAGMENTS_MAX: usize = 64;

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
    /// What stands before it in the buffer is read, and wiped.
    at: usize,
    begun: Option<Begun>,
    is_over: bool,
}

/// What came of a message of several frames.
struct Begun {
    opcode: Opcode,
    message: Vec<u8>,
    fragments: usize,
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
            append(&mut self.buffer, self.at, bytes);
            self.at = 0;
        }
    }

    /// Whether a message or a frame has begun and not ended.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.unread().is_empty() || self.begun.is_some()
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// The next whole thing, if it is there.
    pub fn next_frame(&mut self) -> Option<Frame> {
        while !self.is_over {
            let head = match self.head() {
                Ok(head) => head?,
                Err(code) => return Some(self.end(code)),
            };
            let end = head.length.checked_add(head.payload).filter(|end| *end <= self.unread().len())?;
            let payload = self.take(&head, end);
            if let Some(frame) = self.frame(&head, payload) {
                return Some(frame);
            }
        }
        None
    }

    /// The head of the next frame, once it is there whole.
    fn head(&self) -> Result<Option<Head>, u16> {
        let Some([first, second]) = self.unread().first_chunk().copied() else { return Ok(None) };
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
        // It would cost us work for ever and bring nothing.
        if !is_last && payload == 0 {
            return Err(NOT_TOLERATED);
        }
        let mask = self.unread().get(2 + extended..).and_then(<[u8]>::first_chunk).copied();
        Ok(mask.map(|mask| Head { is_last, opcode, mask, length: 6 + extended, payload }))
    }

    /// How long a payload is, and how many more bytes say so; in as few as there can be (RFC 6455 §5.2).
    fn payload_length(&self, short: u8) -> Result<Option<(usize, usize)>, u16> {
        let rest = self.unread().get(2..).unwrap_or_default();
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

    /// Takes a frame out of the buffer, unmasked. Nothing of it stays behind, and what follows it stays where it is.
    fn take(&mut self, head: &Head, end: usize) -> Vec<u8> {
        let frame = self.buffer.get_mut(self.at..).and_then(|unread| unread.get_mut(..end)).unwrap_or_default();
        let masked = frame.get(head.length..).unwrap_or_default();
        let payload = masked.iter().zip(head.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        frame.zeroize();
        self.at += end;
        if self.unread().is_empty() {
            (self.buffer, self.at) = (Vec::new(), 0);
        }
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
            (Opcode::Continuation, Some(mut begun)) => {
                let is_large = begun.message.len() + payload.len() > MESSAGE_BYTES_MAX;
                if is_large || begun.fragments >= FRAGMENTS_MAX {
                    begun.message.zeroize();
                    payload.zeroize();
                    return Some(self.end(if is_large { TOO_BIG } else { NOT_TOLERATED }));
                }
                append(&mut begun.message, 0, &payload);
                payload.zeroize();
                self.whole(head, Begun { fragments: begun.fragments + 1, ..begun })
            }
            (opcode @ (Opcode::Text | Opcode::Binary), None) => {
                self.whole(head, Begun { opcode, message: payload, fragments: 1 })
            }
            _ => Some(self.end(PROTOCOL_ERROR)),
        }
    }

    fn whole(&mut self, head: &Head, begun: Begun) -> Option<Frame> {
        if !head.is_last {
            self.begun = Some(begun);
            return None;
        }
        let Begun { opcode, message, .. } = begun;
        let is_text = opcode != Opcode::Text || std::str::from_utf8(&message).is_ok();
        Some(if is_text { Frame::Message(message) } else { self.end(NOT_UTF8) })
    }

    fn end(&mut self, code: u16) -> Frame {
        self.is_over = true;
        self.buffer.zeroize();
        if let Some(mut begun) = self.begun.take() {
            begun.message.zeroize();
        }
        Frame::Close(code)
    }
}

/// Appends to what stands in a buffer from there on. One that grew by itself would leave a copy behind; and it grows to a power
/// of two, so that what comes in small pieces is not copied for each of them.
fn append(buffer: &mut Vec<u8>, from: usize, bytes: &[u8]) {
    if from > 0 || buffer.capacity() - buffer.len() < bytes.len() {
        let kept = buffer.get(from..).unwrap_or_default();
        let mut other = Vec::with_capacity((kept.len() + bytes.len()).next_power_of_two());
        other.extend_from_slice(kept);
        buffer.zeroize();
        *buffer = other;
    }
    buffer.extend_from_slice(bytes);
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

    #[test]
    fn a_peer_cannot_have_a_message_copied_for_every_few_bytes_it_sends() {
        let begun = masked(0x01, b"a");
        for empty in [masked(0x01, b""), [begun.clone(), masked(0x00, b"")].concat()] {
            assert_eq!(frames([&empty[..]]), [Frame::Close(NOT_TOLERATED)]);
        }
        let of = |count: usize| [begun.clone(), masked(0x00, b"b").repeat(count - 2), masked(0x80, b"")].concat();
        let message = [b"a", &b"b".repeat(FRAGMENTS_MAX - 2)[..]].concat();
        assert_eq!(frames([&of(FRAGMENTS_MAX)[..]]), [said(&message)], "the last one may be empty");
        assert_eq!(frames([&of(FRAGMENTS_MAX + 1)[..]]), [Frame::Close(NOT_TOLERATED)]);
        let mut framer = Framer::default();
        let mut grown = std::collections::BTreeSet::new();
        for fragment in
            std::iter::once(begun).chain(std::iter::repeat_n(masked(0x00, &[b'c'; 1000]), FRAGMENTS_MAX - 1))
        {
            framer.push(&fragment);
            assert_eq!(framer.next_frame(), None);
            grown.insert(framer.begun.as_ref().unwrap().message.as_ptr());
        }
        assert!(grown.len() <= 10, "moved {} times", grown.len());
    }

    #[test]
    fn taking_a_frame_wipes_it_and_moves_none_of_those_behind_it() {
        let mut framer = Framer::default();
        framer.push(&[masked(0x81, b"first"), masked(0x81, b"second"), vec![0x81]].concat());
        let place = framer.buffer.as_ptr();
        assert_eq!(framer.next_frame(), Some(said(b"first")));
        assert_eq!((framer.buffer.as_ptr(), &framer.buffer[..11]), (place, &[0; 11][..]));
        assert_eq!(framer.next_frame(), Some(said(b"second")));
        assert_eq!((framer.buffer.as_ptr(), &framer.buffer[..23]), (place, &[0; 23][..]));
        framer.push(&masked(0x81, b"third")[1..]);
        assert_eq!(framer.buffer.len(), 11, "and what is read takes no room");
        assert_eq!((framer.next_frame(), framer.buffer.capacity()), (Some(said(b"third")), 0));
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
                prop_assert!(framer.unread().len() <= MESSAGE_BYTES_MAX + 14 + 200);
            }
        }
    }
}
