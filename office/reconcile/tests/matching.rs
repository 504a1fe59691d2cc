//! Ours against theirs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "test code")]

use proptest::prelude::*;
use reconcile::{Line, LineKind, Ours, Side, Stand, Why, Window, reconcile};
use uuid::Uuid;
use wire::{AttemptId, AttemptKind, Currency, Money, PaymentId};

const DAY: Window = Window { from: 1_000, until: 2_000 };
const GBP: Currency = Currency::GBP;

fn pounds(minor: i64) -> Money {
    Money { minor, currency: GBP }
}

fn id(n: u128) -> AttemptId {
    AttemptId(Uuid::from_u128(n))
}

fn charge(n: u128, minor: i64) -> Ours {
    Ours {
        attempt: id(n),
        payment: PaymentId(Uuid::from_u128(n)),
        kind: AttemptKind::Authorize,
        side: Some(Side::Taken),
        money: pounds(minor),
        stand: Stand::Done,
        gateway_ref: format!("ch_{n}"),
        at_unix_ms: 1_500,
        account: None,
    }
}

/// Of payment `of`.
fn refund(n: u128, of: u128, minor: i64) -> Ours {
    let payment = PaymentId(Uuid::from_u128(of));
    let (kind, side) = (AttemptKind::Refund, Some(Side::GivenBack));
    Ours { payment, kind, side, gateway_ref: format!("re_{n}"), ..charge(n, minor) }
}

fn line(key: &str, kind: LineKind, name: &str, minor: i64) -> Line {
    Line {
        source: "shop".to_owned(),
        key: key.to_owned(),
        kind,
        names: vec![name.to_owned()],
        attempts: vec![],
        money: pounds(minor),
        fee: None,
        at_unix_ms: 1_600,
        copies: 1,
    }
}

#[test]
fn what_is_the_same_is_matched_by_our_name_or_by_theirs() {
    let by_ours = Line { attempts: vec![id(1)], ..line("a", LineKind::Charge, "x", 100) };
    let by_theirs = line("b", LineKind::Charge, "ch_2", 200);
    let day = reconcile(DAY, vec![charge(1, 100), charge(2, 200)], vec![by_ours, by_theirs]);
    assert!(day.is_clean(), "{day:?}");
    assert_eq!(day.matched.len(), 2);
    assert_eq!((day.totals[&GBP].ours_taken, day.totals[&GBP].theirs_taken), (300, 300));
}

#[test]
fn two_stories_of_one_movement_are_both_shown_and_one_counts() {
    let (good, bad) = (line("a", LineKind::Charge, "ch_1", 100), line("a", LineKind::Charge, "ch_1", 900));
    let (fee, other_fee) = (line("f", LineKind::Fee, "", 7), line("f", LineKind::Fee, "", 8));
    for lines in [[&good, &bad, &fee, &other_fee], [&other_fee, &bad, &fee, &good]] {
        let day = reconcile(DAY, vec![charge(1, 100)], lines.into_iter().cloned().collect());
        assert_eq!(day.matched, [(charge(1, 100), good.clone())], "the story that is ours counts");
        let conflicts: Vec<_> = day.theirs_only.iter().map(|(line, why)| (line.key.as_str(), *why)).collect();
        assert_eq!(conflicts, [("f", Why::Conflict), ("a", Why::Conflict)]);
        assert_eq!((day.apart.len(), day.totals[&GBP].theirs_taken, day.is_clean()), (1, 100, false));
    }
    let elsewhere = Line { source: "other".to_owned(), ..bad };
    let day = reconcile(DAY, vec![charge(1, 100)], vec![good, elsewhere]);
    assert_eq!(day.theirs_only[0].1, Why::Again, "another bank's line of that name is another movement");
}

