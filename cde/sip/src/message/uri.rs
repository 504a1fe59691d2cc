//! SIP, SIPS and TEL URIs (RFC 3261 §19.1, RFC 3966); other schemes are kept as text.

use std::{fmt, net::IpAddr, ops::Range, str::FromStr};

use thiserror::Error;

use super::grammar;

/// A URI that passed the strict parser. Debug shows the scheme alone: user parts are phone numbers, codes and passwords.
#[derive(Clone)]
pub struct Uri {
    text: String,
    scheme: Scheme,
    user: Option<Range<usize>>,
    host: Range<usize>,
    port: Option<u16>,
    params: Range<usize>,
    headers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Sip,
    Sips,
    Tel,
    Other,
}

/// The text is no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a valid URI")]
pub struct UriError;

impl Uri {
    /// A `sip:` URI of parts, as for a Contact or a route's target.
    ///
    /// # Errors
    /// If the user holds what must be escaped in a URI.
    pub fn sip(user: Option<&str>, host: std::net::SocketAddr) -> Result<Self, UriError> {
        match user {
            Some(user) => format!("sip:{user}@{host}").parse(),
            None => format!("sip:{host}").parse(),
        }
    }

    /// The same at a domain, or at an address without a port.
    ///
    /// # Errors
    /// If the user holds what must be escaped in a URI, or the domain is none.
    pub fn sip_at(user: Option<&str>, domain: &str) -> Result<Self, UriError> {
        match user {
            Some(user) => format!("sip:{user}@{domain}").parse(),
            None => format!("sip:{domain}").parse(),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, UriError> {
        std::str::from_utf8(bytes).map_err(|_| UriError)?.parse()
    }

    /// The whole URI, for the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is `sip`.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        self.scheme == Scheme::Sip
    }

    /// Whether the scheme is `sips`.
    #[must_use]
    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// Whether the scheme is `tel`.
    #[must_use]
    pub fn is_tel(&self) -> bool {
        self.scheme == Scheme::Tel
    }

    /// The user part without its password, escapes as received; a TEL URI's number.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        let user = self.text.get(self.user.clone()?)?;
        Some(user.split_once(':').map_or(user, |(name, _)| name))
    }

    /// The host as written, an IPv6 address in brackets; empty where the scheme has none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text.get(self.host.clone()).unwrap_or_default()
    }

    /// The host as an address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The port, if one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value of a URI parameter: `Some("")` if it stands without one.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let params = self.text.get(self.params.clone())?;
        params.split(';').skip(1).find_map(|param| {
            let (key, value) = param.split_once('=').unwrap_or((param, ""));
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The value of one of the URI's headers, its escapes resolved (RFC 3261 §19.1.1).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        // The user part may hold a question mark of its own.
        let (_, headers) = self.text.get(self.host.end..)?.split_once('?')?;
        let mut headers = headers.split('&').filter_map(|header| header.split_once('='));
        headers.find(|(own, _)| own.eq_ignore_ascii_case(name)).and_then(|(_, value)| unescape(value))
    }

    /// Whether the URI carries headers (`?`), which a Request-URI must not.
    #[must_use]
    pub fn has_headers(&self) -> bool {
        self.headers
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError)?;
        let valid_scheme = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !valid_scheme || rest.is_empty() {
            return Err(UriError);
        }
        if scheme.eq_ignore_ascii_case("sip") {
            return parse_sip(text, Scheme::Sip);
        }
        if scheme.eq_ignore_ascii_case("sips") {
            return parse_sip(text, Scheme::Sips);
        }
        parse_opaque(text, scheme.eq_ignore_ascii_case("tel"))
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

fn parse_opaque(text: &str, tel: bool) -> Result<Uri, UriError> {
    let start = text.find(':').ok_or(UriError)? + 1;
    let rest = text.get(start..).ok_or(UriError)?;
    if !rest.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b)) {
        return Err(UriError);
    }
    let end = rest.find(';').map_or(text.len(), |at| start + at);
    Ok(Uri {
        text: text.to_owned(),
        scheme: if tel { Scheme::Tel } else { Scheme::Other },
        user: tel.then_some(start..end),
        host: start..start,
        port: None,
        params: end..text.len(),
        headers: false,
    })
}

