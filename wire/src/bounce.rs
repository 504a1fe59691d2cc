//! A caller whom a contact centre has sent to us to pay alone, and has back with what became of it.

use crate::{Extension, MerchantId, Money, NAME_LENGTH_MAX, PaymentId, name_pan_like};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the contact centre calls what is paid: an order, an account. 1 to 64 characters of letters, digits and `._-+*#`, and
/// nothing that may be a card number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(String);

/// Why a reference was refused. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a reference: expected 1 to {NAME_LENGTH_MAX} characters of letters, digits and ._-+*#, and no card number"
)]
pub struct ReferenceError;

impl Reference {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, ReferenceError> {
        let is_name = text.parse::<Extension>().is_ok();
        if is_name && !name_pan_like(&text) { Ok(Self(text)) } else { Err(ReferenceError) }
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a caller is to pay alone, said by the contact centre's system ahead of the call. The call then names it by a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BouncedOrder {
    /// The payment that it will be; its id is made by the office.
    pub payment: PaymentId,
    /// For whom.
    pub merchant: MerchantId,
    /// How much.
    pub amount: Money,
    /// What the contact centre calls it. A newer order of the same user's, merchant and reference takes this one's place.
    pub reference: Reference,
    /// The extension to go back to, if not the route's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Extension>,
    /// For how many seconds the code is good.
    pub valid_s: u32,
}

impl BouncedOrder {
    /// For how many seconds a code may be good.
    pub const VALID_S: std::ops::RangeInclusive<u32> = 30..=3600;
}

/// What names an order on a call, once. Whoever knows it can have it paid, so it is never printed and never stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCode {
    /// In a header of the INVITE, or in User-to-User.
    pub code: String,
    /// The number to dial instead, where a route that takes it has one.
    pub number: Option<String>,
}

impl fmt::Debug for OrderCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderCode(…)")
    }
}

/// What became of a bounced call's payment, in the words that the contact centre is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BounceResult {
    /// The money is authorized.
    Approved,
    /// The bank or gateway said no.
    Declined,
    /// Not known yet: the money may have moved. It is settled by asking the gateway.
    Unknown,
    /// Nothing was taken: the caller keyed no whole card, or nothing could be sent.
    Canceled,
}

impl BounceResult {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Unknown => "unknown",
            Self::Canceled => "canceled",
        }
    }
}

/// Why a bounced call was not taken. What was asked for is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BounceRefusal {
    /// It names no amount.
    NoAmount,
    /// What it asks for cannot be read, or says one thing twice.
    Malformed,
    /// The amount is not above zero, or above what the route allows.
    BadAmount,
    /// The route takes another currency.
    BadCurrency,
    /// Who calls is an extension of the agents.
    InternalCaller,
    /// It wants to go back to a number that the route does not allow.
    BadReturn,
    /// The same order, by merchant, reference and amount, is being paid, or has been, or may have been.
    Duplicate,
    /// The route takes only orders that were made by the API, and it names none.
    NotOrdered,
    /// It names an order that is not, or that this route does not take.
    UnknownCode,
    /// It names an order that another call has named before.
    CodeUsed,
    /// It names an order whose time is over.
    CodeExpired,
    /// It names an order that a newer one of the same reference has replaced.
    CodeReplaced,
    /// Who calls has named too many orders that are not.
    Locked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_name_and_no_card_number() {
        assert_eq!("INV-77.2".parse::<Reference>().unwrap().as_str(), "INV-77.2");
        for wrong in ["", "a b", "x\r\nX-Evil: 1", "4242424242424242", "R-4242424242424242", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<Reference>(), Err(ReferenceError), "{wrong}");
        }
        assert!(serde_json::from_str::<Reference>("\"4242424242424242\"").is_err(), "nor by the door");
    }

    #[test]
    fn a_code_of_an_order_is_not_printed() {
        let code = OrderCode { code: "abcd".to_owned(), number: Some("79001234".to_owned()) };
        let printed = format!("{code:?}");
        assert!(!printed.contains("abcd") && !printed.contains("1234"), "{printed}");
    }
}
