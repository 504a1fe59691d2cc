//! Bodies of JSON that hold a card.

use crate::http::Body;
use crate::number::write_number;
use card::Card;

/// The names that a gateway gives to a card's fields.
pub(crate) struct Names {
    pub(crate) number: &'static str,
    pub(crate) month: &'static str,
    pub(crate) year: &'static str,
    /// Of the year: 2 or 4.
    pub(crate) year_digits: u16,
    pub(crate) cvv: &'static str,
}

/// Room for the card's fields: names, a number of 19 digits, a date, a security code of four.
const CARD_BYTES_MAX: usize = 192;

/// `before`, the card's fields as strings, `after`: written straight into its last place, since a serializer's buffers
/// would keep copies of the card.
pub(crate) fn with_card(before: &str, names: &Names, card: &Card, after: &str) -> Body {
    let mut body = Body::with_room(before.len() + CARD_BYTES_MAX + after.len());
    body.write(before.as_bytes());
    let name = |body: &mut Body, comma: &str, name: &str| {
        for part in [comma, "\"", name, "\":\""] {
            body.write(part.as_bytes());
        }
    };
    name(&mut body, "", names.number);
    card.pan.expose(|digits| body.write(digits));
    card.expiry.expose(|date| {
        name(&mut body, "\",", names.month);
        write_number(&mut body, u16::from(date.month), 2);
        name(&mut body, "\",", names.year);
        let year = if names.year_digits == 2 { date.year % 100 } else { date.year };
        write_number(&mut body, year, usize::from(names.year_digits));
    });
    if let Some(cvv) = &card.cvv {
        name(&mut body, "\",", names.cvv);
        cvv.expose(|digits| body.write(digits));
    }
    body.write(b"\"");
    body.write(after.as_bytes());
    body
}

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
