//! SIP messages: parsing, header values and writing (RFC 3261 §7, §20 and §25).

mod framer;
mod grammar;
mod header;
mod method;
mod name_addr;
mod params;
mod parser;
mod uri;
mod via;
pub(crate) mod writer;

use std::fmt;

pub use framer::{Frame, Framer, PONG};
pub(crate) use grammar::number;
pub(crate) use header::name_of;
pub use header::{Headers, Name};
pub(crate) use method::ALLOW;
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub use parser::{Malformed, ParseError, Reply, parse};
pub use uri::{Uri, UriError};
pub use via::Via;

/// The largest message that is read (RFC 3261 §18.1.1).
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The most header lines in a message.
pub const HEADERS_MAX: usize = 128;
/// The longest header line, folded lines joined.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Whether a label can stand as a header's name.
pub(crate) fn is_token_text(label: &str) -> bool {
    grammar::token(label.as_bytes()).is_some()
}

/// The parts of a comma-separated list; `None` if a quote or bracket is left open.
pub(crate) fn split_list(value: &[u8]) -> Option<Vec<&[u8]>> {
    grammar::split_outside_quotes(value, b',')
}

/// A message body. It is opaque and cannot be printed: INFO carries digits, SDP carries keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body(Vec<u8>);

impl Body {
    /// The content, for parsing and for the wire only.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no content at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

/// A parsed message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request that passed the strict parser.
#[derive(Clone)]
pub struct Request {
    /// The method of the start line; it equals the CSeq's.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// All header lines.
    pub headers: Headers,
    /// What the parser read of the headers every message needs.
    pub core: Core,
    /// The body, cut at Content-Length.
    pub body: Body,
}

/// A response that passed the strict parser.
#[derive(Clone)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The reason phrase, as received.
    pub reason: Vec<u8>,
    /// All header lines.
    pub headers: Headers,
    /// What the parser read of the headers every message needs.
    pub core: Core,
    /// The body, cut at Content-Length.
    pub body: Body,
}

/// The typed values of the headers that every message must have (RFC 3261 §8.1.1).
#[derive(Clone)]
pub struct Core {
    /// The top Via.
    pub via: Via,
    /// The originator, with its tag.
    pub from: NameAddr,
    /// The recipient, with its tag once there is one.
    pub to: NameAddr,
    /// The Call-ID.
    pub call_id: String,
    /// The sequence number of CSeq.
    pub cseq: u32,
    /// The method of CSeq.
    pub cseq_method: Method,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {} headers, {:?})", self.method.kind(), self.headers.len(), self.body)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} headers, {:?})", self.status, self.headers.len(), self.body)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core(CSeq {} {})", self.cseq, self.cseq_method.kind())
    }
}
