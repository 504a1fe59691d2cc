//! Character classes and small scanners of RFC 3261 §25.1.

/// Which bytes may stand in a token: a table, since every byte of every name is looked up.
const TOKEN: [bool; 256] = class(b"-.!%*_+`'~");

/// Letters, digits and `extra` ones.
pub(crate) const fn class(extra: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < u8::MAX {
        let mut rest = extra;
        let mut allowed = byte.is_ascii_alphanumeric();
        while let [first, tail @ ..] = rest {
            allowed = allowed || *first == byte;
            rest = tail;
        }
        set(&mut table, byte, allowed);
        byte += 1;
    }
    table
}

#[expect(clippy::as_conversions, clippy::indexing_slicing, reason = "a byte always fits a table of 256, in const too")]
const fn set(table: &mut [bool; 256], byte: u8, allowed: bool) {
    table[byte as usize] = allowed;
}

/// Whether the table allows `byte`.
pub(crate) fn is_in(table: &[bool; 256], byte: u8) -> bool {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Whether `byte` may stand in a token.
pub(crate) fn is_token(byte: u8) -> bool {
    is_in(&TOKEN, byte)
}

/// A non-empty token as text.
pub(crate) fn token(bytes: &[u8]) -> Option<&str> {
    if bytes.is_empty() || !bytes.iter().all(|&b| is_token(b)) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Spaces and tabs trimmed from both ends; folded lines were joined before.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}

/// An unsigned decimal of digits only.
pub(crate) fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Splits at the first `separator`; the second half excludes it.
pub(crate) fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&b| b == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Splits at every `separator` that stands outside quoted strings and angle brackets. `None` if either is left open.
pub(crate) fn split_outside_quotes(bytes: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let mut scan = Quoting::default();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if scan.outside(byte) && byte == separator {
            parts.push(bytes.get(start..at)?);
            start = at + 1;
        }
    }
    parts.push(bytes.get(start..)?);
    scan.closed().then_some(parts)
}

/// Whether a position in a header value lies inside a quoted string or angle brackets.
#[derive(Default)]
pub(crate) struct Quoting {
    quoted: bool,
    escaped: bool,
    angled: bool,
}

impl Quoting {
    /// Takes the next byte; true if it stands outside both, delimiters themselves excluded.
    pub(crate) fn outside(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        if self.quoted {
            self.escaped = byte == b'\\';
            self.quoted = byte != b'"';
            return false;
        }
        match byte {
            b'"' if !self.angled => self.quoted = true,
            b'<' => self.angled = true,
            b'>' => self.angled = false,
            _ => return !self.angled,
        }
        false
    }

    /// Whether everything opened was closed.
    pub(crate) fn closed(&self) -> bool {
        !self.quoted && !self.angled
    }
}
