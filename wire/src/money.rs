//! Money in minor units, with the currency's own number of decimals (ISO 4217).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A currency of ISO 4217 that has minor units defined.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// Not a currency that money can be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a currency: expected a three-letter code of ISO 4217 with minor units, such as GBP")]
pub struct CurrencyError;

impl Currency {
    /// The pound sterling.
    pub const GBP: Self = Self(iso_currency::Currency::GBP);
    /// The euro.
    pub const EUR: Self = Self(iso_currency::Currency::EUR);
    /// The United States dollar.
    pub const USD: Self = Self(iso_currency::Currency::USD);

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point: 2 for GBP, 0 for JPY, 3 for BHD.
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl std::str::FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let currency = iso_currency::Currency::from_code(text).ok_or(CurrencyError)?;
        if currency.exponent().is_some() { Ok(Self(currency)) } else { Err(CurrencyError) }
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;
    fn try_from(text: String) -> Result<Self, CurrencyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in minor units: 4200 GBP is £42.00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units (pence, cents).
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// The largest amount that one payment may ask: ten digits of minor units, as card networks carry (ISO 8583 field 4
/// has twelve; nobody keys more than ten on purpose).
pub const PAYMENT_MINOR_MAX: i64 = 9_999_999_999;

impl Money {
    /// An amount a payment may ask for: above zero and not absurd.
    pub fn payable(self) -> bool {
        (1..=PAYMENT_MINOR_MAX).contains(&self.minor)
    }
}

/// The amount as `42.00 GBP`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.decimals();
        let unit = 10_u64.pow(decimals);
        let (sign, minor) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        match usize::try_from(decimals) {
            Ok(0) | Err(_) => write!(f, "{sign}{minor} {}", self.currency.code()),
            Ok(width) => write!(f, "{sign}{}.{:0width$} {}", minor / unit, minor % unit, self.currency.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_follow_the_currency() {
        let show = |minor, code: &str| Money { minor, currency: code.parse().unwrap() }.to_string();
        assert_eq!(show(4205, "GBP"), "42.05 GBP");
        assert_eq!(show(4205, "JPY"), "4205 JPY");
        assert_eq!(show(-4205, "BHD"), "-4.205 BHD");
    }

    #[test]
    fn currencies_without_minor_units_are_refused() {
        assert!("XAU".parse::<Currency>().is_err());
        assert!("gbp".parse::<Currency>().is_err());
        assert!(serde_json::from_str::<Money>(r#"{"minor":1,"currency":"ZZZ"}"#).is_err());
    }

    #[test]
    fn only_sensible_amounts_are_payable() {
        let pounds = |minor| Money { minor, currency: Currency::GBP };
        assert!(pounds(1).payable() && pounds(PAYMENT_MINOR_MAX).payable());
        assert!(!pounds(0).payable() && !pounds(-1).payable() && !pounds(PAYMENT_MINOR_MAX + 1).payable());
    }
}
