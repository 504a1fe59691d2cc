//! Header parameters: `;name=value` (RFC 3261 §25.1 `generic-param`).

use super::grammar;

/// The parameters behind a header value, kept as received and looked up by name.
#[derive(Clone, Default)]
pub struct Params(Vec<u8>);

impl Params {
    /// Reads `*( SEMI generic-param )`, which must fill all of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = grammar::trim(bytes);
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let mut parts = grammar::split_outside_quotes(bytes, b';')?.into_iter();
        if !grammar::trim(parts.next()?).is_empty() {
            return None;
        }
        let mut params = Self::default();
        for part in parts {
            let (name, value) = split(part);
            let name = grammar::token(name)?;
            match value {
                Some(value) if !is_value(value) => return None,
                value => params.push(name, value),
            }
        }
        Some(params)
    }

    /// The value of `name`: `Some(None)` if it stands without one. Quotes are kept.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Option<&[u8]>> {
        let parts = grammar::split_outside_quotes(&self.0, b';')?;
        parts.into_iter().skip(1).map(split).find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|p| p.1)
    }

    /// The value of `name` as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.find(name)??).ok()
    }

    /// Appends a parameter whose name and value are known to be valid.
    pub(crate) fn push(&mut self, name: &str, value: Option<&[u8]>) {
        self.0.push(b';');
        self.0.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            self.0.push(b'=');
            self.0.extend_from_slice(value);
        }
    }

    /// The same parameters without `name`.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut kept = Self::default();
        for part in grammar::split_outside_quotes(&self.0, b';').unwrap_or_default().into_iter().skip(1) {
            if !split(part).0.eq_ignore_ascii_case(name.as_bytes()) {
                kept.0.push(b';');
                kept.0.extend_from_slice(part);
            }
        }
        kept
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn split(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match grammar::split_once(part, b'=') {
        Some((name, value)) => (grammar::trim(name), Some(grammar::trim(value))),
        None => (grammar::trim(part), None),
    }
}

/// A token, a host (IPv6 in brackets or bare, as RFC 5118 §4.5 asks to accept) or a quoted string.
fn is_value(value: &[u8]) -> bool {
    if let Some(inner) = value.strip_prefix(b"\"") {
        return closes_at_end(inner);
    }
    !value.is_empty() && value.iter().all(|&b| grammar::is_token(b) || b"[]:".contains(&b))
}

/// Whether the closing quote is the last byte.
fn closes_at_end(inner: &[u8]) -> bool {
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return bytes.next().is_none(),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_without_regard_to_case_or_blanks() {
        let params = Params::parse(b" ; Tag = a1 ;q=\"x;\\\"y\";lr; received=2001:db8::1").unwrap();
        assert_eq!(params.text("tag"), Some("a1"));
        assert_eq!(params.find("lr"), Some(None));
        assert_eq!(params.text("Q"), Some("\"x;\\\"y\""));
        assert_eq!(params.text("received"), Some("2001:db8::1"));
        assert_eq!(params.without("TAG").as_bytes(), b";q=\"x;\\\"y\";lr;received=2001:db8::1");
    }

    #[test]
    fn garbage_is_refused() {
        for bytes in [&b";;"[..], b";", b"x", b";=1", b";a=", b";a=\"b", b";a=b c", b";a=\"b\"c", b";a,b"] {
            assert!(Params::parse(bytes).is_none(), "{bytes:?}");
        }
    }
}
