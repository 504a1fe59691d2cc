//! `cargo xtask walls`: who may use whom, where `unsafe` may stand, and what other people's code may come in.
//!
//! - [`table`]: the allowed edges, as `ARCHITECTURE.md` shows them. [`graph`]: the crates held against it.
//! - [`control`]: the build without masking, which nothing may switch on by itself.
//! - [`seams`]: the database behind its traits. [`unsafety`]: lints and `unsafe`.
//! - [`supply`]: `deny.toml` held against the lock file without cargo-deny, and cores without shell libraries. [`spdx`]: license expressions.

mod control;
mod graph;
mod seams;
mod spdx;
mod supply;
mod table;
mod unsafety;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::metadata::{self, Metadata, Package};
use crate::run::{Tool, report};
use crate::{files, walls::graph::Member};

/// Checks all walls and names every breach.
pub(crate) fn run(root: &Path) -> Result<()> {
    let metadata = metadata::whole(root)?;
    let members = members(root, &metadata)?;
    let mut findings = graph::breaches(&members);
    findings.extend(control::breaches(&metadata.packages));
    findings.extend(supply::impure_cores(&metadata)?);
    findings.extend(unsafety::lints(root, &members)?);
    let texts = files::texts(root)?;
    findings.extend(unsafety::sources(&texts));
    findings.extend(seams::breaches(&texts));
    let rules = fs::read_to_string(root.join("deny.toml")).context("cannot read deny.toml")?;
    let rules = supply::Rules::parse(&rules)?;
    findings.extend(rules.breaches(&metadata.packages, &built(root)?));
    report("walls", &findings)
}

/// Every package without a registry is ours, also one that is not (yet) a member of the workspace.
fn members(root: &Path, metadata: &Metadata) -> Result<Vec<Member>> {
    metadata.packages.iter().filter(|package| package.source.is_none()).map(|package| member(root, package)).collect()
}

fn member(root: &Path, package: &Package) -> Result<Member> {
    let folder = package.manifest_path.parent().and_then(|folder| folder.strip_prefix(root).ok());
    let folder = folder.with_context(|| format!("crate `{}` stands outside the workspace", package.name))?;
    let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
    let uses = ours.map(|used| (used.name.clone(), used.kind.clone().unwrap_or_else(|| "normal".to_owned())));
    Ok(Member { name: package.name.clone(), folder: folder.to_string_lossy().into_owned(), uses: uses.collect() })
}

/// Names of the crates that are really built. The resolved graph of `cargo metadata` also holds what weak features
/// only mention, so it would show crates that no build ever sees.
fn built(root: &Path) -> Result<BTreeSet<String>> {
    let tree = Tool::cargo(root)
        .args(["tree", "--locked", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"])
        .stdout()?;
    Ok(tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}
