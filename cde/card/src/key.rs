//! Keys as the caller presses them.

/// A secret key: a digit from 0 to 9. Boxed, so that moving it through queues leaves no copy of it behind.
pub struct Digit(Box<u8>);

impl Digit {
    /// From its value.
    pub fn new(value: u8) -> Option<Self> {
        (value <= 9).then(|| Self(Box::new(value)))
    }

    /// Reads the value, 0 to 9.
    pub fn expose<R>(&self, read: impl FnOnce(u8) -> R) -> R {
        read(*self.0)
    }
}

impl Drop for Digit {
    fn drop(&mut self) {
        memory::wipe(std::slice::from_mut(&mut *self.0));
    }
}

/// Any key of a telephone.
pub enum Key {
    /// 0 to 9.
    Digit(Digit),
    /// `*`
    Star,
    /// `#`
    Pound,
    /// A, B, C or D: keys that no telephone of a caller has. They mean nothing to a capture.
    Letter,
}

impl Key {
    /// From an event code of RFC 4733 section 3.2 (0 to 15); anything else is no key.
    pub fn from_event(code: u8) -> Option<Self> {
        match code {
            0..=9 => Digit::new(code).map(Self::Digit),
            10 => Some(Self::Star),
            11 => Some(Self::Pound),
            12..=15 => Some(Self::Letter),
            _ => None,
        }
    }

    /// From the character that SIP INFO and people use: `0`–`9`, `*`, `#`, `A`–`D`.
    pub fn from_char(character: u8) -> Option<Self> {
        match character {
            b'0'..=b'9' => Digit::new(character - b'0').map(Self::Digit),
            b'*' => Some(Self::Star),
            b'#' => Some(Self::Pound),
            b'A'..=b'D' | b'a'..=b'd' => Some(Self::Letter),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_characters_name_the_same_keys() {
        for (code, character) in (0..=9).zip(b'0'..=b'9') {
            let value = |key: Option<Key>| match key {
                Some(Key::Digit(digit)) => digit.expose(|value| value),
                _ => 99,
            };
            assert_eq!(value(Key::from_event(code)), code);
            assert_eq!(value(Key::from_char(character)), code);
        }
        assert!(matches!(Key::from_event(10), Some(Key::Star)));
        assert!(matches!(Key::from_char(b'#'), Some(Key::Pound)));
        assert!(Key::from_event(16).is_none() && Key::from_char(b'x').is_none());
    }
}
