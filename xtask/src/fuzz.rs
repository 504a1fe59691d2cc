//! `cargo xtask fuzz`: bytes that nobody thought of, for everything that reads bytes from outside.
//!
//! The programs stand in `fuzz`, outside the workspace, and what they call in `inputs`, inside it. The inputs that are kept
//! are given to the same functions by a test, which needs no fuzzer.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::{Steps, Tool};

/// The folder of the kept inputs, a folder a target.
const CORPUS: &str = "fuzz/corpus";
/// Where those are put that a run finds worth trying again.
const FOUND: &str = "target/fuzz/found";
/// Longer inputs say nothing new: a datagram of SIP and a packet of sound have fewer bytes.
const LENGTH_MAX: &str = "-max_len=4096";
/// An input that takes longer is a finding.
const SECONDS_AN_INPUT: &str = "-timeout=10";
const MEGABYTES: &str = "-rss_limit_mb=1024";

/// Each of the named targets, or each of all, for so many seconds.
pub(crate) fn run(root: &Path, seconds: u32, named: &[String]) -> Result<()> {
    if !Tool::new("cargo", root).args(["fuzz", "--version"]).succeeds() {
        bail!(
            "cargo-fuzz is needed, and a C++ compiler (Debian: `g++`). Please run: cargo install cargo-fuzz --locked"
        );
    }
    let all = targets(root)?;
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    let mut steps = Steps::default();
    for target in all.iter().filter(|target| named.is_empty() || named.contains(target)) {
        steps.step("fuzz", || one(root, seconds, target))?;
    }
    steps.summary();
    Ok(())
}

fn targets(root: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(root.join(CORPUS)).with_context(|| format!("cannot read {CORPUS}"))?;
    let mut targets = Vec::new();
    for entry in entries {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}

/// Without a sanitizer, which stable Rust has none of; what counts coverage is reached by `RUSTC_BOOTSTRAP`. A finding ends it
/// with an error, and cargo-fuzz says where the input lies.
fn one(root: &Path, seconds: u32, target: &str) -> Result<()> {
    let (found, kept) = (format!("{FOUND}/{target}"), format!("{CORPUS}/{target}"));
    fs::create_dir_all(root.join(&found)).with_context(|| format!("cannot make {found}"))?;
    let time = format!("-max_total_time={seconds}");
    Tool::cargo(root)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", "run", "-s", "none", target, &found, &kept, "--"])
        .args([time.as_str(), LENGTH_MAX, SECONDS_AN_INPUT, MEGABYTES, "-print_final_stats=1", "-verbosity=0"])
        .run()
}
