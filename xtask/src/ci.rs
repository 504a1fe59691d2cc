//! `cargo xtask ci`: all that must hold before a change lands.

use std::path::Path;

use anyhow::Result;

use crate::run::{Steps, Tool};
use crate::{links, soak, test, tidy, walls};

/// Runs everything; the first failing step ends it.
pub(crate) fn run(root: &Path, skip_test: bool) -> Result<()> {
    if !skip_test {
        test::run(root)?;
    }
    let mut steps = Steps::default();
    steps.step("format", || Tool::cargo(root).args(["fmt", "--all", "--check"]).run())?;
    steps.step("walls", || walls::run(root))?;
    steps.step("tidy", || tidy::run(root))?;
    steps.step("lints", || clippy(root))?;
    steps.step("simulation", || simulation(root))?;
    steps.step("leaks", || soak::leaks_of_ci(root))?;
    steps.step("spoilt messages", || soak::storm_of_ci(root))?;
    steps.step("payments at banks that break", || soak::payments_of_ci(root))?;
    steps.step("documents", || documents(root))?;
    steps.step("supply chain", || deny(root))?;
    steps.summary();
    Ok(())
}

fn clippy(root: &Path) -> Result<()> {
    Tool::cargo(root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

/// Calls at the level of keys, fewer with every packet of sound, and many payments without a call. The first seeds are always the same; a failing one is
/// printed with the line that plays it again.
fn simulation(root: &Path) -> Result<()> {
    for arguments in [
        ["--level", "keys", "--calls", "100000"],
        ["--level", "frames", "--calls", "2000"],
        ["--level", "money", "--calls", "1000000"],
    ] {
        Tool::cargo(root)
            .args(["run", "--quiet", "--profile", "sim", "--package", "sim", "--"])
            .args(arguments)
            .run()?;
    }
    Ok(())
}

fn documents(root: &Path) -> Result<()> {
    links::run(root)?;
    // Private items too: a crate's page on its own layout links to its private modules.
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    Tool::cargo(root).args(arguments).env("RUSTDOCFLAGS", "-D warnings").run()
}

/// cargo-deny, where it is installed. It is never installed silently: `walls` checks the same `deny.toml` without it.
pub(crate) fn deny(root: &Path) -> Result<()> {
    if !Tool::cargo(root).args(["deny", "--version"]).succeeds() {
        println!("cargo-deny is not installed; `walls` has checked licenses, bans and sources of deny.toml");
        return Ok(());
    }
    Tool::cargo(root).args(["deny", "check", "bans", "licenses", "sources"]).run()
}
