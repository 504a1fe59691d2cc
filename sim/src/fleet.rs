//! Many worlds, on all cores. What it says of a failing seed is enough to play that world again.

use crate::oracle::{Promise, Violation};
use crate::plan::{Level, Plan};
use crate::world::{Report, World};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After so many failing seeds the rest would not be read.
const FAILED_MAX: usize = 5;

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// How closely.
    pub level: Level,
    /// How many calls, at least.
    pub calls: u64,
    /// The first seed; the others follow.
    pub seed: u64,
    /// On how many threads.
    pub threads: u64,
}

/// What was played.
#[derive(Default)]
pub struct Total {
    /// Worlds, twins not counted.
    pub worlds: u64,
    /// Calls, twins not counted.
    pub calls: u64,
    /// Lines that were secured.
    pub secured: u64,
    /// Keys, or packets of keys.
    pub keys: u64,
    /// Attempts at the bank.
    pub attempts: u64,
    /// Of them, approved.
    pub approved: u64,
    /// Deaths of a process.
    pub kills: u64,
    /// Worlds that were compared with their twin.
    pub twins: u64,
    /// Seeds with broken promises.
    pub failed: Vec<(u64, Vec<Violation>)>,
    /// How long it took.
    pub took: Duration,
}

impl Total {
    fn add(&mut self, seed: u64, report: Report, twin: bool) {
        self.worlds += 1;
        self.calls += report.calls;
        self.secured += report.secured;
        self.keys += report.keys;
        self.attempts += report.attempts;
        self.approved += report.approved;
        self.kills += report.kills;
        self.twins += u64::from(twin);
        if !report.violations.is_empty() {
            self.failed.push((seed, report.violations));
        }
    }
}

/// Plays one world and, if asked, its twin.
pub fn play(began: Instant, plan: &Plan, with_twin: bool) -> Report {
    let mut report = World::new(began, plan.clone()).run();
    if with_twin && (plan.has_twin() || plan.level == Level::Keys) {
        let twin = World::new(began, plan.twin()).run();
        if report.violations.is_empty() && twin.transcript != report.transcript {
            let what = where_they_part(began, plan);
            report.violations.push(Violation { promise: Promise::DigitsChangeNothing, at: Duration::ZERO, what });
        }
        report.violations.extend(twin.violations);
    }
    report
}

/// Plays both again, to say where other digits show first.
fn where_they_part(began: Instant, plan: &Plan) -> String {
    let plan = Plan { keeps: true, ..plan.clone() };
    let (one, other) = (World::new(began, plan.clone()).run().kept, World::new(began, plan.twin()).run().kept);
    let parts = one.iter().zip(&other).find(|(one, other)| one != other);
    let (one, other) = parts.map_or(("the end", "more"), |(one, other)| (one.as_str(), other.as_str()));
    format!("other digits at the same times show from outside:\n    {one}\n    {other}")
}

/// Plays until there were enough calls, or too many failures. `progress` is told the calls so far.
#[expect(
    clippy::disallowed_methods,
    reason = "how fast it plays is measured here; the worlds have a time of their own"
)]
pub fn run(order: Order, progress: impl Fn(u64) + Sync) -> Total {
    let began = Instant::now();
    let next = AtomicU64::new(order.seed);
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..order.threads.max(1) {
            scope.spawn(|| work(began, order, &next, &total, &progress));
        }
    });
    let mut total = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    total.took = began.elapsed();
    total
}

fn work(began: Instant, order: Order, next: &AtomicU64, total: &Mutex<Total>, progress: &(impl Fn(u64) + Sync)) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let plan = Plan::new(seed, order.level);
        let twin = plan.has_twin();
        let report = play(began, &plan, twin);
        let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        total.add(seed, report, twin);
        progress(total.calls);
        if total.calls >= order.calls || total.failed.len() >= FAILED_MAX {
            return;
        }
    }
}
