//! Where `unused_days` of a `[[merchant]]` does not do what it seems to say.

use node::Config;
use node::config::{KeepCards, Merchant, Unused};

pub(super) fn warnings(cde: &Config) -> Vec<String> {
    cde.merchant.iter().flat_map(|merchant| of_merchant(cde, merchant)).collect()
}

fn of_merchant(cde: &Config, merchant: &Merchant) -> Vec<String> {
    let Merchant { id, tenant, keep_cards, unused_days: Some(days), .. } = merchant else { return Vec::new() };
    let what = format!("merchant {id}: unused_days = {days}");
    if cde.vault.is_none() {
        return vec![format!("{what}, and there is no [vault]: no card is stored that could go")];
    }
    let mut warnings = Vec::new();
    if *keep_cards == KeepCards::Gateway {
        warnings.push(format!(
            "{what}, and keep_cards = \"gateway\" sends no card to the vault: only what is there from before goes by it, and a \
             card at the gateway stays until it is forgotten"
        ));
    }
    match cde.unused(tenant) {
        Unused::KeptFor(other) => warnings.push(format!(
            "{what} takes no card: merchant {other} has none, and its cards are in the same tenant ({tenant}), where all are \
             kept; set unused_days of {other} too"
        )),
        Unused::Days(longest) if longest > *days => warnings.push(format!(
            "{what}, but another merchant of its tenant ({tenant}) has {longest}: the cards of both stay for that long"
        )),
        Unused::Days(longest) if longest.get() == 1 => warnings.push(format!(
            "{what}: use is noted once a day, so a card may go minutes after it was used; 2 keeps each for a day at least"
        )),
        Unused::Days(_) | Unused::NoMerchant => {}
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Merchants a, b, … of one gateway, each with these lines.
    fn said(vault: &str, merchants: &[&str]) -> String {
        let one = |(id, lines): (char, &&str)| format!("[[merchant]]\nid = \"{id}\"\ngateway = \"g\"\n{lines}\n");
        let merchants: String = ('a'..).zip(merchants).map(one).collect();
        let gateway = "[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"http://127.0.0.1:9\"\n";
        let cde = Config::parse(&format!("{gateway}{merchants}{vault}"), Path::new("cde.toml")).unwrap();
        super::super::warnings(&cde).into_iter().filter(|warning| warning.contains("unused_days")).collect()
    }

    #[test]
    fn a_rule_that_takes_no_card_is_named() {
        assert_eq!(said("[vault]", &["", "unused_days = 9\ntenant = \"other\"\nkeep_cards = \"both\""]), "");
        assert!(said("", &["unused_days = 9"]).contains("merchant a: unused_days = 9, and there is no [vault]"));
        let gateway = said("[vault]", &["unused_days = 9\nkeep_cards = \"gateway\""]);
        assert!(gateway.contains("sends no card to the vault"), "{gateway}");
        let kept = said("[vault]", &["unused_days = 9", ""]);
        assert!(kept.contains("takes no card: merchant b has none") && kept.contains("set unused_days of b"), "{kept}");
    }

    #[test]
    fn where_another_merchants_rule_or_the_day_of_use_counts_it_is_said() {
        let longer = said("[vault]", &["unused_days = 9", "unused_days = 90"]);
        assert!(
            longer.starts_with("merchant a") && longer.contains("has 90") && !longer.contains("merchant b"),
            "{longer}"
        );
        assert_eq!(said("[vault]", &["unused_days = 9", "unused_days = 9"]), "");
        assert!(said("[vault]", &["unused_days = 1"]).contains("minutes after it was used"));
        assert_eq!(said("[vault]", &["unused_days = 2"]), "");
        assert!(!said("[vault]", &["unused_days = 1", "unused_days = 2"]).contains("minutes"), "the other's counts");
    }
}
