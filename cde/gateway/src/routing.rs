//! Which gateway a merchant's payment goes to, and which ones stand in for it.

use std::ops::RangeInclusive;
use wire::{Brand, Currency, Money};

/// How long after its first request a payment may still go to another gateway: as long as a card is kept for it.
pub const FAILOVER_MS_MAX: u64 = 120_000;

/// What a merchant sends to one of its gateways. An empty list means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Only in these currencies.
    pub currencies: Vec<Currency>,
    /// Only from these cards.
    pub brands: Vec<Brand>,
    /// Only of so much, in minor units.
    pub minor: RangeInclusive<i64>,
}

impl Default for Rule {
    fn default() -> Self {
        Self { currencies: Vec::new(), brands: Vec::new(), minor: 0..=i64::MAX }
    }
}

impl Rule {
    /// Does a payment of this amount from this card go there?
    pub fn takes(&self, amount: Money, brand: Brand) -> bool {
        let has = |empty: bool, found: bool| empty || found;
        has(self.currencies.is_empty(), self.currencies.contains(&amount.currency))
            && has(self.brands.is_empty(), self.brands.contains(&brand))
            && self.minor.contains(&amount.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_takes_what_fits_all_its_parts() {
        let pounds = |minor| Money { minor, currency: Currency::GBP };
        assert!(Rule::default().takes(pounds(1), Brand::Visa));
        let rule =
            Rule { currencies: vec![Currency::GBP, Currency::EUR], brands: vec![Brand::Amex], minor: 100..=5_000 };
        assert!(rule.takes(pounds(100), Brand::Amex) && rule.takes(pounds(5_000), Brand::Amex));
        assert!(!rule.takes(pounds(99), Brand::Amex) && !rule.takes(pounds(5_001), Brand::Amex));
        assert!(!rule.takes(pounds(100), Brand::Visa));
        assert!(!rule.takes(Money { minor: 100, currency: Currency::USD }, Brand::Amex));
    }
}
