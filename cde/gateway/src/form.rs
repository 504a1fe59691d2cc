//! Bodies of `application/x-www-form-urlencoded`. Names are ours and are written as they are, brackets too, as the
//! gateway's own documentation writes them.

use crate::http::Body;
use crate::number::write_number;
use std::fmt::Write as _;

/// A form that holds a card: written straight into its last place.
pub(crate) struct CardForm {
    body: Body,
}

impl CardForm {
    /// Room for this many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self { body: Body::with_room(bytes) }
    }

    /// A field of digits or letters, which need no escape.
    pub(crate) fn digits(&mut self, name: &str, digits: &[u8]) {
        self.name(name);
        self.body.write(digits);
    }

    /// A number without leading zeros.
    pub(crate) fn number(&mut self, name: &str, number: u16) {
        self.name(name);
        write_number(&mut self.body, number, 1);
    }

    /// A field of any text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.body.write(escape(text).as_bytes());
    }

    fn name(&mut self, name: &str) {
        if !self.body.is_empty() {
            self.body.write(b"&");
        }
        self.body.write(name.as_bytes());
        self.body.write(b"=");
    }

    /// The whole.
    pub(crate) fn done(self) -> Body {
        self.body
    }
}

/// A form without a card.
pub(crate) fn fields(fields: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        let and = if form.is_empty() { "" } else { "&" };
        // Writing to a string does not fail.
        let _ = write!(form, "{and}{name}={}", escape(value));
    }
    form
}

/// Percent-encoded but for letters, digits and `-_.`; the braces of a [`Plan`](crate::plan::Plan)'s gaps stay too.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'{' | b'}' => {
                escaped.push(char::from(byte))
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_field() {
        assert_eq!(fields(&[("a[b]", "1&c=2"), ("d", "ü +#")]), "a[b]=1%26c%3D2&d=%C3%BC%20%2B%23");
        let mut form = CardForm::with_room(64);
        form.digits("n", b"12");
        form.text("p", "SW1A 2AA");
        assert!(form.done().expose(|bytes| bytes == b"n=12&p=SW1A%202AA"));
    }
}