#[test]
fn every_way_to_differ_is_told_apart() {
    let declined = Ours { stand: Stand::NotDone, ..charge(3, 300) };
    let silent = Ours { stand: Stand::NotDone, ..charge(7, 700) };
    let unknown = |n| Ours { stand: Stand::Unknown, ..charge(n, 400) };
    let ours = vec![charge(1, 100), charge(2, 200), declined, silent, unknown(4), unknown(5)];
    let lines = vec![
        line("a", LineKind::Charge, "ch_1", 101),
        line("c", LineKind::Charge, "ch_3", 300),
        line("d", LineKind::Charge, "ch_4", 400),
        line("e", LineKind::Charge, "ch_6", 600),
        line("f", LineKind::Fee, "", 7),
        line("g", LineKind::Chargeback, "ch_1", 9),
    ];
    let day = reconcile(DAY, ours, lines);
    let first =
        |list: &[(Ours, Line)]| list.iter().map(|(ours, line)| (ours.attempt, line.key.clone())).collect::<Vec<_>>();
    assert_eq!(first(&day.differs), [(id(1), "a".to_owned())]);
    assert_eq!(first(&day.contradicted), [(id(3), "c".to_owned())]);
    assert_eq!(
        day.unknown.iter().map(|(ours, line)| (ours.attempt, line.is_some())).collect::<Vec<_>>(),
        [(id(4), true), (id(5), false)]
    );
    assert_eq!(day.ours_only.iter().map(|ours| ours.attempt).collect::<Vec<_>>(), [id(2)]);
    assert_eq!(
        day.theirs_only.iter().map(|(line, why)| (line.key.as_str(), *why)).collect::<Vec<_>>(),
        [("e", Why::NotOurs)]
    );
    assert_eq!(day.apart.len(), 2, "fees and chargebacks are no payments");
    assert_eq!((day.totals[&GBP].fees, day.totals[&GBP].chargebacks), (7, 9));
    assert!(!day.is_clean());
}

#[test]
fn a_charge_that_the_gateway_has_twice_is_seen() {
    let lines = vec![line("a", LineKind::Charge, "ch_1", 100), line("b", LineKind::Charge, "ch_1", 100)];
    let day = reconcile(DAY, vec![charge(1, 100)], lines);
    assert_eq!((day.matched.len(), day.theirs_only.len()), (1, 1));
    assert_eq!(day.theirs_only[0].1, Why::Again);
    let twice = Line { copies: 2, ..line("a", LineKind::Charge, "ch_1", 100) };
    assert!(!reconcile(DAY, vec![charge(1, 100)], vec![twice]).is_clean(), "a line that stands twice is told");
}

#[test]
fn several_refunds_of_one_payment_each_find_their_own() {
    let ours = vec![charge(1, 100), refund(2, 1, 30), refund(3, 1, 20), refund(4, 1, 20)];
    // The gateway names the charge only, as Adyen does without a modification's own reference.
    let back = |key: &str, minor| line(key, LineKind::Refund, "ch_1", minor);
    let day = reconcile(DAY, ours.clone(), vec![back("c", 20), back("b", 20), back("a", 30)]);
    assert_eq!((day.matched.len(), day.ours_only.len(), day.theirs_only.len()), (3, 1, 0));
    assert_eq!(day.ours_only[0].attempt, id(1), "no refund takes a charge's place");
    let odd = reconcile(DAY, ours, vec![back("a", 30), back("b", 20), back("c", 21)]);
    assert_eq!((odd.matched.len(), odd.differs.len()), (2, 1), "what is the only one left is the one that differs");
}

#[test]
fn captures_are_found_by_the_names_of_their_reservation() {
    let reserved = Ours { side: None, ..charge(1, 100) };
    let capture = |n, minor| Ours {
        kind: AttemptKind::Capture,
        gateway_ref: String::new(),
        payment: reserved.payment,
        ..charge(n, minor)
    };
    let ours = vec![reserved.clone(), capture(2, 60), capture(3, 40)];
    let named = |key: &str, minor| Line { attempts: vec![id(1)], ..line(key, LineKind::Charge, "", minor) };
    let day = reconcile(DAY, ours, vec![named("a", 40), named("b", 60)]);
    assert_eq!(day.matched.len(), 2);
    assert!(day.is_clean(), "the reservation itself moves nothing: {day:?}");
}

