//! The supervisor and its two children, found by their place in the process table.

use crate::tools::{Background, signal};
use anyhow::bail;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const APPEARS_MAX: Duration = Duration::from_secs(10);

/// The supervisor. When it is dropped, the three processes are killed.
pub struct Tree {
    supervisor: Background,
    folder: PathBuf,
}

impl Tree {
    pub fn new(supervisor: Background, folder: &Path) -> Self {
        Self { supervisor, folder: folder.to_owned() }
    }

    /// The process id of `cde` or `office`, once it runs.
    pub async fn child(&self, side: &str) -> anyhow::Result<u32> {
        let until = Instant::now() + APPEARS_MAX;
        while Instant::now() < until {
            if let Some((pid, _)) = self.children().into_iter().find(|(_, found)| found == side) {
                return Ok(pid);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the {side} process does not run");
    }

    /// Asks the supervisor to stop.
    pub fn terminate(&self) {
        signal("TERM", self.supervisor.pid());
    }

    /// Waits for the supervisor's end; was it a good one?
    pub async fn ended(&mut self, most: Duration) -> anyhow::Result<bool> {
        self.supervisor.ended(most).await
    }

    /// Process ids and sides of what the supervisor has started.
    fn children(&self) -> Vec<(u32, String)> {
        let own = self.supervisor.pid();
        let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| parent_of(*pid) == Some(own)).filter_map(|pid| Some((pid, self.side(pid)?))).collect()
    }

    /// The first argument, if this process works in our folder.
    fn side(&self, pid: u32) -> Option<String> {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8(line).ok()?;
        let mut words = line.split('\0');
        let side = words.nth(1)?.to_owned();
        words.any(|word| Path::new(word) == self.folder).then_some(side)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let children = self.children();
        // The supervisor first: it would start again what is killed.
        signal("KILL", self.supervisor.pid());
        children.iter().for_each(|(pid, _)| signal("KILL", *pid));
    }
}

/// A line of /proc/PID/status.
pub fn status_line(pid: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

fn parent_of(pid: u32) -> Option<u32> {
    status_line(pid, "PPid")?.parse().ok()
}
