//! What the system says of a process, and programs that run on a core of their own.

use anyhow::{Context, bail};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `USER_HZ` of every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used, and now holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) cpu_seconds: f64,
    /// For so long its threads were ready and another program had the core.
    pub(super) waited_seconds: f64,
    /// Memory of its own: `RssAnon`.
    pub(super) memory_bytes: u64,
}

impl Usage {
    pub(super) fn read(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the relay has ended")?;
        // The name in parentheses may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix("kB"));
        let kib: u64 = kib.context("no RssAnon")?.trim().parse()?;
        Ok(Self {
            cpu_seconds: (ticks(11) + ticks(12)) / TICKS_PER_SECOND,
            waited_seconds: waited(pid)?,
            memory_bytes: kib * 1024,
        })
    }

    /// What it has used since; what it holds stays what it is now.
    pub(super) fn since(self, before: &Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            waited_seconds: self.waited_seconds - before.waited_seconds,
            ..self
        }
    }
}

fn waited(pid: u32) -> anyhow::Result<f64> {
    let mut ns = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        ns += text.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    }
    Ok(ns / 1e9)
}

/// Packets that these ports' sockets had no room for.
pub(super) fn drops(ports: &[u16]) -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/net/udp")?;
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
        ports.contains(&port).then(|| fields.last()?.parse::<u64>().ok())?
    };
    Ok(text.lines().skip(1).filter_map(of).sum())
}

/// A program that is ended when this is dropped.
pub(super) struct Program(Child);

impl Program {
    /// Starts it on one core.
    pub(super) fn start(core: usize, nice: i32, program: &Path, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), "nice", "-n", &nice.to_string()]).arg(program).args(arguments);
        let shown = program.display();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("{shown} on a core of its own"))?))
    }

    /// taskset and nice become the program, so this is its id.
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// An error if it has ended.
    pub(super) fn must_run(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.0.try_wait()? {
            bail!("the relay has ended: {status}");
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
        // Its ports are free a moment later.
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Brings this process to a core.
pub(super) fn stay_on(core: usize, nice: i32) -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    for (program, arguments) in [
        ("taskset", ["-a", "-c", "-p", &core.to_string(), &pid]),
        ("renice", ["-n", &nice.to_string(), "-p", &pid, ""]),
    ] {
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
        let status = status.with_context(|| format!("{program}; package util-linux"))?;
        anyhow::ensure!(status.success(), "{program} failed");
    }
    Ok(())
}
