//! `tonewall user`: people who may sign in.

use crate::{Folder, print, runtime, tell};
use anyhow::Context;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Adds a person. The password is read from a file, or asked for, or read from standard input.
    Add(Add),
    /// Sets what a person may do with money, from their next click on.
    Rights {
        #[command(flatten)]
        folder: Folder,
        /// E-mail address of the person.
        #[arg(long)]
        email: String,
        /// Words of charge, preauthorize, refund, store and finance, with commas between them; empty for none.
        #[arg(long)]
        rights: console::Rights,
    },
    /// Prints a link that signs a person in, once, within ten minutes: for a first sign-in or a forgotten password.
    Link {
        #[command(flatten)]
        folder: Folder,
        /// E-mail address of the person.
        #[arg(long)]
        email: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct Add {
    #[command(flatten)]
    folder: Folder,
    /// E-mail address; they sign in with it.
    #[arg(long)]
    email: String,
    /// Name, as the desk shows it.
    #[arg(long)]
    name: String,
    /// The extension that they answer on; an agent sees the calls of this extension and no others.
    #[arg(long)]
    extension: Option<wire::Extension>,
    /// What they may do.
    #[arg(long, default_value = "agent", value_parser = ["agent", "admin"])]
    role: String,
    /// What they may do with money: words of charge, preauthorize, refund, store and finance, with commas between them.
    #[arg(long, default_value = "charge")]
    rights: console::Rights,
    /// File with the password on its first line.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(add) => run_add(add),
        Command::Rights { folder, email, rights } => {
            runtime()?.block_on(console::user_rights(&load(&folder.path)?, &email, &rights))?;
            print(&format!("{email} may now: {rights}"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Link { folder, email } => {
            let config = load(&folder.path)?;
            let token = runtime()?.block_on(console::sign_in_link(&config, &email))?;
            print(&format!("http://{}{}", config.listen, crate::office::sign_in_path(&token)));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_add(add: Add) -> anyhow::Result<ExitCode> {
    if add.role == "agent" && add.extension.is_none() {
        anyhow::bail!(
            "an agent sees the calls of one extension: say which with --extension, or add an admin with --role admin"
        );
    }
    let config = load(&add.folder.path)?;
    let password = password(&add)?;
    let role = if add.role == "admin" { console::Role::Admin } else { console::Role::Agent };
    let email = add.email.clone();
    let user = console::NewUser {
        email: add.email,
        name: add.name,
        extension: add.extension,
        role,
        rights: add.rights,
        password,
    };
    runtime()?.block_on(console::user_add(&config, user))?;
    print(&format!("{email} may now sign in"));
    Ok(ExitCode::SUCCESS)
}

/// The office's configuration. What stands above its database's folder is made for everybody to pass: when root comes
/// before the first start, the office must still find its way.
fn load(folder: &Path) -> anyhow::Result<console::Config> {
    let config = console::Config::load(folder)?;
    if let Some(above) = config.database.parent().and_then(Path::parent) {
        std::fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    }
    Ok(config)
}

fn password(add: &Add) -> anyhow::Result<String> {
    let text = match &add.password_file {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("password file {}", file.display()))?,
        None => {
            if std::io::stdin().is_terminal() {
                tell("Password (at least 12 characters; it shows while you type):");
            }
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("reading the password from standard input")?;
            line
        }
    };
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
