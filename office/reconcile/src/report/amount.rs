//! Amounts as texts, without a float between.

use wire::Currency;

/// What stands between units and their decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decimal {
    /// `1,234.56`
    #[default]
    Point,
    /// `1.234,56`
    Comma,
}

/// Minor units of a decimal text. None of what has more decimals than its currency, or is no number.
pub(super) fn minor(text: &str, currency: Currency, decimal: Decimal) -> Option<i64> {
    let (point, group) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once(point).unwrap_or((text, ""));
    let whole = ungrouped(whole, group)?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let decimals = usize::try_from(currency.decimals()).ok()?;
    let (kept, rest) = fraction.split_at(fraction.len().min(decimals));
    if rest.bytes().any(|b| b != b'0') {
        return None;
    }
    let minor: i64 = format!("0{whole}{kept:0<decimals$}").parse().ok()?;
    Some(if negative { -minor } else { minor })
}

/// Digits, with every third from the right behind a separator or none.
fn ungrouped(whole: &str, group: char) -> Option<String> {
    let mut parts = whole.split(group);
    let first = parts.next().unwrap_or_default();
    let rest: Vec<_> = parts.collect();
    let is_grouped = rest.iter().all(|part| part.len() == 3) && (rest.is_empty() || (1..=3).contains(&first.len()));
    let digits = format!("{first}{}", rest.concat());
    (is_grouped && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, code: &str) -> Option<i64> {
        minor(text, code.parse().unwrap(), Decimal::Point)
    }

    #[test]
    fn decimals_are_the_currency_s_own() {
        assert_eq!(of("42.05", "GBP"), Some(4205));
        assert_eq!(of("42.5", "GBP"), Some(4250));
        assert_eq!(of("-0.59", "GBP"), Some(-59));
        assert_eq!(of("1,234.5600", "GBP"), Some(123_456));
        assert_eq!(of("4205.00", "JPY"), Some(4205));
        assert_eq!(of("4.205", "BHD"), Some(4205));
        assert_eq!(of(".5", "GBP"), Some(50));
        assert_eq!(minor("1.234,56", Currency::EUR, Decimal::Comma), Some(123_456));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["", "-", ".", "42.005", "4e2", "1,23.00", "12,34", "1..2", "£4", "99999999999999999999", "--1"] {
            assert_eq!(of(text, "GBP"), None, "{text}");
        }
        assert_eq!(of("42.5", "JPY"), None);
        assert_eq!(minor("1.5", Currency::EUR, Decimal::Comma), None, "not a group of three");
    }
}
