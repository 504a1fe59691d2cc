//! May a declined payment be tried again, and when?
//!
//! Sources: Visa's rules on reattempts (decline categories; 15 in 30 days) as TabaPay, Checkout.com and Forte publish them;
//! where they disagree, a code that any of them puts in category 1 is never tried again. Mastercard's merchant advice codes
//! and its limits (10 declines a day, 35 in 30 days) as everonet, CyberSource and TabaPay publish them. In force as of April 2023.

use jiff::{SignedDuration, Timestamp};
use wire::{Advice, Brand};

/// Category 1 and what revokes the agreement: the issuer will never approve.
const NEVER: &[&str] = &["04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"];
/// Forte's older list has these in category 1 too.
const NEVER_BY_SOME: &[&str] = &["03", "62", "78", "93"];
/// The payer has revoked it (Visa).
const REVOKED: &[&str] = &["R0", "R1", "R3"];
/// Something about the card must be put right first (category 3).
const FIX_FIRST: &[&str] = &["54", "55", "82", "154", "6P"];
/// Advice never to try again: 03 and 04 as they are, 21 revoked, 22 not for this merchant, 01 needs another card first.
const ADVICE_NEVER: &[&str] = &["01", "03", "04", "21", "22"];
/// The payer has revoked it (Mastercard).
const ADVICE_REVOKED: &str = "21";
/// Advice to wait, in hours.
const ADVICE_HOURS: &[(&str, i64)] =
    &[("02", 72), ("24", 1), ("25", 24), ("26", 48), ("27", 96), ("28", 144), ("29", 192), ("30", 240)];

const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Visa: attempts of one card, merchant and amount in 30 days. The first is counted too, which is on the safe side.
const VISA_MAX: usize = 15;
/// Mastercard: the same in 30 days, and in a day.
const MASTERCARD_MAX: usize = 35;
const MASTERCARD_DAY_MAX: usize = 10;

/// What the bank said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decline<'a> {
    /// The network's code.
    pub code: Option<&'a str>,
    /// The advice that came with it (Mastercard's MAC).
    pub advice: Option<&'a str>,
    /// What the gateway makes of code and advice. It may know a code that is not passed on.
    pub said: Option<Advice>,
}

/// What the merchant wants, within what the networks allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Hours to wait before each further try; as many as there are tries.
    pub wait_hours: Vec<u32>,
}

impl Default for Policy {
    /// After three days, four more, and a week.
    fn default() -> Self {
        Self { wait_hours: vec![72, 96, 168] }
    }
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, not before this.
    Again(Timestamp),
    /// Do not try again: tries are used up, or the network or card forbids it.
    GiveUp,
    /// The payer has revoked the agreement: cancel it.
    Cancel,
}

/// After a decline. `earlier` are all attempts at this card, merchant and amount in the last 30 days, whichever agreement
/// they were for, this one among them; `tries` is how often this payment has been tried.
pub fn after_decline(
    brand: Brand,
    decline: Decline<'_>,
    earlier: &[Timestamp],
    tries: usize,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let code_is = |list: &[&str]| decline.code.is_some_and(|code| list.contains(&code));
    if code_is(REVOKED) || decline.advice == Some(ADVICE_REVOKED) || decline.said == Some(Advice::EndAgreement) {
        return Verdict::Cancel;
    }
    let advised = |list: &[&str]| decline.advice.is_some_and(|advice| list.contains(&advice));
    if matches!(decline.said, Some(Advice::Never | Advice::FixData)) {
        return Verdict::GiveUp;
    }
    if code_is(NEVER) || code_is(NEVER_BY_SOME) || code_is(FIX_FIRST) || advised(ADVICE_NEVER) {
        return Verdict::GiveUp;
    }
    let Some(wait) = tries.checked_sub(1).and_then(|place| policy.wait_hours.get(place)) else {
        return Verdict::GiveUp;
    };
    let after = |from: Timestamp, wait| from.checked_add(wait).ok();
    let wanted = after(now, SignedDuration::from_hours(i64::from(*wait)));
    let advice = decline.advice.and_then(|advice| ADVICE_HOURS.iter().find(|(code, _)| *code == advice));
    // By its code, or as the gateway understood it: that crosses the door without the code.
    let hours = match decline.said {
        Some(Advice::After { hours }) => Some(i64::from(hours)),
        _ => advice.map(|(_, hours)| *hours),
    };
    let advised = hours.and_then(|hours| after(now, SignedDuration::from_hours(hours)));
    let allowed = limits(brand).iter().filter_map(|(most, window)| free_again(earlier, *most, *window));
    match allowed.chain(advised).chain(wanted).max() {
        Some(moment) => Verdict::Again(moment),
        None => Verdict::GiveUp,
    }
}

