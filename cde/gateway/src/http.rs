//! Requests and answers of HTTP as plain values. The shell joins the base URL and moves the bytes.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest answer that is read; a longer one is no answer (`Sent::Broken`).
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The methods that gateways use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Changes nothing.
    Get,
    /// Moves money.
    Post,
    /// Lets something be forgotten.
    Delete,
}

impl Method {
    /// As written in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A request, without the host. It cannot be printed: its body may hold a card, its headers hold the gateway's key.
pub struct HttpRequest {
    /// What to do.
    pub method: Method,
    /// Path and query, from the first slash; appended to the gateway's base URL.
    pub path: String,
    /// Names are lowercase.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for [`Method::Get`] and [`Method::Delete`].
    pub body: Body,
    /// What the request says, without card and key.
    pub(crate) summary: String,
}

impl HttpRequest {
    /// Everything of the request but card and key: method, path, and, where money moves, attempt, amount and merchant.
    pub fn redacted(&self) -> Vec<u8> {
        format!("{} {}\n{}", self.method.as_str(), self.path, self.summary).into_bytes()
    }
}

/// What the journal's digest of a request is made from.
pub fn digest_input(request: &HttpRequest) -> Vec<u8> {
    request.redacted()
}

/// The bytes of a request. Wiped when dropped, never printed, never copied by us.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Body(Vec<u8>);

impl Body {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    /// Room for this many bytes; [`write`](Self::write) never takes more, since growing would leave a copy behind.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds bytes where they fit.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let fits = self.0.capacity() - self.0.len() >= bytes.len();
        debug_assert!(fits, "the room was reckoned wrongly");
        if fits {
            self.0.extend_from_slice(bytes);
        }
    }

    /// Reads the bytes.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.0)
    }

    /// The bytes, for the HTTP client. From here on the process's wiping allocator wipes them.
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No bytes?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How sending a request ended.
#[derive(Clone)]
pub enum Sent {
    /// A whole answer came.
    Response {
        /// The status code.
        status: u16,
        /// The whole body, at most [`ANSWER_BYTES_MAX`].
        body: Vec<u8>,
    },
    /// Proved: it failed before the first byte of the request left (no name, no connection, no TLS).
    NotSent,
    /// Anything else: the connection broke, time was up, the answer was cut short or too long.
    Broken,
}

impl Sent {
    /// Does the gateway say that it was asked too often? (429, RFC 6585, section 4)
    pub fn is_too_much(&self) -> bool {
        matches!(self, Self::Response { status: 429, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_written_where_it_stands() {
        let mut body = Body::with_room(6);
        let place = body.expose(<[u8]>::as_ptr);
        body.write(b"abc");
        body.write(b"def");
        assert_eq!(body.expose(<[u8]>::as_ptr), place);
        assert_eq!((body.len(), body.into_bytes()), (6, b"abcdef".to_vec()));
        assert!(Body::empty().is_empty());
    }
}
