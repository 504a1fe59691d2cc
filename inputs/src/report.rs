//! What gateways report at the end of a day.

use jiff::tz::TimeZone;
use reconcile::report::{Columns, Dates, Decimal};
use reconcile::{Format, Line, LineKind, read};
use wire::Currency;

fn columns(flags: u8) -> Columns {
    Columns {
        id: (flags & 1 != 0).then(|| "id".to_owned()),
        reference: "reference".to_owned(),
        amount: "amount".to_owned(),
        currency: Some(Currency::GBP),
        at: "at".to_owned(),
        kind: (flags & 2 != 0).then(|| "kind".to_owned()),
        charge_words: vec!["sale".to_owned()],
        refund_words: vec!["refund".to_owned()],
        decimal: if flags & 4 != 0 { Decimal::Comma } else { Decimal::Point },
        minor_units: flags & 8 != 0,
        dates: if flags & 16 != 0 { Dates::DayFirst } else { Dates::YearFirst },
        ..Columns::default()
    }
}

/// Which report, then its bytes. Whatever it says, each line has its own key, what is kept of it is short, printable and no
/// card number, and reading it again says the same.
pub(crate) fn report(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let format = match kind & 3 {
        0 => Format::Stripe,
        1 => Format::Adyen,
        2 => Format::Sandbox,
        _ => Format::Columns(Box::new(columns(kind >> 2))),
    };
    match read(&format, bytes, &TimeZone::UTC) {
        Ok(report) => {
            assert_eq!(
                Ok(&report),
                read(&format, bytes, &TimeZone::UTC).as_ref(),
                "the same report says something else"
            );
            let mut last = "";
            for line in &report.lines {
                assert!(last.is_empty() || last < line.key.as_str(), "two lines have one key");
                last = &line.key;
                assert!(
                    (line.money.minor >= 0 || is_signed(line)) && line.copies > 0,
                    "an amount below zero, or no line at all"
                );
                let texts = line.names.iter().chain([&line.key]);
                assert!(texts.clone().all(|text| text.chars().count() <= 500 && !text.chars().any(char::is_control)));
                assert!(
                    !line.names.iter().any(|name| wire::name_pan_like(name) && is_short(name)),
                    "a card number is kept"
                );
            }
        }
        Err(error) => assert!(!wire::pan_like(&error.to_string()), "a refusal repeats a card number"),
    }
}

fn is_signed(line: &Line) -> bool {
    matches!(line.kind, LineKind::Fee | LineKind::Payout | LineKind::Other)
}

/// A number in a column of references, which is looked at as a whole, has sixteen digits.
fn is_short(name: &str) -> bool {
    name.len() != 16
}