#[test]
fn a_line_that_comes_late_counts_for_the_day_of_the_attempt() {
    let late = Line { at_unix_ms: 2_500, ..line("a", LineKind::Charge, "ch_1", 100) };
    let next = Window { from: 2_000, until: 3_000 };
    assert_eq!(reconcile(DAY, vec![charge(1, 100)], vec![late.clone()]).matched.len(), 1);
    let day = reconcile(next, vec![charge(1, 100)], vec![late.clone()]);
    assert!(day.is_clean() && day.matched.is_empty(), "and is nothing of the next day's");
    assert_eq!(reconcile(next, vec![], vec![late]).theirs_only.len(), 1, "the control: alone it would be");
}

fn any_ours() -> impl Strategy<Value = Ours> {
    let stand = prop_oneof![Just(Stand::Done), Just(Stand::NotDone), Just(Stand::Unknown)];
    (0..40_u128, 0..6_u128, any::<bool>(), 1..4_i64, stand, 900..2_100_i64).prop_map(
        |(n, of, back, minor, stand, at)| {
            let ours = if back {
                refund(n, of, minor)
            } else {
                Ours { payment: PaymentId(Uuid::from_u128(of)), ..charge(n, minor) }
            };
            Ours { stand, at_unix_ms: at, ..ours }
        },
    )
}

fn any_line() -> impl Strategy<Value = Line> {
    let kind = prop_oneof![Just(LineKind::Charge), Just(LineKind::Refund), Just(LineKind::Fee)];
    (0..30_u32, kind, 0..40_u32, any::<bool>(), 1..4_i64, 900..2_100_i64).prop_map(|(key, kind, n, back, minor, at)| {
        let name = format!("{}_{n}", if back { "re" } else { "ch" });
        Line { at_unix_ms: at, ..line(&key.to_string(), kind, &name, minor) }
    })
}

proptest! {
    #[test]
    fn nothing_of_the_day_is_lost_or_told_twice_and_no_order_matters(
        ours in prop::collection::vec(any_ours(), 0..20), lines in prop::collection::vec(any_line(), 0..20), turn in 0..20_usize
    ) {
        let unique = |n: &Ours, all: &[Ours]| all.iter().filter(|other| other.attempt == n.attempt).count() == 1;
        let ours: Vec<_> = ours.iter().filter(|one| unique(one, &ours)).cloned().collect();
        let keys = |line: &Line, all: &[Line]| all.iter().filter(|other| other.key == line.key).count() == 1;
        let lines: Vec<_> = lines.iter().filter(|one| keys(one, &lines)).cloned().collect();
        let day = reconcile(DAY, ours.clone(), lines.clone());
        let in_day = |at: &i64| (1_000..2_000).contains(at);
        let must = ours.iter().filter(|one| in_day(&one.at_unix_ms) && one.stand != Stand::NotDone).count();
        let told = day.matched.len() + day.differs.len() + day.unknown.len() + day.ours_only.len();
        prop_assert_eq!(told, must);
        let mut seen: Vec<&str> = day.matched.iter().chain(&day.differs).chain(&day.contradicted).map(|(_, line)| line)
            .chain(day.unknown.iter().filter_map(|(_, line)| line.as_ref())).chain(day.theirs_only.iter().map(|(line, _)| line))
            .chain(&day.apart).map(|line| line.key.as_str()).collect();
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), all, "a line is told twice");
        let (mut other_ours, mut other_lines) = (ours, lines);
        let turn = |len: usize| if len == 0 { 0 } else { turn % len };
        let (a, b) = (turn(other_ours.len()), turn(other_lines.len()));
        other_ours.rotate_left(a);
        other_lines.rotate_left(b);
        other_lines.reverse();
        prop_assert_eq!(reconcile(DAY, other_ours, other_lines), day);
    }
}
