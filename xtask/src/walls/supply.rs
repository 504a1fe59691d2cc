//! Other people's code: licenses, banned crates and sources by `deny.toml`, and no shell library in a core.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::spdx;
use super::table::{CORES, SHELL_LIBRARIES};
use crate::metadata::{Metadata, Package, Resolve};

/// What we read of `deny.toml`; cargo-deny reads the rest.
#[derive(Deserialize)]
pub(super) struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

impl Rules {
    /// Reads `deny.toml`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("deny.toml lacks what `walls` reads")
    }

    /// Every breach in words. `built` names the crates that are really built.
    pub(super) fn breaches(&self, packages: &[Package], built: &BTreeSet<String>) -> Vec<String> {
        let foreign = packages.iter().filter(|package| package.source.is_some());
        let of_packages = foreign.flat_map(|package| self.license(package).into_iter().chain(self.source(package)));
        of_packages.chain(self.banned(built)).collect()
    }

    fn license(&self, package: &Package) -> Option<String> {
        let excepted = self.licenses.exceptions.iter().filter(|exception| exception.name == package.name);
        let more: Vec<&String> = excepted.flat_map(|exception| &exception.allow).collect();
        let allowed =
            |license: &str| self.licenses.allow.iter().chain(more.iter().copied()).any(|listed| listed == license);
        let license = package.license.as_deref().unwrap_or("no license stated");
        let good = spdx::is_allowed(license, &allowed);
        (!good)
            .then(|| format!("{} {}: license `{license}` is not allowed by deny.toml", package.name, package.version))
    }

    fn source(&self, package: &Package) -> Option<String> {
        let source = package.source.as_deref().unwrap_or_default();
        let known = self.sources.allow_registry.iter().any(|url| source.strip_prefix("registry+") == Some(url));
        (!known).then(|| format!("{} {}: source `{source}` is not allowed by deny.toml", package.name, package.version))
    }

    fn banned(&self, built: &BTreeSet<String>) -> Vec<String> {
        let hits = self.bans.deny.iter().filter(|ban| built.contains(&ban.name));
        hits.map(|ban| format!("`{}` is banned: {} (see `cargo tree -i {0}`)", ban.name, ban.reason)).collect()
    }
}

/// Cores that link, directly or indirectly, what only shells may. Dev-dependencies are not linked into a core.
pub(super) fn impure_cores(metadata: &Metadata) -> Result<Vec<String>> {
    let resolve = metadata.resolve.as_ref().context("cargo metadata gave no graph")?;
    let names: BTreeMap<&str, &str> = metadata.packages.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let cores = metadata.packages.iter().filter(|p| p.source.is_none() && CORES.contains(&p.name.as_str()));
    let mut findings = Vec::new();
    for core in cores {
        let linked = linked_by(&core.id, resolve);
        let linked: BTreeSet<&str> = linked.iter().filter_map(|id| names.get(id).copied()).collect();
        let shells = SHELL_LIBRARIES.iter().filter(|library| linked.contains(**library));
        findings.extend(shells.map(|library| format!("core `{}` links `{library}`, which is for shells", core.name)));
    }
    Ok(findings)
}

fn linked_by<'a>(start: &'a str, resolve: &'a Resolve) -> BTreeSet<&'a str> {
    let nodes: BTreeMap<&str, _> = resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut found = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(id) = waiting.pop() {
        let Some(node) = nodes.get(id).filter(|_| found.insert(id)) else { continue };
        let linked = node.deps.iter().filter(|used| used.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        waiting.extend(linked.map(|used| used.pkg.as_str()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [licenses]
        allow = ["MIT"]
        exceptions = [{ crate = "passkey", allow = ["MPL-2.0"] }]
        [bans]
        deny = [{ crate = "old-tls", reason = "one TLS only" }]
        [sources]
        allow-registry = ["https://registry"]
    "#;

    fn package(name: &str, license: Option<&str>, source: &str) -> Package {
        let json = serde_json::json!({
            "name": name, "version": "1.0.0", "id": name, "license": license, "manifest_path": "", "dependencies": [],
            "source": (!source.is_empty()).then_some(source), "targets": [],
        });
        serde_json::from_value(json).unwrap()
    }

    fn breaches(packages: &[Package], built: &[&str]) -> Vec<String> {
        Rules::parse(RULES).unwrap().breaches(packages, &built.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn good_packages_and_named_exceptions_pass() {
        let good = package("a", Some("MIT"), "registry+https://registry");
        let excepted = package("passkey", Some("MPL-2.0"), "registry+https://registry");
        let ours = package("wire", None, "");
        assert_eq!(breaches(&[good, excepted, ours], &["a"]), Vec::<String>::new());
    }

    #[test]
    fn a_foreign_license_source_or_banned_crate_is_named() {
        let license = package("a", Some("MPL-2.0"), "registry+https://registry");
        let none = package("b", None, "registry+https://registry");
        let git = package("c", Some("MIT"), "git+https://example.com/c");
        let found = breaches(&[license, none, git], &["old-tls"]);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].contains("`MPL-2.0`") && found[1].contains("no license stated"));
        assert!(found[2].contains("source `git+") && found[3].contains("`old-tls` is banned: one TLS only"));
    }

    #[test]
    fn a_core_that_links_a_shell_library_through_another_is_named() {
        let edge = |to: &str, kind: Option<&str>| serde_json::json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] });
        let node = |id: &str, deps: &[serde_json::Value]| serde_json::json!({ "id": id, "deps": deps });
        let nodes = [
            node("sip", &[edge("helper", None)]),
            node("media", &[edge("tokio", Some("dev"))]),
            node("helper", &[edge("tokio", None)]),
            node("tokio", &[]),
        ];
        let resolve = serde_json::from_value(serde_json::json!({ "nodes": nodes })).unwrap();
        let registry = "registry+https://registry";
        let packages = vec![
            package("sip", None, ""),
            package("media", None, ""),
            package("helper", None, registry),
            package("tokio", None, registry),
        ];
        let metadata = Metadata { packages, resolve: Some(resolve), target_directory: "".into() };
        assert_eq!(impure_cores(&metadata).unwrap(), ["core `sip` links `tokio`, which is for shells"]);
    }
}
