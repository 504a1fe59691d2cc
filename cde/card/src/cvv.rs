//! The security code. It is never stored and moves once, into one authorization.

use crate::Keyed;
use memory::{Exhausted, Slot};
use wire::{Brand, RejectReason};

/// A security code of the right length for its brand.
pub struct Cvv {
    slot: Slot,
    length: usize,
}

/// Why digits are not a security code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CvvError {
    /// What the agent may be told.
    #[error("not a security code: {0:?}")]
    Rejected(RejectReason),
    /// No locked memory.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// Digits of the code for a brand; three or four while the brand is not known.
pub fn lengths(brand: Option<Brand>) -> std::ops::RangeInclusive<usize> {
    brand.map_or(3..=4, |brand| brand.facts().cvv_length..=brand.facts().cvv_length)
}

impl Cvv {
    /// Reads the digits as a code of this brand.
    pub fn parse(keyed: &Keyed, brand: Option<Brand>) -> Result<Self, CvvError> {
        if !lengths(brand).contains(&keyed.len()) {
            return Err(CvvError::Rejected(RejectReason::Length));
        }
        let mut slot = Slot::take()?;
        keyed.expose(|digits| {
            slot.expose_mut(|bytes| bytes.iter_mut().zip(digits).for_each(|(to, from)| *to = *from));
        });
        Ok(Self { slot, length: keyed.len() })
    }

    /// How many digits.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Reads the ASCII digits.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.slot.expose(|bytes| read(bytes.get(..self.length).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pan::tests::keyed;

    #[test]
    fn the_length_follows_the_brand() {
        assert!(Cvv::parse(&keyed("123"), Some(Brand::Visa)).is_ok());
        assert!(Cvv::parse(&keyed("1234"), Some(Brand::Amex)).is_ok());
        assert!(Cvv::parse(&keyed("123"), Some(Brand::Amex)).is_err());
        assert!(Cvv::parse(&keyed("12"), None).is_err());
        assert!(Cvv::parse(&keyed("1234"), None).is_ok());
    }
}
