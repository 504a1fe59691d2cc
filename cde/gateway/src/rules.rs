//! What a merchant makes of an approval whose address or security code the bank did not find right.
//!
//! A bank approves such charges all the same, and leaves the risk to the merchant.

use serde::Deserialize;
use wire::{Check, Checks, DeclineClass};

/// What to do with an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Keep it.
    #[default]
    Accept,
    /// Keep it, and have somebody look at it.
    Review,
    /// Give it back; the caller may pay with another card.
    Void,
}

/// One merchant's rules. Where several fit, the strictest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckRules {
    /// The house number is not the cardholder's.
    pub address_no_match: Rule,
    /// The postcode is not.
    pub postcode_no_match: Rule,
    /// The security code is wrong.
    pub cvv_no_match: Rule,
    /// Something was to be compared, and the bank did not or could not.
    pub not_checked: Rule,
}

impl CheckRules {
    /// What to do, and, where the approval is to be given back, what the agent is told instead of an approval.
    pub fn judge(&self, checks: &Checks) -> (Rule, DeclineClass) {
        let rule_of = |check: Option<Check>, no_match: Rule| match check {
            None | Some(Check::Match) => Rule::Accept,
            Some(Check::NoMatch) => no_match,
            Some(Check::NotChecked | Check::Unavailable) => self.not_checked,
        };
        let cvv = rule_of(checks.cvv, self.cvv_no_match);
        let address = rule_of(checks.address, self.address_no_match);
        let address = address.max(rule_of(checks.postcode, self.postcode_no_match));
        let class = if cvv == Rule::Void { DeclineClass::WrongCvv } else { DeclineClass::WrongAddress };
        (cvv.max(address), class)
    }

    /// The rules for a stored card: it is charged without a security code, and mostly without an address, so that what was
    /// not compared says nothing of who pays.
    #[must_use]
    pub fn for_stored(self) -> Self {
        Self { cvv_no_match: Rule::Accept, not_checked: Rule::Accept, ..self }
    }

    /// Can anything but [`Rule::Accept`] come of them?
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CheckRules = CheckRules {
        address_no_match: Rule::Accept,
        postcode_no_match: Rule::Review,
        cvv_no_match: Rule::Void,
        not_checked: Rule::Review,
    };

    fn checks(address: Option<Check>, postcode: Option<Check>, cvv: Option<Check>) -> Checks {
        Checks { address, postcode, cvv }
    }

    #[test]
    fn the_strictest_rule_that_fits_counts() {
        let rule = |checks: Checks| RULES.judge(&checks).0;
        let (yes, no) = (Some(Check::Match), Some(Check::NoMatch));
        assert_eq!(rule(checks(yes, yes, yes)), Rule::Accept);
        assert_eq!(rule(checks(no, yes, yes)), Rule::Accept);
        assert_eq!(rule(checks(no, no, yes)), Rule::Review);
        assert_eq!(rule(checks(no, no, no)), Rule::Void);
        assert_eq!(rule(checks(yes, yes, Some(Check::Unavailable))), Rule::Review);
        assert_eq!(rule(Checks::default()), Rule::Accept, "what nobody compared breaks no rule");
        assert_eq!(CheckRules::default().judge(&checks(no, no, no)).0, Rule::Accept);
    }

    #[test]
    fn the_agent_is_told_what_did_not_match() {
        let no = Some(Check::NoMatch);
        assert_eq!(RULES.judge(&checks(no, no, no)).1, DeclineClass::WrongCvv);
        let strict = CheckRules { postcode_no_match: Rule::Void, ..RULES };
        assert_eq!(strict.judge(&checks(None, no, Some(Check::Match))), (Rule::Void, DeclineClass::WrongAddress));
    }

    #[test]
    fn a_stored_card_without_a_code_breaks_no_rule_but_a_wrong_address_does() {
        let strict = CheckRules { not_checked: Rule::Void, ..RULES };
        for cvv in [Check::NotChecked, Check::Unavailable, Check::NoMatch] {
            let found = checks(Some(Check::Unavailable), None, Some(cvv));
            assert_eq!(strict.judge(&found).0, Rule::Void, "the control: of a keyed card");
            assert_eq!(strict.for_stored().judge(&found).0, Rule::Accept);
        }
        assert_eq!(strict.for_stored().judge(&checks(None, Some(Check::NoMatch), None)).0, Rule::Review);
    }

    #[test]
    fn rules_are_words_in_the_file() {
        let rules: CheckRules = serde_json::from_str(r#"{"cvv_no_match":"void","not_checked":"review"}"#).unwrap();
        assert_eq!((rules.cvv_no_match, rules.not_checked, rules.is_any()), (Rule::Void, Rule::Review, true));
        assert!(serde_json::from_str::<CheckRules>(r#"{"cvv":"void"}"#).is_err());
    }
}