/// How many attempts in how long. Of networks that publish none, the strictest holds.
fn limits(brand: Brand) -> &'static [(usize, SignedDuration)] {
    match brand {
        Brand::Mastercard | Brand::Maestro => &[(MASTERCARD_DAY_MAX, DAY), (MASTERCARD_MAX, WINDOW)],
        _ => &[(VISA_MAX, WINDOW)],
    }
}

/// When a window of this length holds fewer than the most again, if the attempts were the last ones.
fn free_again(earlier: &[Timestamp], most: usize, window: SignedDuration) -> Option<Timestamp> {
    let mut newest: Vec<Timestamp> = earlier.to_vec();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let moment = newest.get(most.checked_sub(1)?)?.checked_add(window).ok()?;
    moment.checked_add(SignedDuration::from_millis(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn hours(count: i64) -> Timestamp {
        NOW.checked_add(SignedDuration::from_hours(count)).unwrap()
    }

    fn verdict(brand: Brand, code: &str, advice: Option<&str>, earlier: &[Timestamp], tries: usize) -> Verdict {
        let decline = Decline { code: Some(code), advice, said: None };
        after_decline(brand, decline, earlier, tries, &Policy::default(), NOW)
    }

    #[test]
    fn what_a_network_forbids_is_never_tried_again() {
        for code in ["04", "07", "12", "14", "15", "41", "43", "46", "57", "03", "62", "78", "93", "54", "82"] {
            for brand in [Brand::Visa, Brand::Mastercard, Brand::Amex] {
                assert_eq!(verdict(brand, code, None, &[], 1), Verdict::GiveUp, "{code}");
            }
        }
        for advice in ["01", "03", "04", "22"] {
            assert_eq!(verdict(Brand::Mastercard, "51", Some(advice), &[], 1), Verdict::GiveUp, "{advice}");
        }
        for code in ["R0", "R1", "R3"] {
            assert_eq!(verdict(Brand::Visa, code, None, &[], 1), Verdict::Cancel);
        }
        assert_eq!(verdict(Brand::Mastercard, "51", Some("21"), &[], 1), Verdict::Cancel);
    }

    #[test]
    fn what_the_gateway_says_holds_where_it_passes_no_code_on() {
        let said = |said| {
            let decline = Decline { said: Some(said), ..Decline::default() };
            after_decline(Brand::Visa, decline, &[NOW], 1, &Policy::default(), NOW)
        };
        assert_eq!(said(Advice::EndAgreement), Verdict::Cancel);
        assert_eq!([said(Advice::Never), said(Advice::FixData)], [Verdict::GiveUp; 2]);
        assert_eq!(said(Advice::Later), Verdict::Again(hours(72)));
        assert_eq!(said(Advice::After { hours: 240 }), Verdict::Again(hours(240)), "longer than the merchant waits");
        assert_eq!(said(Advice::After { hours: 1 }), Verdict::Again(hours(72)), "the merchant waits longer");
    }

    #[test]
    fn the_longest_wait_of_merchant_and_network_holds() {
        assert_eq!(verdict(Brand::Visa, "51", None, &[NOW], 1), Verdict::Again(hours(72)));
        assert_eq!(verdict(Brand::Visa, "51", None, &[NOW], 2), Verdict::Again(hours(96)));
        assert_eq!(verdict(Brand::Mastercard, "51", Some("24"), &[NOW], 1), Verdict::Again(hours(72)));
        assert_eq!(verdict(Brand::Mastercard, "51", Some("30"), &[NOW], 1), Verdict::Again(hours(240)));
        assert_eq!(verdict(Brand::Visa, "51", None, &[NOW], 4), Verdict::GiveUp, "three more tries, and no more");
    }

    #[test]
    fn the_fifteenth_attempt_in_thirty_days_is_the_last_for_visa() {
        let policy = Policy { wait_hours: vec![1; 100] };
        let daily: Vec<_> = (0..40).map(|day| hours(-24 * day)).collect();
        let after = |brand, attempts: &[Timestamp]| {
            after_decline(brand, Decline { code: Some("51"), ..Decline::default() }, attempts, 1, &policy, NOW)
        };
        assert_eq!(after(Brand::Visa, &daily[..14]), Verdict::Again(hours(1)));
        let Verdict::Again(moment) = after(Brand::Visa, &daily[..15]) else { panic!() };
        let in_window = daily[..15].iter().filter(|attempt| attempt.duration_until(moment) <= WINDOW).count();
        assert_eq!(in_window, 14, "with the next one there are fifteen again");
        assert!(moment > hours(24 * 15));
        assert_eq!(after(Brand::Mastercard, &daily[..34]), Verdict::Again(hours(1)));
        let Verdict::Again(moment) = after(Brand::Mastercard, &[NOW; 10]) else { panic!() };
        assert!(moment > hours(24), "ten in a day");
    }
}
