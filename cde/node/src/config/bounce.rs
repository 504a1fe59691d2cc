//! `bounce` of a `[[route]]`.

use call::config as calls;
use serde::Deserialize;
use wire::{Currency, Field, MerchantId};

/// Patterns of extensions.
const RETURNS_MAX: usize = 256;

/// `bounce` of a `[[route]]`: its callers pay alone, and go then to the route's extension.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounce {
    /// Whose money it is: the id of a `[[merchant]]`.
    pub merchant: MerchantId,
    /// What may be asked for, ISO 4217.
    pub currency: Currency,
    /// The most that one call may ask for, in minor units.
    pub minor_max: i64,
    /// What the caller keys, in this order.
    #[serde(default = "all")]
    pub fields: Vec<Field>,
    /// To which extensions a call may ask to go back instead; an `x` is any digit.
    #[serde(default)]
    pub returns: Vec<String>,
    /// The keys of these callers pass through a PBX before they come to us.
    #[serde(default = "yes")]
    pub keys_cross_pbx: bool,
    /// Whose word it is what is to be paid.
    #[serde(default)]
    pub orders: Orders,
}

/// Whose word it is what a caller is to pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orders {
    /// The call's own headers, or an order that was made by the API, whose code they name.
    #[default]
    Any,
    /// That of orders which were made by the API, and nothing that a call says.
    Api,
}

/// Whether a number of this pattern, in which an `x` is any digit, may begin so.
pub(super) fn may_begin(pattern: &str, prefix: &str) -> bool {
    let may = |(own, other): (u8, u8)| own == other || own == b'x' && other.is_ascii_digit();
    prefix.len() <= pattern.len() && pattern.bytes().zip(prefix.bytes()).all(may)
}

fn all() -> Vec<Field> {
    vec![Field::Pan, Field::Expiry, Field::Cvv]
}

fn yes() -> bool {
    true
}

impl Bounce {
    /// What cannot work.
    pub(super) fn problem(&self) -> Option<String> {
        let has = |field| self.fields.iter().filter(|own| **own == field).count();
        if has(Field::Pan) != 1 || has(Field::Expiry) != 1 || has(Field::Cvv) > 1 {
            return Some("bounce: fields: expected \"pan\" and \"expiry\", and \"cvv\" or not, each once".to_owned());
        }
        if !(1..=wire::money::PAYMENT_MINOR_MAX).contains(&self.minor_max) {
            return Some("bounce: minor_max: expected the most that one call may ask for, in minor units".to_owned());
        }
        let is_pattern = |text: &String| text.parse::<wire::Extension>().is_ok();
        let fits = self.returns.len() <= RETURNS_MAX && self.returns.iter().all(is_pattern);
        (!fits).then(|| {
            format!("bounce: returns: expected at most {RETURNS_MAX} extensions, such as \"1001\" or \"10xx\", where an x is any digit")
        })
    }

    pub(crate) fn call(&self) -> calls::Bounce {
        calls::Bounce {
            merchant: self.merchant.clone(),
            currency: self.currency,
            minor_max: self.minor_max,
            fields: self.fields.clone(),
            returns: self.returns.clone(),
            keys_cross_pbx: self.keys_cross_pbx,
            only_ordered: self.orders == Orders::Api,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use std::path::Path;

    const BEFORE: &str = "[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\n[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\n\
                          url = \"http://127.0.0.1:9\"\n[[merchant]]\nid = \"main\"\ngateway = \"g\"\n[[route]]\nfrom = \"a\"\nto = \"a\"\nprefix = \"7900\"\n";

    fn parse(more: &str) -> Result<Config, String> {
        Config::parse(&format!("{BEFORE}{more}"), Path::new("cde.toml")).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_bounce_says_whose_money_it_is_how_much_at_most_and_where_the_caller_goes_back() {
        let bounce =
            |more: &str| format!("bounce = {{ merchant = \"main\", currency = \"GBP\", minor_max = 50000{more} }}\n");
        let there = "extension = \"8100\"\n";
        let config = parse(&format!("{there}{}", bounce(""))).unwrap();
        let good = config.route[0].bounce.as_ref().unwrap();
        assert!(
            good.keys_cross_pbx
                && good.orders == super::Orders::Any
                && good.returns.is_empty()
                && good.fields.len() == 3,
            "the careful words are the defaults"
        );
        let wrong = |text: &str, says: &str| {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(says), "{says}: {problem}");
        };
        let api = parse(&format!("{there}{}", bounce(", orders = \"api\""))).unwrap();
        assert!(api.route[0].bounce.as_ref().unwrap().call().only_ordered);
        wrong(&bounce(""), "needs an extension");
        wrong(&format!("extension = \"79001\"\n{}", bounce("")), "\"79001\" at trunk \"a\" is a number");
        wrong(&format!("{there}{}", bounce(", returns = [\"10xx\", \"x900\"]")), "\"x900\" at trunk");
        let other = "[[route]]\nfrom = \"a\"\nto = \"a\"\nprefix = \"79001\"\n";
        parse(&format!("extension = \"79001\"\n{}{other}", bounce(""))).expect("a longer prefix takes it elsewhere");
        let pages = format!("{there}{}", bounce(""));
        let web = BEFORE.replace("address = \"192.0.2.1\"", "transport = \"ws\"");
        let web = format!("[sip]\nlisten_ws = \"127.0.0.1:8088\"\n{web}{pages}");
        let problem = Config::parse(&web, Path::new("cde.toml")).unwrap_err().to_string();
        assert!(problem.contains("a web page is no contact centre"), "{problem}");
        wrong(&format!("{there}outbound = true\n{}", bounce("")), "not outbound");
        wrong(&format!("{there}{}", bounce(", fields = [\"pan\"]")), "\"pan\" and \"expiry\"");
        wrong(&format!("{there}{}", bounce(", returns = [\"a b\"]")), "10xx");
        wrong(&format!("{there}{}", bounce(", webhook = \"x\"")), "webhook");
        wrong(&format!("{there}{}", bounce("").replace("main", "nobody")), "no [[merchant]] has this name");
        wrong(&format!("{there}{}", bounce("").replace("50000", "0")), "minor_max");
    }
}
