//! `cargo xtask …`: everything a developer or CI does with this workspace, one command each.
//!
//! # Invariants
//! - No network besides the package managers' own (cargo, npm, pip and, as root, apt).
//! - What decides (edges, licenses, sizes, card numbers, links) is pure and tested; only the command's own function
//!   reads files or starts programs.
//! - A failing step stops the command, says which step it was, and the exit code is not 0.
//!
//! # Layout
//! - [`run`]: programs and timed steps. [`metadata`]: what cargo knows of the workspace. [`files`]: what git knows.
//! - [`setup`], [`web`], [`demo`], [`mod@test`], [`mod@bench`], [`soak`], [`fuzz`], [`ci`]: the commands that build and run.
//! - [`walls`]: who may use whom, `unsafe`, licenses, bans. [`tidy`]: sizes and words. [`links`]: the documents.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod bench;
mod ci;
mod demo;
mod files;
mod fuzz;
mod gateways;
mod links;
mod metadata;
mod run;
mod setup;
mod soak;
mod test;
mod tidy;
mod walls;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of the Tonewall workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build everything and run the demo; arguments are passed on (`--once --headless`).
    Demo {
        /// Passed on to `tonewall demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Set up, check the web desk, run all tests.
    Test,
    /// All that CI does: `test`, then format, lints, walls, tidy, supply chain, documents.
    Ci {
        /// Leave `test` out, because it ran before.
        #[arg(long)]
        skip_test: bool,
    },
    /// Check who uses whom, `unsafe`, licenses and banned crates.
    Walls,
    /// Check sizes, leftovers and card numbers in files.
    Tidy,
    /// Check the relative links of all Markdown files.
    Links,
    /// Check supply chain by cargo-deny, where it is installed.
    Deny,
    /// Install the web desk's packages and build it.
    Web,
    /// Bring what the tests need: Debian, npm and PyPI packages.
    Setup,
    /// Run all benchmarks.
    Bench,
    /// Try payments by the hundred thousand, the mask and the detectors on all their keys and hours of sound: an hour and a half.
    Soak,
    /// Give everything that reads bytes from outside what nobody thought of (needs cargo-fuzz).
    Fuzz {
        /// How long each target is tried.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Of these targets, the folders of `fuzz/corpus`; without any, of all.
        targets: Vec<String>,
    },
    /// Teach the gate of the mask anew, and write its weights: a few minutes.
    TrainGate,
}

fn main() -> ExitCode {
    match chore(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore(chore: Chore) -> anyhow::Result<()> {
    let root = run::root()?;
    match chore {
        Chore::Demo { arguments } => demo::run(&root, &arguments),
        Chore::Test => test::run(&root),
        Chore::Ci { skip_test } => ci::run(&root, skip_test),
        Chore::Walls => walls::run(&root),
        Chore::Tidy => tidy::run(&root),
        Chore::Links => links::run(&root),
        Chore::Deny => ci::deny(&root),
        Chore::Web => web::install(&root).and_then(|()| web::build(&root)),
        Chore::Setup => setup::for_test(&root),
        Chore::Bench => setup::for_build(&root).and_then(|()| bench::run(&root)),
        Chore::Soak => setup::for_soak(&root).and_then(|()| soak::run(&root)),
        Chore::Fuzz { seconds, targets } => setup::for_build(&root).and_then(|()| fuzz::run(&root, seconds, &targets)),
        Chore::TrainGate => setup::for_soak(&root).and_then(|()| soak::train_gate(&root)),
    }
}
