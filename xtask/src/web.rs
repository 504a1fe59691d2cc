//! The web desk's packages, checks and bundle. Nothing is done twice: file times tell what is stale.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::run::Tool;

/// What the bundles are made of, relative to `office/web`.
const SOURCES: [&str; 8] = [
    "src",
    "caller",
    "public",
    "index.html",
    "package-lock.json",
    "vite.config.ts",
    "vite.caller.config.ts",
    "tsconfig.json",
];
/// The desk's, and that of the demo's telephone.
const BUNDLES: [&str; 2] = ["dist/index.html", "dist-caller/index.html"];

fn folder(root: &Path) -> PathBuf {
    root.join("office/web")
}

fn npm(root: &Path, arguments: &[&str]) -> Result<()> {
    Tool::new("npm", &folder(root)).args(arguments).run()
}

/// Installs the packages of the lock file, unless they stand.
pub(crate) fn install(root: &Path) -> Result<()> {
    let web = folder(root);
    // npm writes this file at the end of an installation.
    if changed_since(&web, &["package-lock.json", ".npmrc"], "node_modules/.package-lock.json")? {
        return npm(root, &["ci", "--no-audit", "--no-fund"]);
    }
    println!("npm packages: as the lock file says");
    Ok(())
}

/// Lints, types and unit tests.
pub(crate) fn check(root: &Path) -> Result<()> {
    npm(root, &["run", "check"])
}

/// Builds the bundles, unless they are newer than all they are made of.
pub(crate) fn build(root: &Path) -> Result<()> {
    for bundle in BUNDLES {
        if changed_since(&folder(root), &SOURCES, bundle)? {
            return npm(root, &["run", "build"]);
        }
    }
    println!("web bundles: up to date");
    Ok(())
}

/// Is the result missing, or older than one of the sources?
pub(crate) fn changed_since(folder: &Path, sources: &[&str], result: &str) -> Result<bool> {
    let Ok(built) = fs::metadata(folder.join(result)).and_then(|data| data.modified()) else { return Ok(true) };
    for source in sources {
        if newest(&folder.join(source))?.is_some_and(|changed| changed > built) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The latest change in a file or anywhere below a folder (a folder's own time tells of deletions).
fn newest(path: &Path) -> Result<Option<SystemTime>> {
    let Ok(data) = fs::metadata(path) else { return Ok(None) };
    let mut latest = Some(data.modified()?);
    if data.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
            latest = latest.max(newest(&entry?.path())?);
        }
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bundle_is_stale_when_missing_or_older_than_a_file_deep_below() {
        let folder = std::env::temp_dir().join(format!("xtask-web-{}", std::process::id()));
        fs::create_dir_all(folder.join("src/deep")).unwrap();
        fs::write(folder.join("src/deep/a.ts"), "a").unwrap();
        assert!(changed_since(&folder, &["src"], "out").unwrap());

        let out = fs::File::create(folder.join("out")).unwrap();
        let source = fs::File::options().write(true).open(folder.join("src/deep/a.ts")).unwrap();
        let later = source.metadata().unwrap().modified().unwrap() + Duration::from_secs(100);
        out.set_modified(later).unwrap();
        assert!(!changed_since(&folder, &["src", "absent"], "out").unwrap());

        source.set_modified(later + Duration::from_secs(1)).unwrap();
        assert!(changed_since(&folder, &["src"], "out").unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
