//! The card number.

use crate::Keyed;
use memory::{Exhausted, Slot};
use wire::{Brand, Last4, RejectReason, luhn_valid};

/// A valid card number: known brand, a length the brand has, right check digit.
pub struct Pan {
    slot: Slot,
    length: usize,
    brand: Brand,
    last4: Last4,
}

/// Why digits are not a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PanError {
    /// What the agent may be told.
    #[error("not a card number: {0:?}")]
    Rejected(RejectReason),
    /// No locked memory.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

impl Pan {
    /// Reads the digits as a card number.
    pub fn parse(keyed: &Keyed) -> Result<Self, PanError> {
        let mut slot = Slot::take()?;
        let (length, brand, last4) = keyed.expose(|digits| {
            let (brand, last4) = check(digits).map_err(PanError::Rejected)?;
            slot.expose_mut(|bytes| bytes.iter_mut().zip(digits).for_each(|(to, from)| *to = *from));
            Ok::<_, PanError>((digits.len(), brand, last4))
        })?;
        Ok(Self { slot, length, brand, last4 })
    }

    /// The number once more, in a slot of its own.
    pub(crate) fn again(&self) -> Result<Self, Exhausted> {
        let mut slot = Slot::take()?;
        self.slot.expose(|digits| slot.expose_mut(|bytes| bytes.copy_from_slice(digits)));
        Ok(Self { slot, ..*self })
    }

    /// The scheme.
    pub fn brand(&self) -> Brand {
        self.brand
    }

    /// The last four digits, which may be shown.
    pub fn last4(&self) -> Last4 {
        self.last4
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

fn check(digits: &[u8]) -> Result<(Brand, Last4), RejectReason> {
    let brand = Brand::of(digits).ok_or(RejectReason::UnknownBrand)?;
    if !brand.facts().lengths.contains(&digits.len()) {
        return Err(RejectReason::Length);
    }
    if !luhn_valid(digits) {
        return Err(RejectReason::CheckDigit);
    }
    let last4 = digits.last_chunk::<4>().and_then(|last| Last4::new(*last).ok()).ok_or(RejectReason::Length)?;
    Ok((brand, last4))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Digit;

    pub(crate) fn keyed(text: &str) -> Keyed {
        let mut field = Keyed::new().unwrap();
        for byte in text.bytes() {
            assert!(field.push(&Digit::new(byte - b'0').unwrap()));
        }
        field
    }

    fn reason(text: &str) -> RejectReason {
        match Pan::parse(&keyed(text)) {
            Err(PanError::Rejected(reason)) => reason,
            _ => panic!("accepted"),
        }
    }

    #[test]
    fn a_test_card_is_read() {
        let pan = Pan::parse(&keyed("4242424242424242")).ok().unwrap();
        assert_eq!((pan.brand(), pan.last4().to_string(), pan.length()), (Brand::Visa, "4242".to_owned(), 16));
        assert!(pan.expose(|digits| digits == b"4242424242424242"));
    }

    #[test]
    fn every_mistake_has_its_reason() {
        assert_eq!(reason("4242424242424241"), RejectReason::CheckDigit);
        assert_eq!(reason("424242424242424"), RejectReason::Length);
        assert_eq!(reason("9999999999999995"), RejectReason::UnknownBrand);
        assert_eq!(reason(""), RejectReason::UnknownBrand);
    }
}
