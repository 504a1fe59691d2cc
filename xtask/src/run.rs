//! Starting programs, and steps with the time each took.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The workspace's folder. Asked at run time, so that a binary in a shared target folder serves any checkout.
pub(crate) fn root() -> Result<PathBuf> {
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_path_buf).context("xtask must stand in a folder of the workspace")
}

/// A program to run in a folder, with its standard streams passed through.
pub(crate) struct Tool {
    command: Command,
    shown: String,
}

impl Tool {
    /// Any program found on the PATH.
    pub(crate) fn new(program: &str, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder);
        Self { command, shown: program.to_owned() }
    }

    /// The cargo that started us. What cargo told *us* about our own package is taken out of the environment: build
    /// scripts that watch such variables would be built again at each change between `cargo` and `cargo xtask`.
    pub(crate) fn cargo(root: &Path) -> Self {
        let program = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut tool = Self::new(&program, root);
        "cargo".clone_into(&mut tool.shown);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_about_our_own_package) {
                tool.command.env_remove(name);
            }
        }
        tool
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        for argument in arguments {
            self.shown.push(' ');
            self.shown.push_str(&argument.as_ref().to_string_lossy());
            self.command.arg(argument);
        }
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end; anything but success is an error that names the command line.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {}", self.shown);
        let status = self.command.status().with_context(|| format!("cannot start `{}`", self.shown))?;
        if status.success() {
            return Ok(());
        }
        bail!("`{}` ended with {status}", self.shown)
    }

    /// Runs it silently and gives what it wrote on stdout.
    pub(crate) fn stdout(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| format!("cannot start `{}`", self.shown))?;
        if !output.status.success() {
            bail!("`{}` ended with {}: {}", self.shown, output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{}` did not write UTF-8", self.shown))
    }

    /// Runs it silently; did it start and succeed?
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// Becomes this program, so that signals reach it. Returns only when it could not start.
    pub(crate) fn become_it(mut self) -> Result<()> {
        use std::os::unix::process::CommandExt as _;
        println!("$ {}", self.shown);
        Err(self.command.exec()).with_context(|| format!("cannot start `{}`", self.shown))
    }
}

fn is_about_our_own_package(variable: &str) -> bool {
    const PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
}

/// The steps of a long command, each announced before and timed after.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Runs one step. Its failure names the step, after the times of those before it were shown.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n== {name}");
        let started = now();
        let result = work();
        self.done.push((name, now().duration_since(started)));
        if result.is_err() {
            self.summary();
        }
        result.with_context(|| format!("step `{name}` failed"))
    }

    /// Shows how long each step took.
    pub(crate) fn summary(&self) {
        println!("\n== times");
        for (name, took) in &self.done {
            println!("{:>8.1} s  {name}", took.as_secs_f64());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a command-line tool is a shell, and this is its only clock")]
fn now() -> Instant {
    Instant::now()
}

/// Prints findings and fails when there is one.
pub(crate) fn report(command: &str, findings: &[String]) -> Result<()> {
    for finding in findings {
        println!("{command}: {finding}");
    }
    match findings.len() {
        0 => {
            println!("{command}: nothing found");
            Ok(())
        }
        count => bail!("{command}: {count} finding(s)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_arguments() {
        let error = Tool::new("false", Path::new("/")).args(["--now"]).run().unwrap_err();
        assert!(error.to_string().contains("`false --now`"), "{error}");
    }

    #[test]
    fn a_failing_step_is_named() {
        let mut steps = Steps::default();
        steps.step("good", || Ok(())).unwrap();
        let error = steps.step("bad", || bail!("no")).unwrap_err();
        assert_eq!(format!("{error:#}"), "step `bad` failed: no");
        assert_eq!(steps.done.len(), 2);
    }

    #[test]
    fn only_what_cargo_said_of_xtask_is_hidden_from_cargo() {
        assert!(is_about_our_own_package("CARGO_PKG_NAME"));
        assert!(!is_about_our_own_package("CARGO_TARGET_DIR") && !is_about_our_own_package("CARGO_INCREMENTAL"));
    }
}
