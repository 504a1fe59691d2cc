//! The cardholder's address as far as banks compare it, and what they found.

use serde::{Deserialize, Serialize};

/// The longest house number or name.
pub const HOUSE_NUMBER_CHARS_MAX: usize = 16;
/// The longest postcode.
pub const POSTCODE_CHARS_MAX: usize = 10;

/// House number and postcode, typed by the agent. They are not card data; empty parts are not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AddressText", into = "AddressText")]
pub struct Address {
    house_number: String,
    postcode: String,
}

/// Not what banks compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a house number and postcode: expected at most {HOUSE_NUMBER_CHARS_MAX} and {POSTCODE_CHARS_MAX} characters \
     of letters, digits, spaces, - and /, and at least one of the two"
)]
pub struct AddressError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressText {
    #[serde(default)]
    house_number: String,
    #[serde(default)]
    postcode: String,
}

impl Address {
    /// From text as typed; spaces around it are cut.
    pub fn new(house_number: &str, postcode: &str) -> Result<Self, AddressError> {
        let (house_number, postcode) = (house_number.trim(), postcode.trim());
        let fits = |text: &str, chars_max: usize| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '/');
            text.len() <= chars_max && text.chars().all(allowed)
        };
        // Two short texts that hold a card number between them are not an address either.
        let together = format!("{house_number}{postcode}");
        let card = crate::text_pan_like(&together);
        let sound = fits(house_number, HOUSE_NUMBER_CHARS_MAX) && fits(postcode, POSTCODE_CHARS_MAX) && !card;
        if !sound || together.is_empty() {
            return Err(AddressError);
        }
        Ok(Self { house_number: house_number.to_owned(), postcode: postcode.to_owned() })
    }

    /// As typed; may be empty.
    pub fn house_number(&self) -> &str {
        &self.house_number
    }

    /// As typed; may be empty.
    pub fn postcode(&self) -> &str {
        &self.postcode
    }
}

impl TryFrom<AddressText> for Address {
    type Error = AddressError;
    fn try_from(text: AddressText) -> Result<Self, AddressError> {
        Self::new(&text.house_number, &text.postcode)
    }
}

impl From<Address> for AddressText {
    fn from(address: Address) -> Self {
        Self { house_number: address.house_number, postcode: address.postcode }
    }
}

/// What the cardholder's bank says of one thing that it was asked to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It is as the bank has it.
    Match,
    /// It is not.
    NoMatch,
    /// The bank had it and did not compare.
    NotChecked,
    /// The bank cannot say: it does not take part, or could not be asked.
    Unavailable,
}

/// What the cardholder's bank compared. `None`: nothing was said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checks {
    /// The house number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Check>,
    /// The postcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<Check>,
    /// The security code. Its name outside is `code`: no member that crosses the door is called after what it must not hold.
    #[serde(rename = "code", default, skip_serializing_if = "Option::is_none")]
    pub cvv: Option<Check>,
}

impl Checks {
    /// Nothing was compared.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_room_for_a_card_number() {
        assert!(Address::new("4242424242424242", "").is_err());
        assert!(Address::new("4242 4242 4242", "4242").is_err(), "not between the two either");
        assert!(Address::new("12345678901234567", "N1").is_err() && Address::new("1", "N1 2345 6789").is_err());
        assert!(Address::new("", " ").is_err() && Address::new("1\"", "N1").is_err());
        let json = r#"{"house_number":" 10a ","postcode":"SW1A 2AA"}"#;
        let address: Address = serde_json::from_str(json).unwrap();
        assert_eq!((address.house_number(), address.postcode()), ("10a", "SW1A 2AA"));
        assert!(serde_json::from_str::<Address>(r#"{"house_number":"1","street":"x"}"#).is_err());
    }
}
