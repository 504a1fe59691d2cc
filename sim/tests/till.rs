//! One payment's money: what is broken on purpose is noticed, and nothing else is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs, reason = "test code")]

use sim::till::{Broken, play};
use std::time::Instant;

/// What is broken must show within so many runs; most does in the first hundred.
const RUNS_MAX: u64 = 3_000;

#[test]
fn what_is_broken_on_purpose_is_noticed() {
    for broken in Broken::ALL {
        let noticed = (1..=RUNS_MAX).find(|seed| !play(Instant::now(), *seed, Some(broken)).broken.is_empty());
        assert!(noticed.is_some(), "{broken:?} goes unnoticed in {RUNS_MAX} runs");
    }
}

#[test]
fn otherwise_every_promise_is_kept() {
    for seed in 1..=RUNS_MAX {
        let report = play(Instant::now(), seed, None);
        assert_eq!(report.broken, [""; 0], "seed {seed}");
    }
}

#[test]
fn a_seed_plays_the_same_run_again() {
    let began = Instant::now();
    assert_eq!(play(began, 11, None), play(began, 11, None));
}

#[test]
fn the_runs_are_worth_playing() {
    let all: Vec<_> = (1..=1_000).map(|seed| play(Instant::now(), seed, None)).collect();
    let sum = |of: fn(&sim::till::Report) -> u64| all.iter().map(of).sum::<u64>();
    assert!(sum(|run| run.attempts) > 500, "{} attempts", sum(|run| run.attempts));
    assert!(sum(|run| run.follow_ups) > 300, "{} follow-ups", sum(|run| run.follow_ups));
    assert!(sum(|run| run.refused) > 100, "{} refused", sum(|run| run.refused));
    let (deaths, faults, approved) = (sum(|run| run.deaths), sum(|run| run.faults), sum(|run| run.approved));
    assert!(deaths > 600 && faults > 600 && approved > 600, "{deaths} deaths, {faults} faults, {approved} approved");
}
