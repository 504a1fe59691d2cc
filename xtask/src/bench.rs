//! `cargo xtask bench`: every benchmark of the workspace.

use std::path::Path;

use anyhow::Result;

use crate::metadata::{self, Package};
use crate::run::Tool;

/// Runs them one after the other, so that they do not disturb each other.
pub(crate) fn run(root: &Path) -> Result<()> {
    for (package, bench) in benches(&metadata::ours(root)?.packages) {
        Tool::cargo(root).args(["bench", "--package", package, "--bench", bench]).run()?;
    }
    Ok(())
}

fn benches(packages: &[Package]) -> Vec<(&str, &str)> {
    let targets = packages.iter().flat_map(|package| package.targets.iter().map(move |target| (package, target)));
    let benches = targets.filter(|(_, target)| target.kind.iter().any(|kind| kind == "bench"));
    benches.map(|(package, target)| (package.name.as_str(), target.name.as_str())).collect()
}
