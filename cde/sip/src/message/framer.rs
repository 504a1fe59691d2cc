//! Cutting a stream into messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §3.5.1).

use super::{MESSAGE_BYTES_MAX, Malformed, ParseError, parser};

/// What a stream held next.
#[derive(Debug)]
pub enum Frame {
    /// One whole message.
    Message(Vec<u8>),
    /// The peer asks whether we are there: answer [`PONG`].
    Ping,
    /// What follows cannot be cut: answer it where it can be, then close the connection. Nothing comes after it.
    Broken(Malformed),
}

/// The answer to [`Frame::Ping`] (RFC 5626 §4.4.1).
pub const PONG: &[u8] = b"\r\n";

const PING: &[u8] = b"\r\n\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The stream of one connection. It holds no more than one message and what came with its end.
#[derive(Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// So many bytes are known not to end the header lines.
    searched: usize,
    /// The length of the message whose head has come.
    length: Option<usize>,
    is_broken: bool,
}

impl Framer {
    /// Takes what was read, in pieces of any size. Drain [`Self::next_frame`] after each.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.is_broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// The next whole thing, if it is there.
    pub fn next_frame(&mut self) -> Option<Frame> {
        if self.is_broken {
            return None;
        }
        if self.length.is_none() {
            if self.skip_blank() {
                return Some(Frame::Ping);
            }
            self.length = match self.head() {
                Ok(length) => Some(length?),
                Err(malformed) => return Some(self.broken(malformed)),
            };
        }
        let length = self.length.filter(|length| *length <= self.buffer.len())?;
        (self.length, self.searched) = (None, 0);
        Some(Frame::Message(self.take(length)))
    }

    /// Skips empty lines before a message (RFC 3261 §7.5); true if they are a ping. One that may still become a ping stays.
    fn skip_blank(&mut self) -> bool {
        if self.buffer.starts_with(PING) {
            drop(self.take(PING.len()));
            return true;
        }
        let may_be_ping = PING.starts_with(&self.buffer);
        if !may_be_ping && self.buffer.starts_with(PONG) {
            drop(self.take(PONG.len()));
        }
        false
    }

    /// The length of the message, once all its header lines are there.
    fn head(&mut self) -> Result<Option<usize>, Malformed> {
        // A blank that may become a ping is no head.
        if PING.starts_with(&self.buffer) {
            return Ok(None);
        }
        let from = self.searched.saturating_sub(HEAD_END.len() - 1);
        let found = self.buffer.get(from..).and_then(|rest| rest.windows(HEAD_END.len()).position(|w| w == HEAD_END));
        let Some(at) = found else {
            self.searched = self.buffer.len();
            let is_too_large = self.buffer.len() > MESSAGE_BYTES_MAX;
            return if is_too_large { Err(parser::unframed(&self.buffer, ParseError::TooLarge)) } else { Ok(None) };
        };
        let head = self.buffer.get(..from + at + HEAD_END.len()).unwrap_or_default();
        let body = parser::framed_length(head)?;
        match head.len().checked_add(body).filter(|length| *length <= MESSAGE_BYTES_MAX) {
            Some(length) => Ok(Some(length)),
            None => Err(parser::unframed(head, ParseError::TooLarge)),
        }
    }

