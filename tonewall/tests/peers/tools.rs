//! Other people's programs: started, limited in time, and ended by their process id.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// What a program said before it ended.
pub struct Said {
    pub good: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Everything, for a message.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a program to its end, at most so long.
pub async fn run(program: &str, arguments: &[&str], most: Duration) -> anyhow::Result<Said> {
    run_command(Command::new(program).args(arguments), most).await
}

/// The same for a command with more to it.
pub async fn run_command(command: &mut Command, most: Duration) -> anyhow::Result<Said> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let command = std::mem::replace(command, Command::new("false"));
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(most, output).await {
        Ok(output) => output.with_context(|| format!("{shown} cannot be started; is it installed?"))?,
        Err(_) => bail!("{shown} did not end within {} s", most.as_secs()),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { good: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// Runs a program that must succeed; returns what it wrote.
pub async fn must(program: &str, arguments: &[&str], most: Duration) -> anyhow::Result<String> {
    let said = run(program, arguments, most).await?;
    if !said.good {
        bail!("{program} {} failed:\n{}", arguments.join(" "), said.all());
    }
    Ok(said.stdout)
}

/// A program in the background. It is killed when this is dropped.
pub struct Background {
    child: Child,
    shown: String,
}

impl Background {
    /// Starts it; both its outputs go to a file.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        Self::spawn(command.stdin(Stdio::null()), log)
    }

    /// Starts one that is told what to do by lines.
    pub fn start_told(command: &mut Command, log: &Path) -> anyhow::Result<(Self, ChildStdin)> {
        let mut started = Self::spawn(command.stdin(Stdio::piped()), log)?;
        let orders = started.child.stdin.take().context("no standard input")?;
        Ok((started, orders))
    }

    fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let file = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        let command = command.stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("{shown} cannot be started; is it installed?"))?;
        Ok(Self { child, shown })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGINT) and waits for it.
    pub async fn interrupt(mut self, most: Duration) -> anyhow::Result<bool> {
        signal("INT", self.pid());
        self.ended(most).await
    }

    /// Waits for its end; was it a good one?
    pub async fn ended(&mut self, most: Duration) -> anyhow::Result<bool> {
        let until = Instant::now() + most;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{} did not end within {} s", self.shown, most.as_secs());
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process that we started. The shell's own `kill` is there on every system.
pub fn signal(name: &str, pid: u32) {
    let script = format!("kill -{name} {pid}");
    // A process that is gone already cannot be signaled, which is what was wanted.
    let _ = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
}

/// Waits until a file holds some words.
pub async fn file_says(file: &Path, words: &str, most: Duration) -> anyhow::Result<String> {
    let until = Instant::now() + most;
    loop {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
        if text.contains(words) {
            return Ok(text);
        }
        if Instant::now() > until {
            bail!("waited {} s for “{words}”; it says:\n{text}", most.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A program of the Python environment that `cargo xtask test` makes.
pub fn python(program: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers/bin")).join(program)
}

/// Are we root? Some promises can only be seen by root.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
