//! Keys in SIP INFO: `application/dtmf-relay` (`Signal=5`, `Duration=160`) and `application/dtmf` (`5`).

use sip::Body;

/// A key as an INFO brought it. Not printable.
pub(crate) struct InfoKey {
    /// The key's character.
    pub(crate) key: u8,
    /// How long it was pressed, if said.
    pub(crate) duration_ms: Option<u32>,
}

/// Is this a content type that carries keys?
pub(crate) fn carries_keys(content_type: Option<&str>) -> bool {
    kind(content_type).is_some()
}

enum Kind {
    Relay,
    Plain,
}

fn kind(content_type: Option<&str>) -> Option<Kind> {
    let name = content_type?.split(';').next()?.trim();
    if name.eq_ignore_ascii_case("application/dtmf-relay") {
        Some(Kind::Relay)
    } else {
        name.eq_ignore_ascii_case("application/dtmf").then_some(Kind::Plain)
    }
}

/// Reads the key; `None` when there is none that a telephone has.
pub(crate) fn parse(content_type: Option<&str>, body: &Body) -> Option<InfoKey> {
    let text = std::str::from_utf8(body.as_bytes()).ok()?;
    match kind(content_type)? {
        Kind::Plain => Some(InfoKey { key: signal(text)?, duration_ms: None }),
        Kind::Relay => {
            let value = |name: &str| {
                text.lines()
                    .filter_map(|line| line.split_once('='))
                    .find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then_some(value.trim()))
            };
            let duration_ms = value("duration").and_then(|value| value.parse().ok());
            Some(InfoKey { key: signal(value("signal")?)?, duration_ms })
        }
    }
}

/// One character, or the event numbers 10 and 11 that some gateways send for `*` and `#`.
fn signal(text: &str) -> Option<u8> {
    match text.trim().as_bytes() {
        b"10" => Some(b'*'),
        b"11" => Some(b'#'),
        [key @ (b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D' | b'a'..=b'd')] => Some(*key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(content_type: &str, body: &str) -> Option<(u8, Option<u32>)> {
        parse(Some(content_type), &Body::from(body.as_bytes())).map(|info| (info.key, info.duration_ms))
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(key("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), Some((b'5', Some(160))));
        assert_eq!(key("Application/DTMF-Relay; x=y", "Signal= 10\r\n"), Some((b'*', None)));
        assert_eq!(key("application/dtmf", "#"), Some((b'#', None)));
    }

    #[test]
    fn anything_else_is_no_key() {
        assert_eq!(key("application/dtmf", "55"), None);
        assert_eq!(key("application/dtmf-relay", "Duration=160"), None);
        assert_eq!(key("text/plain", "5"), None);
        assert!(!carries_keys(None) && carries_keys(Some("application/dtmf")));
    }
}
