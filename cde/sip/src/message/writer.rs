//! Writing messages.

use super::{Body, Method, Uri};

/// A message under construction: start line, headers, then the body.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn request(method: &Method, uri: &Uri) -> Self {
        let mut writer = Self(Vec::with_capacity(1024));
        writer.raw(method.as_str().as_bytes());
        writer.raw(b" ");
        writer.raw(uri.as_str().as_bytes());
        writer.raw(b" SIP/2.0\r\n");
        writer
    }

    /// Lines without a start line, for a message that is put together later.
    pub(crate) fn fragment() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn response(status: u16, reason: &str) -> Self {
        let mut writer = Self(Vec::with_capacity(1024));
        writer.raw(format!("SIP/2.0 {status} ").as_bytes());
        writer.clean(reason.as_bytes());
        writer.raw(b"\r\n");
        writer
    }

    /// Control characters become spaces: no value can start a line of its own.
    pub(crate) fn header(&mut self, name: &str, value: &[u8]) {
        self.raw(name.as_bytes());
        self.raw(b": ");
        self.clean(value);
        self.raw(b"\r\n");
    }

    /// Appends header lines that were written before.
    pub(crate) fn lines(&mut self, lines: &[u8]) {
        self.raw(lines);
    }

    pub(crate) fn finish(mut self, content: Option<(&str, &Body)>) -> Vec<u8> {
        if let Some((content_type, _)) = content.filter(|(_, body)| !body.is_empty()) {
            self.header("Content-Type", content_type.as_bytes());
        }
        let bytes = content.map(|(_, body)| body.as_bytes()).unwrap_or_default();
        self.header("Content-Length", bytes.len().to_string().as_bytes());
        self.raw(b"\r\n");
        self.raw(bytes);
        self.0
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn clean(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().map(|&b| if b.is_ascii_control() { b' ' } else { b }));
    }
}

/// The default reason phrase (RFC 3261 §21).
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        600 => "Busy Everywhere",
        603 => "Decline",
        _ => class_reason(status),
    }
}

fn class_reason(status: u16) -> &'static str {
    match status / 100 {
        1 => "Progress",
        2 => "OK",
        3 => "Redirection",
        4 => "Request Failure",
        5 => "Server Failure",
        _ => "Failure",
    }
}
