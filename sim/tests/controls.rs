//! The oracle notices what it is there for: each promise, broken on purpose, is said to be broken.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs, reason = "test code")]

use sim::fleet;
use sim::oracle::Promise;
use sim::plan::{Level, Plan};
use sim::sabotage::Sabotage;
use std::time::Instant;

/// A sabotage must show within so many worlds; most do in the first.
const WORLDS_MAX: u64 = 60;

fn breaks(sabotage: Sabotage) -> Promise {
    match sabotage {
        Sabotage::RelayKeys => Promise::AgentHearsNoKey,
        Sabotage::PrintPan => Promise::NothingIsWritten,
        Sabotage::ShowCode => Promise::DigitsChangeNothing,
        Sabotage::LoseByes => Promise::EveryCallEnds,
        Sabotage::OpenAtOnce => Promise::OpensWhenQuiet,
        Sabotage::ChargeAgain | Sabotage::HideKeys => Promise::ChargedOnce,
        Sabotage::ForgetOrders => Promise::OrderPaidOnce,
        Sabotage::TellApproved => Promise::ResultIsTrue,
        Sabotage::BelieveBroken => Promise::MoneyAgrees,
        Sabotage::SendFirst => Promise::JournaledFirst,
        Sabotage::LoseRecord => Promise::RecordsArrive,
        Sabotage::SwallowAnswers => Promise::CommandsAreAnswered,
    }
}

fn level(sabotage: Sabotage) -> Level {
    if sabotage == Sabotage::RelayKeys { Level::Frames } else { Level::Keys }
}

#[test]
fn every_promise_can_be_broken_and_is_then_missed() {
    for sabotage in Sabotage::ALL {
        let noticed = (1..=WORLDS_MAX).find(|seed| {
            let plan = Plan { sabotage: Some(sabotage), ..Plan::new(*seed, level(sabotage)) };
            let report = fleet::play(Instant::now(), &plan, sabotage == Sabotage::ShowCode);
            report.violations.iter().any(|violation| violation.promise == breaks(sabotage))
        });
        assert!(noticed.is_some(), "{sabotage:?} goes unnoticed in {WORLDS_MAX} worlds");
    }
}

#[test]
fn without_sabotage_the_same_worlds_keep_every_promise() {
    for (level, worlds) in [(Level::Keys, WORLDS_MAX), (Level::Frames, 3)] {
        for seed in 1..=worlds {
            let report = fleet::play(Instant::now(), &Plan::new(seed, level), true);
            let broken: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
            assert_eq!(broken, [""; 0], "seed {seed} at the level of {level:?}");
        }
    }
}

#[test]
fn a_seed_plays_the_same_world_again() {
    for level in [Level::Keys, Level::Frames] {
        let play = |seed| {
            let report = fleet::play(Instant::now(), &Plan::new(seed, level), false);
            (report.transcript, report.calls, report.keys, report.attempts)
        };
        assert_eq!(play(11), play(11));
        assert_ne!(play(11), play(12));
    }
}

#[test]
fn the_worlds_are_worth_playing() {
    let (mut approved, mut declined, mut kills, mut secured) = (0, 0, 0, 0);
    let mut told = std::collections::BTreeMap::<String, u64>::new();
    for seed in 1..=WORLDS_MAX {
        let report = fleet::play(Instant::now(), &Plan::new(seed, Level::Keys), false);
        approved += report.approved;
        declined += report.attempts - report.approved;
        kills += report.kills;
        secured += report.secured;
        report.told.into_iter().for_each(|(result, count)| *told.entry(result).or_default() += count);
    }
    for result in ["approved", "declined", "unknown", "canceled"] {
        assert!(told.get(result).is_some_and(|count| *count > 0), "nobody goes back {result}: {told:?}");
    }
    assert!(approved > 50 && declined > 50, "{approved} approved, {declined} not");
    assert!(kills > 5 && secured > 100, "{kills} deaths, {secured} lines secured");
}