fn parse_sip(text: &str, scheme: Scheme) -> Result<Uri, UriError> {
    let start = text.find(':').ok_or(UriError)? + 1;
    let body = text.get(start..).ok_or(UriError)?;
    // An '@' cannot stand unescaped after the user part, nor a ';' or '?' in a host: the first '@' ends the user.
    let user = body.find('@').map(|at| start..start + at);
    let host_start = user.as_ref().map_or(start, |range| range.end + 1);
    if let Some(range) = &user {
        check_user(text.get(range.clone()).unwrap_or_default())?;
    }
    let tail = text.get(host_start..).ok_or(UriError)?;
    let headers_at = tail.find('?').unwrap_or(tail.len());
    let params_at = tail.find([';', '?']).unwrap_or(tail.len());
    let (host_len, port) = host_port(tail.get(..params_at).unwrap_or_default())?;
    let params = tail.get(params_at..headers_at).unwrap_or_default();
    check_params(params)?;
    check_headers(tail.get(headers_at..).unwrap_or_default())?;
    Ok(Uri {
        text: text.to_owned(),
        scheme,
        user,
        host: host_start..host_start + host_len,
        port,
        params: host_start + params_at..host_start + headers_at,
        headers: headers_at < tail.len(),
    })
}

fn check_user(user: &str) -> Result<(), UriError> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let valid = !name.is_empty() && escaped(name, &USER) && escaped(password, &PASSWORD);
    if valid { Ok(()) } else { Err(UriError) }
}

fn check_params(params: &str) -> Result<(), UriError> {
    let valid = params.split(';').skip(1).all(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, "x"));
        !name.is_empty() && !value.is_empty() && escaped(name, &PARAM) && escaped(value, &PARAM)
    });
    if valid { Ok(()) } else { Err(UriError) }
}

fn check_headers(headers: &str) -> Result<(), UriError> {
    let Some(list) = headers.strip_prefix('?') else { return Ok(()) };
    let valid = list.split('&').all(|header| {
        let (name, value) = header.split_once('=').unwrap_or(("", ""));
        !name.is_empty() && escaped(name, &HEADER) && escaped(value, &HEADER)
    });
    if valid { Ok(()) } else { Err(UriError) }
}

/// Unreserved characters and those each part adds (RFC 3261 §25.1).
const USER: [bool; 256] = grammar::class(b"-_.!~*'()&=+$,;?/");
const PASSWORD: [bool; 256] = grammar::class(b"-_.!~*'()&=+$,");
const PARAM: [bool; 256] = grammar::class(b"-_.!~*'()[]/:&+$");
const HEADER: [bool; 256] = grammar::class(b"-_.!~*'()[]/?:+$");

/// Whether `text` is made of the allowed characters and `%HH` escapes.
fn escaped(text: &str, allowed: &[bool; 256]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let valid = match byte {
            b'%' => [bytes.next(), bytes.next()].iter().all(|b| b.is_some_and(|b| b.is_ascii_hexdigit())),
            _ => grammar::is_in(allowed, byte),
        };
        if !valid {
            return false;
        }
    }
    true
}

/// Reads `host [":" port]` that fills all of `text`; gives the host's length.
pub(super) fn host_port(text: &str) -> Result<(usize, Option<u16>), UriError> {
    let host_len = match text.find(']') {
        Some(end) if text.starts_with('[') => end + 1,
        _ => text.find(':').unwrap_or(text.len()),
    };
    let host = text.get(..host_len).ok_or(UriError)?;
    if !is_host(host) {
        return Err(UriError);
    }
    match text.get(host_len..).unwrap_or_default() {
        "" => Ok((host_len, None)),
        port => {
            let digits = port.strip_prefix(':').ok_or(UriError)?;
            Ok((host_len, Some(grammar::number(digits.as_bytes()).ok_or(UriError)?)))
        }
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    }
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({:?})", self.scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_read() {
        let read = uri("sip:+4420;phone-context=x:secret@[2001:db8::10]:5070;transport=udp;lr?Route=%3Ca%3E");
        assert_eq!(read.user(), Some("+4420;phone-context=x"));
        assert_eq!((read.host(), read.port()), ("[2001:db8::10]", Some(5070)));
        assert_eq!((read.param("Transport"), read.param("lr"), read.param("maddr")), (Some("udp"), Some(""), None));
        assert!(read.has_headers() && read.ip().is_some());
        assert_eq!(uri("tel:+441;ext=2").user(), Some("+441"));
    }

    #[test]
    fn garbage_is_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            "sip:@host",
            "sip:a@",
            "sip:a b@host",
            "sip:a@ho st",
            "sip:a%4@host",
            "sip:a@host:",
            "sip:a@host:99999",
            "sip:a@host;=x",
            "sip:a@host;",
            "sip:a@host?x",
            "<sip:a@host>",
            "sip:2001:db8::10",
            "sip:[::1",
            "1sip:a@b",
            "sip:a@b@c",
            "tel:\"1\"",
            "sip:a\u{e9}@host",
        ] {
            assert!(text.parse::<Uri>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_keeps_codes_and_passwords_to_itself() {
        assert_eq!(format!("{:?}", uri("sip:secure-4711:pass@host")), "Uri(Sip)");
    }
}
