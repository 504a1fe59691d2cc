//! Amounts as decimal texts: never a float.

use wire::{Currency, Money};

/// The longest amount that is read: the largest payment, a point, three decimals and some zeros.
const TEXT_BYTES_MAX: usize = 24;

/// With all decimals of its currency: 4200 GBP is `42.00`, 4200 JPY is `4200`.
pub fn decimal(amount: Money) -> String {
    let text = amount.to_string();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Reads `42`, `42.0` or `42.00` as 4200 GBP. Fewer decimals than the currency has are filled up; more are refused, but
/// for zeros. None where it is no amount above zero.
pub fn minor(text: &str, currency: Currency) -> Option<Money> {
    let text = Some(text.trim()).filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || text.ends_with('.') {
        return None;
    }
    let decimals = usize::try_from(currency.decimals()).ok()?;
    let (kept, rest) = fraction.split_at(fraction.len().min(decimals));
    if rest.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let money = Money { minor: format!("{whole}{kept:0<decimals$}").parse().ok()?, currency };
    money.payable().then_some(money)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, code: &str) -> Option<i64> {
        minor(text, code.parse().unwrap()).map(|money| money.minor)
    }

    #[test]
    fn amounts_are_read_to_the_minor_unit_of_their_currency() {
        assert_eq!(["10.0", "10", "10.00", "10.000", " 10 "].map(|text| read(text, "USD")), [Some(1_000); 5]);
        assert_eq!([read("10.5", "GBP"), read("0.07", "GBP"), read("0.29", "USD")], [1_050, 7, 29].map(Some));
        assert_eq!([read("4200", "JPY"), read("4200.0", "JPY"), read("1.234", "BHD")], [4_200, 4_200, 1_234].map(Some));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,00", "0", "0.00", "1.005", "١", "1.2.3", "99999999999"]
        {
            assert_eq!(read(bad, "GBP"), None, "{bad}");
        }
        assert_eq!(read("1.5", "JPY"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(amount in 1..=wire::money::PAYMENT_MINOR_MAX, which in 0..3_usize) {
            let currency: Currency = ["GBP", "JPY", "BHD"][which].parse().unwrap();
            let money = Money { minor: amount, currency };
            prop_assert_eq!(minor(&decimal(money), currency), Some(money));
        }
    }
}
