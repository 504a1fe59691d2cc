//! Header lines: one buffer for all text, and a list of where names and values lie in it.

use std::{fmt, ops::Range};

use super::grammar;

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $(or $compact:literal)?,)*) => {
        /// The name of a header; compact forms (RFC 3261 §7.3.3) are the same name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Name {
            $(#[doc = $text] $variant,)*
            /// Any other header, kept verbatim.
            Other,
        }

        impl Name {
            fn from_label(label: &[u8]) -> Self {
                $(if label.eq_ignore_ascii_case($text.as_bytes()) $(|| label.eq_ignore_ascii_case($compact))? {
                    return Self::$variant;
                })*
                Self::Other
            }

            /// The full name, if it is a known one.
            #[must_use]
            pub fn text(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($text),)*
                    Self::Other => None,
                }
            }
        }
    };
}

names! {
    Via = "Via" or b"v",
    From = "From" or b"f",
    To = "To" or b"t",
    CallId = "Call-ID" or b"i",
    CSeq = "CSeq",
    Contact = "Contact" or b"m",
    ContentLength = "Content-Length" or b"l",
    ContentType = "Content-Type" or b"c",
    ContentEncoding = "Content-Encoding" or b"e",
    ContentDisposition = "Content-Disposition",
    MaxForwards = "Max-Forwards",
    Route = "Route",
    RecordRoute = "Record-Route",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Supported = "Supported" or b"k",
    Unsupported = "Unsupported",
    Allow = "Allow",
    Accept = "Accept",
    RetryAfter = "Retry-After",
    UserAgent = "User-Agent",
    Server = "Server",
    Date = "Date",
    Subject = "Subject" or b"s",
    SessionExpires = "Session-Expires" or b"x",
    MinSe = "Min-SE",
    RSeq = "RSeq",
    RAck = "RAck",
    ReferTo = "Refer-To" or b"r",
    ReferredBy = "Referred-By" or b"b",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    Expires = "Expires",
    MinExpires = "Min-Expires",
}

impl Name {
    /// Whether the endpoint itself writes it, or it means something on one hop only: never passed on, never taken from
    /// the application. Credentials belong to one hop too.
    pub(crate) fn is_own(self) -> bool {
        !matches!(self, Self::Other | Self::Subject | Self::Date | Self::ReferredBy)
    }
}

/// The header lines of a message, in order. Debug shows their number alone.
#[derive(Clone, Default)]
pub struct Headers {
    text: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    name: Name,
    label: Range<usize>,
    value: Range<usize>,
}

impl Headers {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), lines: Vec::with_capacity(16) }
    }

    /// The number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The first value of a known header.
    #[must_use]
    pub fn first(&self, name: Name) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The values of a known header, line by line.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |line| line.name == name).map(|line| self.slice(&line.value))
    }

    /// The values of a header that may hold a comma-separated list, one by one; empty if a quote is left open.
    #[must_use]
    pub fn list(&self, name: Name) -> Vec<&[u8]> {
        let split = |value| grammar::split_outside_quotes(value, b',');
        let Some(parts) = self.all(name).map(split).collect::<Option<Vec<_>>>() else { return Vec::new() };
        parts.into_iter().flatten().map(grammar::trim).collect()
    }

    /// The first value of any header by its name.
    #[must_use]
    pub fn named(&self, label: &str) -> Option<&[u8]> {
        match Name::from_label(label.as_bytes()) {
            Name::Other => self.iter().find(|(_, own, _)| own.eq_ignore_ascii_case(label)).map(|(_, _, value)| value),
            name => self.first(name),
        }
    }

    /// All lines: name, label (the full one of a known name) and value.
    pub fn iter(&self) -> impl Iterator<Item = (Name, &str, &[u8])> {
        self.lines.iter().map(|line| {
            let label = line.name.text().or_else(|| std::str::from_utf8(self.slice(&line.label)).ok());
            (line.name, label.unwrap_or_default(), self.slice(&line.value))
        })
    }

    /// Appends a line; the label is known to be a token and the value free of control characters.
    pub(crate) fn push(&mut self, label: &[u8], value: &[u8]) {
        let label = self.store(label);
        let value = self.store(value);
        self.lines.push(Line { name: Name::from_label(self.slice(&label)), label, value });
    }

    /// Joins a folded line to the last one; false if there is none.
    pub(crate) fn continue_last(&mut self, value: &[u8]) -> bool {
        let Some(line) = self.lines.last_mut() else { return false };
        if !line.value.is_empty() && !value.is_empty() {
            self.text.push(b' ');
        }
        self.text.extend_from_slice(value);
        // The value of the last line always ends the buffer, and an empty one starts there.
        line.value.end = self.text.len();
        true
    }

    /// The length of the last line's value, folded parts joined.
    pub(crate) fn last_len(&self) -> usize {
        self.lines.last().map_or(0, |line| line.value.len())
    }

    /// Replaces the value of the first line of that name.
    pub(crate) fn replace_first(&mut self, name: Name, value: &[u8]) {
        let value = self.store(value);
        if let Some(line) = self.lines.iter_mut().find(|line| line.name == name) {
            line.value = value;
        }
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({})", self.lines.len())
    }
}

/// The name behind an application's label.
pub(crate) fn name_of(label: &str) -> Name {
    Name::from_label(label.as_bytes())
}
