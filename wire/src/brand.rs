//! The public brand table, the Luhn check and a detector of text that looks like a card number.
//!
//! This is knowledge, not secrets: all functions take ASCII digits by reference and keep nothing.

mod table;
mod text;

pub use text::text_pan_like;

use serde::{Deserialize, Serialize};

/// A card scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Brand {
    /// Visa.
    Visa,
    /// Mastercard.
    Mastercard,
    /// American Express.
    Amex,
    /// Diners Club.
    Diners,
    /// Discover.
    Discover,
    /// Troy.
    Troy,
    /// JCB.
    Jcb,
    /// UnionPay.
    #[serde(rename = "unionpay")]
    UnionPay,
    /// Naranja.
    Naranja,
    /// Verve.
    Verve,
    /// Maestro.
    Maestro,
    /// Elo.
    Elo,
    /// Mir.
    Mir,
    /// Hiper.
    Hiper,
    /// Hipercard.
    Hipercard,
}

/// What the table says of one brand.
#[derive(Clone, Copy, Debug)]
pub struct BrandFacts {
    /// Which one.
    pub brand: Brand,
    /// The name people know.
    pub name: &'static str,
    /// Lengths a number may have.
    pub lengths: &'static [usize],
    /// After how many digits a gap is printed on the card.
    pub gaps: &'static [usize],
    /// Digits of the security code.
    pub cvv_length: usize,
}

/// The shortest card number (ISO/IEC 7812 allows fewer, no scheme here issues them).
pub const PAN_LENGTH_MIN: usize = 12;
/// The longest card number.
pub const PAN_LENGTH_MAX: usize = 19;
/// After this many digits the brand cannot change any more: the longest prefix in the table.
pub const PREFIX_LENGTH_MAX: usize = 8;

impl Brand {
    /// The brand of a number, or of the beginning of one, from its ASCII digits. The longest matching prefix wins.
    pub fn of(digits: &[u8]) -> Option<Self> {
        let mut prefix = 0_u32;
        let mut best = None;
        for (length, digit) in (1_u32..).zip(digits.iter().take(PREFIX_LENGTH_MAX)) {
            prefix = prefix * 10 + u32::from(digit.checked_sub(b'0').filter(|d| *d <= 9)?);
            let hit = table::PREFIXES.iter().find(|(l, low, high, _)| *l == length && (*low..=*high).contains(&prefix));
            best = hit.map(|(.., brand)| *brand).or(best);
        }
        best
    }

    /// What the table says.
    pub fn facts(self) -> &'static BrandFacts {
        table::FACTS.iter().find(|facts| facts.brand == self).unwrap_or(&UNLISTED)
    }

    /// The name people know.
    pub fn name(self) -> &'static str {
        self.facts().name
    }
}

/// Only so that [`Brand::facts`] is total; a test proves that every brand is listed.
static UNLISTED: BrandFacts =
    BrandFacts { brand: Brand::Maestro, name: "Card", lengths: &[16], gaps: &[4, 8, 12], cvv_length: 3 };

/// The Luhn check (ISO/IEC 7812-1 annex B) over ASCII digits.
pub fn luhn_valid(digits: &[u8]) -> bool {
    let mut sum = 0_u32;
    for (index, digit) in digits.iter().rev().enumerate() {
        let Some(value) = digit.checked_sub(b'0').filter(|d| *d <= 9).map(u32::from) else { return false };
        sum += match (index % 2, value * 2) {
            (0, _) => value,
            (_, twice) => twice / 10 + twice % 10,
        };
    }
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// Does what a program has written hold something that looks like a card number: 12 to 19 digits, also with single spaces,
/// dashes or dots between them, of a known brand and with a right check digit? For what people have written see
/// [`text_pan_like`].
pub fn pan_like(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut start, mut digits, mut separators) = (0, 0, 0);
    for (at, byte) in bytes.iter().chain(b"\n").enumerate() {
        match byte {
            b'0'..=b'9' => {
                start = if digits == 0 { at } else { start };
                digits += 1;
                separators = 0;
            }
            b' ' | b'-' | b'.' if separators == 0 => separators += 1,
            _ => {
                // Asked with every line of every message: only a run that is long enough is looked at.
                if digits >= PAN_LENGTH_MIN && bytes.get(start..at).is_some_and(run_has_pan) {
                    return true;
                }
                (digits, separators) = (0, 0);
            }
        }
    }
    false
}

/// The same of a name that a program made. A UUID has so many digits and dashes that one in some hundreds looks like a
/// card number by chance; in its usual form (36 characters) it is none.
pub fn name_pan_like(name: &str) -> bool {
    const UUID_CHARS: usize = 36;
    let is_uuid = name.len() == UUID_CHARS && uuid::Uuid::try_parse(name).is_ok();
    !is_uuid && pan_like(name)
}

/// Any stretch of the run counts, so that a number cannot hide behind a digit put before it.
fn run_has_pan(run: &[u8]) -> bool {
    let run: Vec<u8> = run.iter().copied().filter(u8::is_ascii_digit).collect();
    (PAN_LENGTH_MIN..=PAN_LENGTH_MAX).any(|length| {
        run.windows(length).any(|window| {
            luhn_valid(window) && Brand::of(window).is_some_and(|brand| brand.facts().lengths.contains(&length))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_no_card_number_and_a_card_number_dressed_as_a_name_is_one() {
        let uuid = "42424242-4242-4242-8000-00000000abcd";
        assert!(pan_like(uuid) && !name_pan_like(uuid));
        for name in ["4242424242424242", "order-4242-4242-4242-4242", "42424242424242420000000000000000"] {
            assert!(name_pan_like(name), "{name}");
        }
        assert!(!name_pan_like("INV-88120"));
    }

    #[test]
    fn every_brand_is_listed_once() {
        for facts in table::FACTS {
            assert_eq!(table::FACTS.iter().filter(|f| f.brand == facts.brand).count(), 1);
            assert_eq!(facts.brand.facts().name, facts.name);
        }
        assert_eq!(table::FACTS.len(), 15);
    }

    #[test]
    fn published_test_cards_have_their_brands() {
        for (number, brand) in [
            ("4242424242424242", Brand::Visa),
            ("5555555555554444", Brand::Mastercard),
            ("2223003122003222", Brand::Mastercard),
            ("378282246310005", Brand::Amex),
            ("6011111111111117", Brand::Discover),
            ("38000000000006", Brand::Diners),
            ("3566002020360505", Brand::Jcb),
            ("6200000000000005", Brand::UnionPay),
            ("6771798021000008", Brand::Maestro),
        ] {
            assert_eq!(Brand::of(number.as_bytes()), Some(brand), "{number}");
            assert!(luhn_valid(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn one_wrong_digit_fails_luhn() {
        let good = b"4242424242424242";
        for place in 0..good.len() {
            let mut bad = *good;
            bad[place] = if bad[place] == b'9' { b'0' } else { bad[place] + 1 };
            assert!(!luhn_valid(&bad));
        }
        assert!(!luhn_valid(b"") && !luhn_valid(b"42a4"));
    }

    #[test]
    fn card_numbers_in_text_are_seen_and_other_numbers_are_not() {
        assert!(pan_like("card 4242 4242 4242 4242 please"));
        assert!(pan_like("94242-4242-4242-4242"));
        assert!(pan_like("378282246310005"));
        assert!(!pan_like("INV-88120 and INV-88764, tel 020 7946 0958"));
        assert!(!pan_like("4242 4242 4242 4241"));
    }
}
