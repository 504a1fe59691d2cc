//! What may be said of a card: its brand, last four digits and expiry.

use crate::Brand;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The last four digits of a card number, the most that PCI DSS 3.4.1 lets an agent see by default.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Last4([u8; 4]);

/// Not four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the last four of a card: expected exactly four digits")]
pub struct Last4Error;

impl Last4 {
    /// From four ASCII digits.
    pub fn new(digits: [u8; 4]) -> Result<Self, Last4Error> {
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self(digits)) } else { Err(Last4Error) }
    }
}

impl TryFrom<String> for Last4 {
    type Error = Last4Error;
    fn try_from(text: String) -> Result<Self, Last4Error> {
        Self::new(text.as_bytes().try_into().map_err(|_| Last4Error)?)
    }
}

impl From<Last4> for String {
    fn from(last4: Last4) -> String {
        last4.to_string()
    }
}

impl fmt::Display for Last4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&b| write!(f, "{}", char::from(b)))
    }
}

impl fmt::Debug for Last4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Month and year of expiry, which PCI DSS lets be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExpiryView {
    /// 1 to 12.
    pub month: u8,
    /// Four digits.
    pub year: u16,
}

/// All that anybody outside the cde learns of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CardView {
    /// The scheme.
    pub brand: Brand,
    /// The last four digits.
    pub last4: Last4,
    /// Month and year of expiry.
    pub expiry: Option<ExpiryView>,
}

/// A field that the caller keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The card number.
    Pan,
    /// Month and year.
    Expiry,
    /// The security code.
    Cvv,
}

/// Not a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a field: expected pan, expiry or cvv")]
pub struct FieldError;

impl std::str::FromStr for Field {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text {
            "pan" => Ok(Self::Pan),
            "expiry" => Ok(Self::Expiry),
            "cvv" => Ok(Self::Cvv),
            _ => Err(FieldError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_four_is_exactly_four_digits() {
        assert_eq!(serde_json::from_str::<Last4>("\"4242\"").unwrap().to_string(), "4242");
        assert!(serde_json::from_str::<Last4>("\"424\"").is_err());
        assert!(serde_json::from_str::<Last4>("\"42424\"").is_err());
        assert!(serde_json::from_str::<Last4>("\"42a2\"").is_err());
    }
}
