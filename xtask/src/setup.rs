//! What a fresh Debian 12 with Rust and Node 20 lacks: cmake, by which a library of C is built, and for the tests a few
//! Debian packages more.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::Tool;
use crate::{gateways, web};

/// What builds the codec of Opus, with what runs it.
const BUILD_PACKAGES: [&str; 3] = ["cmake", "make", "gcc"];
const BUILD_TOOLS: [&str; 3] = ["cmake", "make", "cc"];
/// Other people's software that the proofs use. The demo needs none of it.
const TEST_PACKAGES: [&str; 16] = [
    "sip-tester",
    "baresip-core",
    "kamailio",
    "kamailio-tls-modules",
    "kamailio-websocket-modules",
    "linphone-cli",
    "rtpengine-daemon",
    "python3-venv",
    "multimon-ng",
    "libspandsp-dev",
    "pkg-config",
    "gcc",
    "tshark",
    "sox",
    "chromium",
    // The voice that judges the mask.
    "asterisk-core-sounds-en-wav",
];
/// Other voices, and codecs, for the soak and for teaching the gate.
const SOAK_PACKAGES: [&str; 11] = [
    "asterisk-core-sounds-es-wav",
    "asterisk-core-sounds-fr-wav",
    "asterisk-core-sounds-it-wav",
    "asterisk-core-sounds-ru-wav",
    "asterisk-prompt-it-menardi-wav",
    "asterisk-prompt-fr-armelle",
    "asterisk-prompt-es-co",
    "asterisk-moh-opsound-wav",
    "espeak-ng",
    "flite",
    "opus-tools",
];
/// Python's own, for the tests: a softphone of PJSIP, scanners that guess names and passwords, a bank
/// like Stripe, and Stripe's own library.
const TEST_WHEELS: [&str; 4] =
    ["pjsua2-python==2.15.1.post1", "sipvicious==0.3.8", "localstripe==1.15.10", "stripe==16.1.0"];
/// Where they stand; `tonewall/tests/peers/tools.rs` and `lab/tests/gateways` find them.
const TEST_PYTHON: &str = "target/peers";
/// The oldest Node the web desk is built with.
const NODE_MAJOR_MIN: u32 = 20;
/// Debian's switch against services that start by themselves when installed.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Everything that `cargo xtask demo` needs.
pub(crate) fn for_demo(root: &Path) -> Result<()> {
    node(root)?;
    for_build(root)
}

/// Everything that `cargo build` needs besides Rust. Where the tools are, however they came there, no package is asked for.
pub(crate) fn for_build(root: &Path) -> Result<()> {
    match BUILD_TOOLS.iter().all(|tool| Tool::new(tool, root).args(["--version"]).succeeds()) {
        true => Ok(()),
        false => debian(root, &BUILD_PACKAGES),
    }
}

/// Everything that `cargo xtask test` needs.
pub(crate) fn for_test(root: &Path) -> Result<()> {
    node(root)?;
    for_build(root)?;
    debian(root, &TEST_PACKAGES)?;
    python(root)?;
    web::install(root)?;
    gateways::install(root)
}

/// Everything that `cargo xtask soak` and `train-gate` need.
pub(crate) fn for_soak(root: &Path) -> Result<()> {
    for_build(root)?;
    debian(root, &TEST_PACKAGES)?;
    debian(root, &SOAK_PACKAGES)
}

fn node(root: &Path) -> Result<()> {
    let hint = "Node 20 or newer with npm is needed to build the web desk (https://nodejs.org)";
    let version = Tool::new("node", root).args(["--version"]).stdout().context(hint)?;
    if !node_is_new_enough(&version) {
        bail!("{hint}; here is {}", version.trim());
    }
    Tool::new("npm", root).args(["--version"]).stdout().context(hint).map(drop)
}

fn node_is_new_enough(version: &str) -> bool {
    let major = version.trim().trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= NODE_MAJOR_MIN)
}

fn debian(root: &Path, packages: &[&'static str]) -> Result<()> {
    let missing = missing(root, packages)?;
    if missing.is_empty() {
        println!("Debian packages: all there");
        return Ok(());
    }
    if !is_root(root)? {
        bail!("{}", please_install(&missing));
    }
    let _policy = NoServices::start()?;
    let apt = || Tool::new("apt-get", root).env("DEBIAN_FRONTEND", "noninteractive");
    apt().args(["update", "-q"]).run()?;
    apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(&missing).run()
}

/// An environment of its own, which is left alone when it has everything.
fn python(root: &Path) -> Result<()> {
    let pip = format!("{TEST_PYTHON}/bin/pip");
    let listed = Tool::new(&pip, root).args(["list", "--format", "freeze"]).stdout().unwrap_or_default();
    if TEST_WHEELS.iter().all(|wheel| listed.lines().any(|line| line == *wheel)) {
        println!("Python packages: all there");
        return Ok(());
    }
    Tool::new("python3", root).args(["-m", "venv", TEST_PYTHON]).run()?;
    Tool::new(&pip, root).args(["install", "--quiet", "--disable-pip-version-check"]).args(TEST_WHEELS).run()
}

fn missing(root: &Path, packages: &[&'static str]) -> Result<Vec<&'static str>> {
    let format = "${Package} ${db:Status-Status}\\n";
    // dpkg-query fails as a whole when one package is unknown, so its words are read and its exit code is not.
    let mut missing = Vec::new();
    if !Tool::new("dpkg-query", root).args(["--version"]).succeeds() {
        bail!("this is not Debian; install what these Debian 12 packages hold: {}", packages.join(" "));
    }
    for package in packages.iter().copied() {
        let status = Tool::new("dpkg-query", root).args(["-W", "-f", format, package]).stdout().unwrap_or_default();
        if !status.lines().any(|line| line.ends_with(" installed")) {
            missing.push(package);
        }
    }
    Ok(missing)
}

fn please_install(missing: &[&str]) -> String {
    format!(
        "Debian packages are missing and this is not root. Please run, then try again:\n  \
         sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    )
}

fn is_root(root: &Path) -> Result<bool> {
    Ok(Tool::new("id", root).args(["-u"]).stdout()?.trim() == "0")
}

/// While it lives, no freshly installed package may start a service. A policy that stood before is left alone.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn start() -> Result<Self> {
        let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY);
        match created {
            Ok(mut file) => {
                let policy = Self { ours: true };
                file.write_all(b"#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
                Ok(policy)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { ours: false }),
            Err(error) => Err(error).with_context(|| format!("cannot create {POLICY}")),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("please remove {POLICY}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_or_unreadable_node_is_refused() {
        assert!(node_is_new_enough("v20.19.2\n") && node_is_new_enough("v22.0.0"));
        assert!(!node_is_new_enough("v18.20.1") && !node_is_new_enough("") && !node_is_new_enough("nightly"));
    }

    #[test]
    fn who_is_not_root_gets_the_exact_line() {
        let words = please_install(&["sox", "tshark"]);
        assert!(words.ends_with("sudo apt-get install -y --no-install-recommends sox tshark"), "{words}");
    }
}