    /// Takes bytes out, and their memory with them: digits must not stay behind in a buffer that lives on.
    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }

    fn broken(&mut self, malformed: Malformed) -> Frame {
        self.is_broken = true;
        self.buffer = Vec::new();
        Frame::Broken(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn message(body: &str) -> String {
        format!("INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nl: {}\r\n\r\n{body}", body.len())
    }

    /// What a stream holds, in words.
    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut framer, mut heard) = (Framer::default(), Vec::new());
        for piece in pieces {
            framer.push(piece);
            while let Some(frame) = framer.next_frame() {
                heard.push(match frame {
                    Frame::Message(bytes) => String::from_utf8(bytes).unwrap(),
                    Frame::Ping => "ping".to_owned(),
                    Frame::Broken(malformed) => format!("broken: {}", malformed.error),
                });
            }
        }
        heard
    }

    fn whole(stream: &str) -> Vec<String> {
        frames([stream.as_bytes()])
    }

    #[test]
    fn messages_are_cut_where_their_length_says() {
        let (first, second) = (message("Signal=5\r\n\r\n"), message(""));
        assert_eq!(whole(&format!("{first}{second}")), [first, second]);
    }

    #[test]
    fn a_ping_between_messages_is_told_and_single_empty_lines_are_skipped() {
        let one = message("1");
        assert_eq!(whole(&format!("\r\n\r\n{one}\r\n{one}\r\n\r\n\r\n{one}\r\n")), ["ping", &one, &one, "ping", &one]);
    }

    #[test]
    fn a_body_without_a_length_breaks_the_stream_and_nothing_follows() {
        let without = message("").replace("l: 0\r\n", "");
        assert_eq!(whole(&format!("{without}{}", message(""))), ["broken: Missing Content-Length"]);
        for length in ["-1", "x", "4294967296000000000000", "1\r\nContent-Length: 2"] {
            let broken = message("").replace("l: 0", &format!("l: {length}"));
            assert_eq!(whole(&broken), ["broken: Wrong Content-Length"], "{length}");
        }
    }

    #[test]
    fn what_grows_without_end_breaks_the_stream() {
        let pieces = vec![[b'a'; 1024]; 100];
        assert_eq!(frames(pieces.iter().map(|piece| &piece[..])), [format!("broken: {}", ParseError::TooLarge)]);
        let promised = message("").replace("l: 0", "l: 65536");
        assert_eq!(whole(&promised), [format!("broken: {}", ParseError::TooLarge)]);
        let many = message("").replace("l: 0", &"X: y\r\n".repeat(super::super::HEADERS_MAX));
        assert_eq!(whole(&many), [format!("broken: {}", ParseError::TooManyHeaders)]);
    }

    #[test]
    fn a_broken_request_can_be_answered_and_a_response_cannot() {
        let reply = |stream: &str| {
            let mut framer = Framer::default();
            framer.push(stream.as_bytes());
            let Some(Frame::Broken(malformed)) = framer.next_frame() else { panic!() };
            malformed.reply.map(|reply| reply.status)
        };
        let broken = message("").replace("l: 0\r\n", "");
        assert_eq!(reply(&broken), Some(400));
        assert_eq!(reply(&broken.replace("INFO sip:a@b SIP/2.0", "SIP/2.0 200 OK")), None);
        assert_eq!(reply(&broken.replace("INFO", "ACK")), None);
    }

    #[test]
    fn a_message_that_has_begun_is_told_from_silence() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert!(framer.next_frame().is_none() && !framer.is_partial());
        framer.push(b"INVITE");
        assert!(framer.next_frame().is_none() && framer.is_partial());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn however_a_stream_is_cut_it_holds_the_same(
            parts in vec(prop_oneof![
                "[a-z\r\n]{0,40}".prop_map(|body| message(&body)),
                Just("\r\n".to_owned()),
                Just("\r\n\r\n".to_owned()),
                Just("\r".to_owned()),
                Just(message("").replace("l: 0\r\n", "")),
            ], 0..8),
            cuts in vec(1usize..30, 1..20),
        ) {
            let stream = parts.concat();
            let mut sizes = cuts.iter().copied().cycle();
            let (mut rest, mut pieces) = (stream.as_bytes(), Vec::new());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(frames(pieces), whole(&stream));
        }

        #[test]
        fn no_bytes_panic_or_are_kept_without_end(pieces in vec(vec(any::<u8>(), 0..300), 0..20)) {
            let mut framer = Framer::default();
            for piece in &pieces {
                framer.push(piece);
                while framer.next_frame().is_some() {}
                prop_assert!(framer.buffer.len() <= MESSAGE_BYTES_MAX + 300);
            }
        }
    }
}
