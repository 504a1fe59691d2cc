//! `tonewall pin`: the PINs by which agents secure a line from their own phone.

use crate::{Folder, print, tell};
use anyhow::Context;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Sets an agent's PIN: 6 to 12 digits, read from a file, or asked for, or read from standard input. A running cde takes it
    /// within ten seconds. It is kept as a keyed hash: nobody can read it again.
    Set {
        #[command(flatten)]
        folder: Folder,
        /// The agent's extension.
        #[arg(long)]
        extension: wire::Extension,
        /// File with the PIN on its first line.
        #[arg(long, value_name = "FILE")]
        pin_file: Option<PathBuf>,
    },
    /// Takes an agent's PIN away: they cannot secure a line by keys any more.
    Remove {
        #[command(flatten)]
        folder: Folder,
        /// The agent's extension.
        #[arg(long)]
        extension: wire::Extension,
    },
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (folder, extension, pin) = match command {
        Command::Set { folder, extension, pin_file } => (folder, extension, Some(read(pin_file.as_deref())?)),
        Command::Remove { folder, extension } => (folder, extension, None),
    };
    if let Some(pin) = &pin {
        node::pins::check(pin)?;
    }
    let config = node::Config::load(&folder.path.join("cde.toml"))?;
    let places = node::Places::new(&config, &folder.path);
    node::pins::set(&places.data, &extension, pin.as_deref())?;
    let done = if pin.is_some() { "has a new PIN" } else { "has no PIN any more" };
    print(&format!("{extension} {done}"));
    Ok(ExitCode::SUCCESS)
}

fn read(file: Option<&Path>) -> anyhow::Result<String> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("PIN file {}", file.display()))?,
        None => {
            if std::io::stdin().is_terminal() {
                tell("PIN (6 to 12 digits; it shows while you type):");
            }
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("reading the PIN from standard input")?;
            line
        }
    };
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
