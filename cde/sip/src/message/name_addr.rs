//! `name-addr` and `addr-spec` with their parameters: From, To, Contact, Route (RFC 3261 §20).

use std::fmt;

use super::{Params, Uri, grammar};

/// A display name, a URI and header parameters.
#[derive(Clone)]
pub struct NameAddr {
    /// The display name, unquoted; it need not be UTF-8.
    pub display: Option<Vec<u8>>,
    /// The URI.
    pub uri: Uri,
    /// The header parameters, a tag among them.
    pub params: Params,
}

impl NameAddr {
    /// An address without display name and parameters.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// The same address under a display name; control characters in it become spaces.
    #[must_use]
    pub fn with_display(mut self, display: &str) -> Self {
        self.display = Some(display.bytes().map(|b| if b.is_ascii_control() { b' ' } else { b }).collect());
        self
    }

    /// The tag parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.text("tag")
    }

    /// The same address with exactly this tag and no other parameter.
    pub(crate) fn tagged(&self, tag: &str) -> Self {
        let mut params = Params::default();
        params.push("tag", Some(tag.as_bytes()));
        Self { display: self.display.clone(), uri: self.uri.clone(), params }
    }

    /// Reads one address that fills all of `value`.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = grammar::trim(value);
        let parsed = match open_bracket(value)? {
            Some(at) => bracketed(value, at)?,
            None => bare(value)?,
        };
        // A tag is a token (RFC 3261 §25.1); anything else would break comparing dialogs.
        match parsed.params.find("tag") {
            Some(tag) if grammar::token(tag.unwrap_or_default()).is_none() => None,
            _ => Some(parsed),
        }
    }

    /// Reads the first address of a list.
    pub(crate) fn parse_first(value: &[u8]) -> Option<Self> {
        Self::parse(grammar::split_outside_quotes(value, b',')?.first()?)
    }

    /// Appends the header value to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Some(display) = &self.display {
            out.push(b'"');
            for &byte in display {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.extend_from_slice(b"\" ");
        }
        out.push(b'<');
        out.extend_from_slice(self.uri.as_str().as_bytes());
        out.push(b'>');
        out.extend_from_slice(self.params.as_bytes());
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// Where the `<` stands outside quotes, if any. The outer `None` means an open quote.
fn open_bracket(value: &[u8]) -> Option<Option<usize>> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Some(Some(at)),
            _ => {}
        }
    }
    if quoted { None } else { Some(None) }
}

fn bracketed(value: &[u8], at: usize) -> Option<NameAddr> {
    let display = display_name(grammar::trim(value.get(..at)?))?;
    let (uri, rest) = grammar::split_once(value.get(at + 1..)?, b'>')?;
    Some(NameAddr { display, uri: Uri::from_bytes(uri).ok()?, params: Params::parse(rest)? })
}

/// Without brackets everything behind the first ';' is a header parameter, and the URI can hold no '?' or ','.
fn bare(value: &[u8]) -> Option<NameAddr> {
    let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
    let uri = grammar::trim(value.get(..end)?);
    if uri.iter().any(|b| b",?".contains(b)) {
        return None;
    }
    Some(NameAddr { display: None, uri: Uri::from_bytes(uri).ok()?, params: Params::parse(value.get(end..)?)? })
}

/// A quoted string or tokens; the outer `None` means neither.
fn display_name(name: &[u8]) -> Option<Option<Vec<u8>>> {
    let Some(inner) = name.strip_prefix(b"\"") else {
        let words_only = name.iter().all(|&b| grammar::is_token(b) || matches!(b, b' ' | b'\t') || b >= 0x80);
        return words_only.then(|| (!name.is_empty()).then(|| name.to_vec()));
    };
    let (mut text, mut bytes) = (Vec::new(), inner.iter());
    loop {
        match bytes.next()? {
            b'\\' => text.push(*bytes.next()?),
            b'"' => return bytes.next().is_none().then_some(Some(text)),
            &byte => text.push(byte),
        }
    }
}

impl fmt::Debug for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NameAddr({:?})", self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_field_are_read() {
        let quoted = NameAddr::parse(b"\"J \\\"R\\\" \xe9\" <sip:j@x.com;lr>;tag=a;x").unwrap();
        assert_eq!((quoted.display.as_deref(), quoted.tag()), (Some(&b"J \"R\" \xe9"[..]), Some("a")));
        assert_eq!(NameAddr::parse(&quoted.to_bytes()).unwrap().display, quoted.display);
        let bare = NameAddr::parse(b"sip:a@b ;  tag = 9").unwrap();
        assert_eq!((bare.uri.as_str(), bare.tag()), ("sip:a@b", Some("9")));
        assert_eq!(NameAddr::parse(b"caller<sip:a@b>").unwrap().display.as_deref(), Some(&b"caller"[..]));
    }

    #[test]
    fn garbage_is_refused() {
        for value in [
            &b""[..],
            b"<sip:a@b",
            b"\"a <sip:a@b>",
            b"Bell, A <sip:a@b>",
            b"< sip:a@b>",
            b"<sip:a@b> x",
            b"sip:a@b?R=x",
            b"<sip:a@b>;tag",
            b"<sip:a@b>;tag=\"x\"",
            b"a\"b\" <sip:a@b>",
            b"sip:a@b, sip:c@d",
        ] {
            assert!(NameAddr::parse(value).is_none(), "{value:?}");
        }
    }
}
