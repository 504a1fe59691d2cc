//! `tonewall serve`: starts the two processes, under two users where it can, and starts them again when they die.

mod folders;
mod users;

use crate::{Folder, check, log, runtime, stop, tell};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
pub(crate) use users::Users;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Run both processes as the user who starts them. A taken-over office could then read what the cde keeps.
    #[arg(long)]
    pub(crate) one_user: bool,
}

/// Between a death and the next start.
const RESTART_PAUSE: Duration = Duration::from_millis(300);
/// A process that dies this soon after its start cannot run at all.
const TOO_SOON: Duration = Duration::from_secs(2);
/// Deaths too soon in a row, after which we give up on a process that has run before.
const TOO_SOON_MAX: u32 = 5;
/// How long a process may take to stop: calls are drained for 30 s.
const STOP_MAX: Duration = Duration::from_secs(35);

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    log();
    let folder = &arguments.folder.path;
    if !folder.is_dir() {
        anyhow::bail!("{}: there is no such folder", folder.display());
    }
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    // A configuration that cannot work is said here once, not five times by a process that dies.
    let cde = node::Config::load(&folder.join("cde.toml"))?;
    let office = console::Config::load(&folder)?;
    if let Some(problem) = check::together(&folder, &cde, &office) {
        anyhow::bail!("{problem}");
    }
    let users = Users::choose(arguments.one_user)?;
    users.prepare(&folder, &node::Places::new(&cde, &folder), &office.database)?;
    runtime()?.block_on(async {
        let stop = stop::signal_to_stop(false)?;
        supervise(&Plan { folder, users, logs: None, pids: None }, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What is supervised and where it may write.
pub(crate) struct Plan {
    pub(crate) folder: PathBuf,
    pub(crate) users: Users,
    /// Folder for `cde.log` and `office.log`; none: standard error.
    pub(crate) logs: Option<PathBuf>,
    /// Folder for `cde.pid` and `office.pid`, for tests that kill.
    pub(crate) pids: Option<PathBuf>,
}

/// Runs both processes until told to stop, or until one of them cannot run: the other alone would be half a Tonewall
/// that looks like a whole one.
pub(crate) async fn supervise(plan: &Plan, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let (stop_cde, cde_stops) = watch::channel(false);
    let (stop_office, office_stops) = watch::channel(false);
    let cde = async {
        let ended = keep_running(plan, "cde", cde_stops).await;
        // Only now: while calls are drained, their agents need the desk.
        stop_office.send_replace(true);
        ended
    };
    let office = async {
        let ended = keep_running(plan, "office", office_stops).await;
        stop_cde.send_replace(true);
        ended
    };
    let both = async { tokio::join!(cde, office) };
    let asked = async {
        stop::stopped(stop).await;
        stop_cde.send_replace(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        (cde, office) = both => cde.and(office),
        () = asked => Ok(()),
    }
}

/// Keeps one side running until told to stop; an error means that it cannot run.
async fn keep_running(plan: &Plan, side: &'static str, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let (mut too_soon, mut has_run) = (0, false);
    loop {
        let started = tokio::time::Instant::now();
        let mut child = plan.start(side)?;
        // Held here, because waiting for a child closes what it still has of its standard input.
        let leash = child.stdin.take();
        let status = tokio::select! {
            status = child.wait() => status?,
            () = stop::stopped(stop.clone()) => return end(child, leash).await,
        };
        has_run |= started.elapsed() >= TOO_SOON;
        too_soon = if started.elapsed() < TOO_SOON { too_soon + 1 } else { 0 };
        // What says at its first start that it cannot run will not run at its second.
        let cannot_run = !has_run && status.code().is_some_and(|code| code != 0);
        if cannot_run || too_soon >= TOO_SOON_MAX {
            // Said at once, because the other side may have calls to drain before the error is shown.
            tell(&format!("tonewall: giving up on the {side} process; the other one is stopped too"));
            anyhow::bail!("the {side} process ends as soon as it starts ({status}); what it said is above");
        }
        tell(&format!("tonewall: the {side} process ended ({status}); starting it again"));
        tokio::select! {
            () = tokio::time::sleep(RESTART_PAUSE) => {}
            () = stop::stopped(stop.clone()) => return Ok(()),
        }
    }
}

/// Closing its standard input is the signal; a process that does not listen is killed.
async fn end(mut child: Child, leash: Option<ChildStdin>) -> anyhow::Result<()> {
    drop(leash);
    if tokio::time::timeout(STOP_MAX, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

impl Plan {
    fn start(&self, side: &'static str) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("finding this program's file")?;
        let mut command = Command::new(program);
        command
            .arg(side)
            .arg("--supervised")
            .arg("--config")
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .kill_on_drop(true);
        self.users.apply(&mut command, side);
        if let Some(logs) = &self.logs {
            let log = log_file(logs, side)?;
            command.stdout(log.try_clone()?).stderr(log);
        }
        let child = command.spawn().with_context(|| format!("starting the {side} process"))?;
        if let (Some(pids), Some(pid)) = (&self.pids, child.id()) {
            std::fs::write(pids.join(format!("{side}.pid")), pid.to_string())?;
        }
        Ok(child)
    }
}

fn log_file(folder: &Path, side: &str) -> anyhow::Result<std::fs::File> {
    let path = folder.join(format!("{side}.log"));
    std::fs::OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())
}
