//! `cargo xtask test`: all tests, ours and those that drive other people's software.

use std::path::Path;

use anyhow::Result;

use crate::run::{Steps, Tool};
use crate::{setup, web};

/// Where the builds without a mask stand.
const CONTROL: &str = "target/control";

/// Sets up, then tests; the first failing step ends it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("setup", || setup::for_test(root))?;
    steps.step("web: lint, types, unit tests", || web::check(root))?;
    // Before the Rust tests, since the console embeds the bundle and the browser tests drive it.
    steps.step("web: bundle", || web::build(root))?;
    // Every check for a leak must be seen to fail somewhere: in a build whose masking is off.
    steps.step("control build", || control(root))?;
    // SIPp, baresip, multimon-ng, spandsp and Chromium are driven from `tonewall/tests`, so they are part of this.
    steps.step("tests", || tests(root))?;
    // Not in nextest; among them are the proofs that a secret cannot be printed, cloned or used twice.
    steps.step("documentation tests", || Tool::cargo(root).args(["test", "--workspace", "--doc"]).run())?;
    steps.summary();
    Ok(())
}

/// In a folder of its own, so that nobody starts it for the product. `tonewall/tests/peers/stage/binary.rs` finds it.
fn control(root: &Path) -> Result<()> {
    let feature = ["build", "--package", "tonewall", "--features", "masking-off-control"];
    Tool::cargo(root).args(feature).args(["--target-dir", CONTROL]).run()?;
    // The media's own tests have a control of their own.
    let feature = ["test", "--quiet", "--package", "media", "--features", "masking-off-control"];
    let tests = ["--test", "session", "--test", "rfc4733"];
    Tool::cargo(root).args(feature).args(tests).args(["--target-dir", CONTROL]).run()
}

fn tests(root: &Path) -> Result<()> {
    if Tool::cargo(root).args(["nextest", "--version"]).succeeds() {
        return Tool::cargo(root).args(["nextest", "run", "--workspace", "--no-fail-fast"]).run();
    }
    println!("cargo-nextest is not installed; cargo test runs the same tests, slower");
    Tool::cargo(root).args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]).run()
}
