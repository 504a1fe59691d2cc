//! Plays seeded worlds and says which promises were broken, if any.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use clap::{Parser, ValueEnum};
use sim::fleet::{self, Order, Total};
use sim::plan::{Level, Plan};
use sim::till;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Plays simulated calls against the real cores and checks what was promised.
#[derive(Parser)]
struct Arguments {
    /// How closely media is played: `keys` is fast, `frames` makes every packet. `money` plays no call,
    /// but one payment's money: attempts, what follows them, a bank that breaks and deaths between any two steps.
    #[arg(long, value_enum, default_value = "keys")]
    level: LevelName,
    /// How many calls to play, or payments.
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play just the world of --seed, and its twin.
    #[arg(long)]
    one: bool,
    /// Threads; 0 is one a core.
    #[arg(long, default_value_t = 0)]
    threads: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum LevelName {
    Keys,
    Frames,
    Money,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cores = std::thread::available_parallelism().map_or(1, |cores| u64::try_from(cores.get()).unwrap_or(1));
    let threads = if arguments.threads == 0 { cores } else { arguments.threads };
    let level = match arguments.level {
        LevelName::Keys => Level::Keys,
        LevelName::Frames => Level::Frames,
        LevelName::Money => return money(&arguments, threads),
    };
    if arguments.one {
        println!("{:#?}", Plan::new(arguments.seed, level));
    }
    let (calls, threads) = if arguments.one { (1, 1) } else { (arguments.calls, threads) };
    let shown = AtomicU64::new(0);
    let order = Order { level, calls, seed: arguments.seed, threads };
    let total = fleet::run(order, |calls| {
        // Ten words on the way are enough.
        let tenth = calls * 10 / order.calls.max(1);
        if tenth > shown.fetch_max(tenth, Ordering::Relaxed) && !arguments.one {
            eprintln!("{calls} calls");
        }
    });
    say(&total, arguments.level);
    if total.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "how fast it plays is measured here; the runs have a time of their own")]
fn money(arguments: &Arguments, threads: u64) -> ExitCode {
    let began = Instant::now();
    let runs = if arguments.one { 1 } else { arguments.calls };
    let total = till::many(began, runs, arguments.seed, threads);
    let (seconds, sum) = (began.elapsed().as_secs_f64(), &total.sum);
    println!(
        "{} payments: {} attempts, {} captures, voids and refunds ({} more were refused), {} done; {} deaths, {} answers \
         lost or spoilt; {seconds:.1} s",
        total.runs, sum.attempts, sum.follow_ups, sum.refused, sum.approved, sum.deaths, sum.faults
    );
    for (seed, broken) in &total.failed {
        println!("\nseed {seed} breaks a promise; play it again with --level money --seed {seed} --one");
        broken.iter().for_each(|broken| println!("  {broken}"));
    }
    if total.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(total: &Total, level: LevelName) {
    let seconds = total.took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a rate for people to read")]
    let rate = total.calls as f64 / seconds.max(0.001);
    println!(
        "{} calls in {} worlds: {} lines secured, {} keys, {} attempts ({} approved), {} deaths, {} twins; {seconds:.1} s, {rate:.0} calls/s",
        total.calls, total.worlds, total.secured, total.keys, total.attempts, total.approved, total.kills, total.twins
    );
    let name = match level {
        LevelName::Keys => "keys",
        LevelName::Frames => "frames",
        LevelName::Money => "money",
    };
    for (seed, violations) in &total.failed {
        println!("\nseed {seed} breaks a promise; play it again with --level {name} --seed {seed} --one");
        violations.iter().for_each(|violation| println!("  {violation}"));
    }
}
