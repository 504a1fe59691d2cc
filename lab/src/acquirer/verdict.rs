//! What the sandbox acquirer answers to which charge.
//!
//! | what | gives |
//! |---|---|
//! | a card that is not a published test card | refused, not executed |
//! | no telephone flag | 65 (the bank wants the cardholder online) |
//! | a card past its month | 54 |
//! | the cards of [`TEST_CARDS`] | the code that stands there, `None` for an approval |
//! | security code 999 or 9999 | 82 |
//! | an amount of 900,001 to 900,099 minor units | its last two digits, as a code: 900,051 gives 51; a refund of it too |
//! | an amount of 910,001 to 910,099 minor units | a part, by its last two digits: 910,040 gives 40 percent; 51 where no part is wanted |
//! | anything else | an approval |
//!
//! The first line that fits decides. What an approval says of the address and the code:
//!
//! | digits of house number or postcode | security code | gives |
//! |---|---|---|
//! | 99 | 998, 9998 | no match |
//! | 98 | 997, 9997 | not checked |
//! | 97 | 996, 9996 | unavailable |
//! | others | others | a match |
//!
//! As the banks do, only the digits of house number and postcode are compared; what was not sent is not spoken of.

use card::YearMonth;
use wire::{Address, Check, Checks};

/// Published test cards and the response code that each gives. From the public documentation of Stripe, PayPal, Adyen
/// and Telnyx, and from Hyperswitch's dummy connector.
pub const TEST_CARDS: &[(&str, Option<&str>)] = &[
    ("4242424242424242", None),
    ("4111111111111111", None),
    ("4012888888881881", None),
    ("4000056655665556", None),
    ("5555555555554444", None),
    ("5200828282828210", None),
    ("2223003122003222", None),
    ("378282246310005", None),
    ("371449635398431", None),
    ("6011111111111117", None),
    ("6011000990139424", None),
    ("38000000000006", None),
    ("3056930009020004", None),
    ("36227206271667", None),
    ("3566002020360505", None),
    ("6200000000000005", None),
    ("6205500000000000004", None),
    ("6771798021000008", None),
    ("4000000000000002", Some("05")),
    ("4000000000000341", Some("05")),
    ("5105105105105100", Some("05")),
    ("4000000000009995", Some("51")),
    ("4000000000006975", Some("61")),
    ("4000000000009987", Some("41")),
    ("4000000000009979", Some("43")),
    ("4000000000000069", Some("54")),
    ("4000000000000127", Some("82")),
    ("4000000000000119", Some("96")),
    ("4000003800000446", Some("65")),
    ("4000002500003155", Some("65")),
];

/// Amounts, in minor units, whose last two digits are the response code.
const CODE_AMOUNTS: std::ops::RangeInclusive<i64> = 900_001..=900_099;
/// Amounts, in minor units, whose last two digits are the percentage that is approved.
const PART_AMOUNTS: std::ops::RangeInclusive<i64> = 910_001..=910_099;

/// What a charge is judged by.
pub(super) struct Evidence<'a> {
    pub(super) number: &'a str,
    pub(super) expiry: YearMonth,
    pub(super) cvv: Option<&'a str>,
    pub(super) amount_minor: i64,
    /// A telephone order, or one that the merchant may start.
    pub(super) flagged: bool,
    /// May a part be approved?
    pub(super) partial: bool,
}

/// What the bank says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Yes, to so much.
    Approved { minor: i64 },
    /// No, with this response code.
    Declined { code: String },
}

/// Not a published test card.
pub(super) struct NotATestCard;

pub(super) fn judge(evidence: &Evidence<'_>, today: YearMonth) -> Result<Verdict, NotATestCard> {
    let card = TEST_CARDS.iter().find(|(number, _)| *number == evidence.number).ok_or(NotATestCard)?;
    let rules = [
        (!evidence.flagged, "65"),
        (evidence.expiry < today, "54"),
        (card.1.is_some(), card.1.unwrap_or_default()),
        (matches!(evidence.cvv, Some("999" | "9999")), "82"),
    ];
    let by_rule = rules.into_iter().find(|(applies, _)| *applies).map(|(_, code)| code.to_owned());
    let minor = evidence.amount_minor;
    let part = PART_AMOUNTS.contains(&minor).then(|| minor * (minor % 100) / 100);
    let declined = by_rule.or_else(|| by_amount(minor));
    Ok(match (declined, part) {
        (Some(code), _) => Verdict::Declined { code },
        (None, Some(minor)) if evidence.partial => Verdict::Approved { minor },
        (None, Some(_)) => Verdict::Declined { code: "51".to_owned() },
        (None, None) => Verdict::Approved { minor },
    })
}

