//! `cargo xtask tidy`: sizes with a ratchet, leftovers, and card numbers that are not published test cards.
//!
//! - [`size`]: files and functions. [`functions`]: where functions begin and end.
//! - [`limits`]: `tidy.toml`, the named exceptions, which may only go down.
//! - [`words`]: what no file may hold. [`cards`]: numbers that look like a card's.

mod cards;
mod functions;
mod limits;
mod size;
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use self::limits::Limits;
use crate::files;
use crate::run::{Tool, report};

const LIMITS: &str = "xtask/tidy.toml";

/// Checks every text file of the project and names each finding.
pub(crate) fn run(root: &Path) -> Result<()> {
    let limits = fs::read_to_string(root.join(LIMITS)).with_context(|| format!("cannot read {LIMITS}"))?;
    let limits = Limits::parse(&limits)?;
    let cards = cards::TestCards::published();
    let texts = files::texts(root)?;
    let mut findings = Vec::new();
    for file in &texts {
        if let Some(warning) = size::warnings(file, &limits) {
            println!("tidy: warning: {warning}");
        }
        findings.extend(size::breaches(file, &limits));
        findings.extend(words::breaches(file));
        findings.extend(cards.breaches(file));
    }
    findings.extend(size::stale(&texts, &limits));
    for earlier in ["HEAD", "HEAD~1"] {
        findings.extend(raised(root, &limits, earlier));
    }
    findings.sort();
    findings.dedup();
    report("tidy", &findings)
}

/// Exceptions that are higher than they were. Where there is no such commit (a first one, a shallow clone) or the
/// file was not there yet, nothing was raised.
fn raised(root: &Path, limits: &Limits, earlier: &str) -> Vec<String> {
    let old = Tool::new("git", root).args(["show", &format!("{earlier}:{LIMITS}")]).stdout();
    let old = old.and_then(|text| Limits::parse(&text));
    old.map(|old| limits.raised_since(&old)).unwrap_or_default()
}
