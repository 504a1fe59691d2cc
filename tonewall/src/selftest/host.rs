//! What of this machine and this program matters to whoever reads a report.

use anyhow::Context;
use aws_lc_rs::digest;
use serde_json::{Value, json};

/// The program: its version and what its file is.
pub(super) fn program() -> anyhow::Result<Value> {
    let file = std::env::current_exe().context("finding this program's file")?;
    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "sha256": super::hex(digest::digest(&digest::SHA256, &bytes).as_ref()),
        "debug_build": cfg!(debug_assertions),
    }))
}

/// The machine. No name of it and no address.
pub(super) fn facts() -> Value {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let (release, memory, kernel) =
        (read("/etc/os-release"), read("/proc/meminfo"), read("/proc/sys/kernel/osrelease"));
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let memory_kb = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let memory_kb = memory_kb.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    json!({
        "system": system.map(|name| name.trim_matches('"')),
        "kernel": kernel.trim(),
        "architecture": std::env::consts::ARCH,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_mb": memory_kb.map(|kb| kb / 1024),
    })
}