/// The response code that an amount stands for.
pub(super) fn by_amount(minor: i64) -> Option<String> {
    CODE_AMOUNTS.contains(&minor).then(|| format!("{:02}", minor % 100))
}

/// The response code that a published test card stands for.
pub(super) fn by_card(number: &str) -> Option<&'static str> {
    TEST_CARDS.iter().find(|(published, _)| *published == number).and_then(|(_, code)| *code)
}

/// The number, if it is a published test card's.
pub(super) fn published(number: &str) -> Option<&'static str> {
    TEST_CARDS.iter().find(|(published, _)| *published == number).map(|(published, _)| *published)
}

/// What the bank says of address and security code.
pub(super) fn checks(avs: Option<&Address>, cvv: Option<&str>) -> Checks {
    let compare = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        (!text.is_empty()).then_some(match digits.as_str() {
            "99" => Check::NoMatch,
            "98" => Check::NotChecked,
            "97" => Check::Unavailable,
            _ => Check::Match,
        })
    };
    Checks {
        address: avs.and_then(|avs| compare(avs.house_number())),
        postcode: avs.and_then(|avs| compare(avs.postcode())),
        cvv: cvv.map(|cvv| match cvv {
            "998" | "9998" => Check::NoMatch,
            "997" | "9997" => Check::NotChecked,
            "996" | "9996" => Check::Unavailable,
            _ => Check::Match,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };

    fn code(change: impl FnOnce(&mut Evidence<'_>)) -> Option<String> {
        let expiry = YearMonth { year: 2030, month: 12 };
        let number = "4242424242424242";
        let mut evidence =
            Evidence { number, expiry, cvv: Some("123"), amount_minor: 4200, flagged: true, partial: false };
        change(&mut evidence);
        match judge(&evidence, TODAY) {
            Ok(Verdict::Approved { minor }) if minor == evidence.amount_minor => None,
            Ok(Verdict::Approved { minor }) => Some(format!("part {minor}")),
            Ok(Verdict::Declined { code }) => Some(code),
            Err(NotATestCard) => Some("refused".to_owned()),
        }
    }

    #[test]
    fn every_test_card_could_be_keyed() {
        for (number, _) in TEST_CARDS {
            let brand = wire::Brand::of(number.as_bytes()).expect("a brand");
            assert!(wire::luhn_valid(number.as_bytes()), "{number}");
            assert!(brand.facts().lengths.contains(&number.len()), "{number}");
        }
    }

    #[test]
    fn each_row_of_the_table_gives_its_code() {
        assert_eq!(code(|_| ()), None);
        assert_eq!(code(|e| e.number = "4000000000009995").as_deref(), Some("51"));
        assert_eq!(code(|e| e.flagged = false).as_deref(), Some("65"));
        assert_eq!(code(|e| e.expiry.year = 2025).as_deref(), Some("54"));
        assert_eq!(code(|e| e.expiry = TODAY), None);
        assert_eq!(code(|e| e.cvv = Some("999")).as_deref(), Some("82"));
        assert_eq!(code(|e| e.cvv = None), None);
        assert_eq!(code(|e| e.amount_minor = 900_005).as_deref(), Some("05"));
        assert_eq!(code(|e| e.amount_minor = 900_100), None);
    }

    #[test]
    fn a_part_is_approved_where_one_is_wanted() {
        assert_eq!(code(|e| e.amount_minor = 910_040).as_deref(), Some("51"));
        assert_eq!(code(|e| (e.amount_minor, e.partial) = (910_040, true)).as_deref(), Some("part 364016"));
        assert_eq!(code(|e| (e.amount_minor, e.partial) = (4200, true)), None);
    }

    #[test]
    fn only_what_was_sent_is_compared_and_only_its_digits() {
        let avs = |house: &str, postcode: &str| checks(Address::new(house, postcode).ok().as_ref(), None);
        let says = |address, postcode| Checks { address, postcode, cvv: None };
        assert_eq!(avs("99b", "N9 8XX"), says(Some(Check::NoMatch), Some(Check::NotChecked)));
        assert_eq!(avs("", "EC9 7"), says(None, Some(Check::Unavailable)));
        assert_eq!(checks(None, Some("998")).cvv, Some(Check::NoMatch));
        assert!(checks(None, None).is_empty());
    }

    #[test]
    fn a_valid_number_that_is_no_test_card_is_refused() {
        assert_eq!(code(|e| e.number = "4111114111114242").as_deref(), Some("refused"));
        assert_eq!(code(|e| e.number = "").as_deref(), Some("refused"));
    }
}
