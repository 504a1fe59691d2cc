//! The opening handshake (RFC 6455 §4.2, RFC 7118 §4.1).

use super::SUBPROTOCOL;
use crate::sdp::base64;
use aws_lc_rs::digest;

/// The longest request that is read.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The most lines of it.
const LINES_MAX: usize = 64;
/// What the key is joined with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Sixteen bytes in base64.
const KEY_LENGTH: usize = 24;

/// A handshake that can be answered.
#[derive(Debug)]
pub struct Opening {
    key: String,
    origin: Option<String>,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no request of HTTP/1.1, or says a thing twice or not at all.
    Malformed,
    /// It is one that asks for something else, as a person does who opens the address as a page.
    NoWebSocket,
    /// Of another version than 13.
    Version,
    /// It does not offer to speak SIP.
    Subprotocol,
    /// It is of a page that is not allowed to.
    Origin,
}

/// Reads a request, up to the empty line behind its headers and with it.
///
/// # Errors
/// Why it is refused.
pub fn opening(head: &[u8]) -> Result<Opening, Refused> {
    let text = std::str::from_utf8(head).map_err(|_| Refused::Malformed)?;
    let mut lines = text.strip_suffix("\r\n\r\n").ok_or(Refused::Malformed)?.split("\r\n");
    let request: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let ["GET", _, "HTTP/1.1"] = request.as_slice() else { return Err(Refused::Malformed) };
    let headers: Vec<(&str, &str)> = lines.map(header).collect::<Option<_>>().ok_or(Refused::Malformed)?;
    if headers.len() > LINES_MAX {
        return Err(Refused::Malformed);
    }
    let headers = Headers(headers);
    if !headers.lists("Upgrade", "websocket") || !headers.lists("Connection", "Upgrade") {
        return Err(Refused::NoWebSocket);
    }
    if headers.once("Sec-WebSocket-Version")? != Some("13") {
        return Err(Refused::Version);
    }
    if !headers.lists("Sec-WebSocket-Protocol", SUBPROTOCOL) {
        return Err(Refused::Subprotocol);
    }
    let is_key = |key: &&str| key.len() == KEY_LENGTH && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = headers.once("Sec-WebSocket-Key")?.filter(is_key).ok_or(Refused::Malformed)?.to_owned();
    headers.once("Host")?.ok_or(Refused::Malformed)?;
    Ok(Opening { key, origin: headers.once("Origin")?.map(str::to_owned) })
}

impl Opening {
    /// The page that asks, as the browser says (RFC 6454): `https://desk.example.com`. Programs need not say it.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// What is sent before the first frame.
    #[must_use]
    pub fn answer(&self) -> Vec<u8> {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[self.key.as_bytes(), GUID].concat());
        let accept = base64(hash.as_ref());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
            *accept
        )
        .into_bytes()
    }
}

impl Refused {
    /// What is sent before the connection is closed.
    #[must_use]
    pub fn answer(self) -> Vec<u8> {
        let (status, more, text) = match self {
            Self::Malformed => ("400 Bad Request", "", "This is no request that can be read."),
            Self::NoWebSocket => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\n",
                "Here is SIP over WebSocket (RFC 7118), for the telephone of a web page; there is no page to see.",
            ),
            Self::Version => {
                ("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "Expected version 13.")
            }
            Self::Subprotocol => ("400 Bad Request", "", "Expected Sec-WebSocket-Protocol: sip."),
            Self::Origin => ("403 Forbidden", "", "This page is not in ws_origins of the configuration."),
        };
        let length = text.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{more}Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Length: {length}\r\n\r\n{text}\n"
        )
        .into_bytes()
    }
}

fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let is_clean = !value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t');
    (is_name && is_clean).then_some((name, value.trim()))
}

struct Headers<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Headers<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// A header that stands there once, or not at all.
    fn once(&self, name: &'static str) -> Result<Option<&'a str>, Refused> {
        let mut all = self.all(name);
        let first = all.next();
        if all.next().is_some() { Err(Refused::Malformed) } else { Ok(first) }
    }

    fn lists(&self, name: &'static str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §1.3, with RFC 7118's subprotocol.
    const HEAD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
                        Sec-WebSocket-Protocol: chat, sip\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn refused(from: &str, to: &str) -> Result<(), Refused> {
        let changed = HEAD.replace(from, to);
        assert_ne!(changed, HEAD);
        opening(changed.as_bytes()).map(drop)
    }

    #[test]
    fn the_rfcs_example_is_answered_as_it_has_it() {
        let opening = opening(HEAD.as_bytes()).unwrap();
        assert_eq!(opening.origin(), Some("http://example.com"));
        let answer = String::from_utf8(opening.answer()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.ends_with("\r\nSec-WebSocket-Protocol: sip\r\n\r\n"), "{answer}");
    }

    #[test]
    fn what_is_no_such_handshake_is_refused_with_its_reason() {
        assert_eq!(refused("chat, sip", "chat"), Err(Refused::Subprotocol));
        assert_eq!(refused("Version: 13", "Version: 8"), Err(Refused::Version));
        assert_eq!(refused("Upgrade: websocket\r\n", ""), Err(Refused::NoWebSocket));
        assert_eq!(refused("keep-alive, Upgrade", "keep-alive"), Err(Refused::NoWebSocket));
        assert_eq!(refused("GET", "POST"), Err(Refused::Malformed));
        assert_eq!(refused("HTTP/1.1", "HTTP/1.0"), Err(Refused::Malformed));
        assert_eq!(refused("ZQ==", "ZQ="), Err(Refused::Malformed));
        assert_eq!(refused("Host: server.example.com\r\n", ""), Err(Refused::Malformed));
        assert_eq!(refused("Origin: http", "Origin: a\r\nOrigin: http"), Err(Refused::Malformed), "two pages at once");
        assert_eq!(refused("Host:", "Host"), Err(Refused::Malformed));
        assert_eq!(opening(b"GET / HTTP/1.1\r\n").map(drop), Err(Refused::Malformed));
        assert_eq!(refused("Origin: http://example.com\r\n", ""), Ok(()), "a program has no page");
        let many = format!("X-A: 1\r\n{}", "X-B: 2\r\n".repeat(LINES_MAX));
        assert_eq!(refused("Host:", &format!("{many}Host:")), Err(Refused::Malformed));
    }

    #[test]
    fn a_refusal_says_what_is_expected() {
        for refused in
            [Refused::Malformed, Refused::NoWebSocket, Refused::Version, Refused::Subprotocol, Refused::Origin]
        {
            let answer = String::from_utf8(refused.answer()).unwrap();
            let (head, text) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", text.len())), "{answer}");
        }
    }
}
