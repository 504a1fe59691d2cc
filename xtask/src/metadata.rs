//! The parts of `cargo metadata` that the chores read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run::Tool;

/// All packages, and who uses whom as resolved.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// Ours and other people's.
    pub(crate) packages: Vec<Package>,
    /// The resolved graph; absent when asked without dependencies.
    pub(crate) resolve: Option<Resolve>,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
}

/// One package.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Cargo's opaque id.
    pub(crate) id: String,
    /// SPDX expression.
    pub(crate) license: Option<String>,
    /// Where it comes from; `None` is a folder on this machine, which is to say ours.
    pub(crate) source: Option<String>,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// What its `Cargo.toml` declares, optional and platform-bound ones included.
    pub(crate) dependencies: Vec<Dependency>,
    /// Cargo features, and what each switches on.
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// Libraries, binaries, benchmarks.
    pub(crate) targets: Vec<Target>,
}

/// One declared dependency.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    /// The package's real name, also where it is renamed.
    pub(crate) name: String,
    /// `None` is a normal one; else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Set when it is a folder on this machine.
    pub(crate) path: Option<PathBuf>,
    /// Features asked of it.
    #[serde(default)]
    pub(crate) features: Vec<String>,
}

/// Something that cargo builds from a package.
#[derive(Deserialize)]
pub(crate) struct Target {
    /// `lib`, `bin`, `bench`, …
    pub(crate) kind: Vec<String>,
    /// Its name.
    pub(crate) name: String,
}

/// The resolved graph.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    /// One a package.
    pub(crate) nodes: Vec<Node>,
}

/// A package in the resolved graph.
#[derive(Deserialize)]
pub(crate) struct Node {
    /// The package's id.
    pub(crate) id: String,
    /// What it uses.
    pub(crate) deps: Vec<NodeDependency>,
}

/// An edge of the resolved graph.
#[derive(Deserialize)]
pub(crate) struct NodeDependency {
    /// The id of the package used.
    pub(crate) pkg: String,
    /// In which ways.
    pub(crate) dep_kinds: Vec<DependencyKind>,
}

/// A way of using.
#[derive(Deserialize)]
pub(crate) struct DependencyKind {
    /// `None` is normal; else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// The whole graph as this machine builds it. Fails when `Cargo.lock` is not up to date.
pub(crate) fn whole(root: &Path) -> Result<Metadata> {
    let version = Tool::new("rustc", root).args(["-vV"]).stdout()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not tell its host")?;
    read(root, &["--locked", "--filter-platform", host])
}

/// Our own packages only; fast and offline.
pub(crate) fn ours(root: &Path) -> Result<Metadata> {
    read(root, &["--no-deps"])
}

fn read(root: &Path, arguments: &[&str]) -> Result<Metadata> {
    let json = Tool::cargo(root).args(["metadata", "--format-version", "1"]).args(arguments).stdout()?;
    serde_json::from_str(&json).context("cargo metadata is not as expected")
}
