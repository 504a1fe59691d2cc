//! The digits of one field while the caller keys them.

use crate::Digit;
use memory::{Exhausted, Slot};
use wire::Brand;
use wire::brand::PAN_LENGTH_MAX;

/// The most digits that are kept; a card number has no more.
pub const KEYED_MAX: usize = PAN_LENGTH_MAX;

/// Digits in locked memory, as ASCII, with their count.
pub struct Keyed {
    slot: Slot,
    length: usize,
}

impl Keyed {
    /// An empty field.
    pub fn new() -> Result<Self, Exhausted> {
        Ok(Self { slot: Slot::take()?, length: 0 })
    }

    /// Adds a digit; false when there is no room (the field is then too long to be anything).
    #[must_use]
    pub fn push(&mut self, digit: &Digit) -> bool {
        let length = self.length;
        let fits = length < KEYED_MAX;
        if fits {
            self.slot.expose_mut(|bytes| {
                if let Some(place) = bytes.get_mut(length) {
                    *place = digit.expose(|value| b'0' + value);
                }
            });
            self.length += 1;
        }
        fits
    }

    /// Takes the last digit back; false when there is none.
    pub fn erase(&mut self) -> bool {
        let Some(length) = self.length.checked_sub(1) else { return false };
        self.length = length;
        self.slot.expose_mut(|bytes| {
            if let Some(place) = bytes.get_mut(length) {
                memory::wipe(std::slice::from_mut(place));
            }
        });
        true
    }

    /// Wipes all digits.
    pub fn clear(&mut self) {
        self.length = 0;
        self.slot.expose_mut(|bytes| memory::wipe(bytes));
    }

    /// How many digits.
    pub fn len(&self) -> usize {
        self.length
    }

    /// None keyed?
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The brand that the digits so far tell.
    pub fn brand(&self) -> Option<Brand> {
        self.expose(Brand::of)
    }

    /// Reads the ASCII digits.
    pub(crate) fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.slot.expose(|bytes| read(bytes.get(..self.length).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(text: &str) -> Keyed {
        crate::pan::tests::keyed(text)
    }

    #[test]
    fn digits_are_added_and_erased() {
        let mut field = keyed("123");
        assert!(field.erase());
        assert_eq!(field.expose(<[u8]>::to_vec), b"12");
        field.clear();
        assert!(field.is_empty() && !field.erase());
    }

    #[test]
    fn more_digits_than_any_card_has_are_refused() {
        let mut field = keyed("1234567890123456789");
        assert!(!field.push(&Digit::new(1).unwrap()));
        assert_eq!(field.len(), KEYED_MAX);
    }

    #[test]
    fn the_brand_shows_with_the_first_digits() {
        assert_eq!(keyed("4").brand(), Some(Brand::Visa));
        assert_eq!(keyed("37").brand(), Some(Brand::Amex));
        assert_eq!(keyed("").brand(), None);
    }
}
