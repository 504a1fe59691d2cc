//! `unused_days` of a `[[merchant]]`: after how long without use a card of the vault goes.

use super::Config;
use serde::{Deserialize, Deserializer, de::Error};
use std::num::NonZeroU16;
use vault::Tenant;

/// What the merchants of a tenant come to together. The vault knows a card by its tenant and not by its merchant, so one is
/// kept for as long as any of them wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused<'a> {
    /// The longest of their `unused_days`.
    Days(NonZeroU16),
    /// This merchant sets none, which keeps every card of the tenant.
    KeptFor(&'a str),
    /// `cde.toml` has no merchant of this tenant.
    NoMerchant,
}

impl Config {
    /// After how long without use a tenant's cards go.
    pub fn unused(&self, tenant: &Tenant) -> Unused<'_> {
        let mut longest = None;
        for merchant in self.merchant.iter().filter(|merchant| merchant.tenant == *tenant) {
            let Some(days) = merchant.unused_days else { return Unused::KeptFor(&merchant.id) };
            longest = longest.max(Some(days));
        }
        longest.map_or(Unused::NoMerchant, Unused::Days)
    }
}

pub(super) fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroU16>, D::Error> {
    let wrong = |_| {
        D::Error::custom(
            "expected a number of days from 1 to 65535; leave unused_days out to keep cards however long they are not used",
        )
    };
    NonZeroU16::deserialize(deserializer).map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const GATEWAY: &str = "[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"http://127.0.0.1:9090\"\n";

    /// Merchants a, b, … of one gateway, each with these lines.
    fn parsed(merchants: &[&str]) -> Result<Config, String> {
        let one = |(id, lines): (char, &&str)| format!("[[merchant]]\nid = \"{id}\"\ngateway = \"g\"\n{lines}\n");
        let merchants: String = ('a'..).zip(merchants).map(one).collect();
        Config::parse(&format!("{GATEWAY}{merchants}"), Path::new("cde.toml")).map_err(|error| error.to_string())
    }

    /// What a tenant's merchants come to.
    fn said(merchants: &[&str], tenant: &str) -> String {
        match parsed(merchants).unwrap().unused(&tenant.parse().unwrap()) {
            Unused::Days(days) => days.to_string(),
            Unused::KeptFor(merchant) => format!("kept for {merchant}"),
            Unused::NoMerchant => "no merchant".to_owned(),
        }
    }

    #[test]
    fn a_tenant_keeps_its_cards_for_the_longest_of_its_merchants() {
        assert_eq!(said(&["unused_days = 400"], "main"), "400");
        for merchants in [["unused_days = 30", "unused_days = 400"], ["unused_days = 400", "unused_days = 30"]] {
            assert_eq!(said(&merchants, "main"), "400");
        }
        let apart = ["unused_days = 30", "tenant = \"shop\"\nunused_days = 400", "tenant = \"shop\"\nunused_days = 90"];
        assert_eq!((said(&apart, "main").as_str(), said(&apart, "shop").as_str()), ("30", "400"));
    }

    #[test]
    fn a_merchant_without_the_setting_keeps_every_card_of_its_tenant_and_of_no_other() {
        for merchants in [["unused_days = 30", ""], ["unused_days = 65535", "keep_days = 10"]] {
            assert_eq!(said(&merchants, "main"), "kept for b");
        }
        assert_eq!(said(&["", "unused_days = 30"], "main"), "kept for a");
        assert_eq!(said(&["tenant = \"shop\"", "unused_days = 30"], "main"), "30");
        assert_eq!(said(&["unused_days = 30"], "shop"), "no merchant");
        assert_eq!(said(&[], "main"), "no merchant");
    }

    #[test]
    fn days_that_are_none_are_refused_with_their_line_and_the_way_out() {
        for wrong in ["0", "65536", "-1", "1.5", "\"400\"", "99999999999"] {
            let message = parsed(&[&format!("unused_days = {wrong}")]).unwrap_err();
            let has_all =
                ["line 8", "from 1 to 65535", "leave unused_days out"].iter().all(|part| message.contains(part));
            assert!(has_all, "{wrong}: {message}");
        }
        assert!(parsed(&["unused_days = 1", "unused_days = 65535"]).is_ok());
    }
}
