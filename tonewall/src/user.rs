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
    /// Makes an API key and prints it, once: a program that shows it may do what the person may.
    Key {
        #[command(flatten)]
        folder: Folder,
        /// E-mail address of the person.
        #[arg(long)]
        email: String,
        /// What it is for, as the list of keys and the audit trail say.
        #[arg(long)]
        name: String,
    },
    /// Lists the API keys: name, person, when made, when last used. Or revokes one: it is refused from the next request on,
    /// and streams of events that it has opened end within a second.
    Keys {
        #[command(flatten)]
        folder: Folder,
        /// The keys of this person alone.
        #[arg(long)]
        email: Option<String>,
        /// Lists those that were revoked, too.
        #[arg(long, conflicts_with = "revoke")]
        all: bool,
        /// Revokes the key of this name, for good. Where several people have one, --email says whose.
        #[arg(long, value_name = "NAME")]
        revoke: Option<String>,
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
        Command::Key { folder, email, name } => {
            print(&runtime()?.block_on(console::api_key_add(&load(&folder.path)?, &email, &name))?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys { folder, email, all: _, revoke: Some(name) } => {
            let key = runtime()?.block_on(console::api_key_revoke(&load(&folder.path)?, &name, email.as_deref()))?;
            print(&format!("revoked: {} of {}", key.name, key.user));
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys { folder, email, all, revoke: None } => {
            let mut keys = runtime()?.block_on(console::api_keys(&load(&folder.path)?))?;
            keys.retain(|key| email.as_ref().is_none_or(|email| key.user.eq_ignore_ascii_case(email)));
            keys.retain(|key| all || key.revoked_at.is_none());
            list(&keys);
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

fn list(keys: &[console::ApiKey]) {
    if keys.is_empty() {
        return tell("There are no such keys. tonewall user key makes one.");
    }
    let width = |of: fn(&console::ApiKey) -> &str| keys.iter().map(|key| of(key).chars().count()).max().unwrap_or(0);
    let (name, user) = (width(|key| &key.name).max(4), width(|key| &key.user).max(4));
    print(&format!("{:name$}  {:user$}  {:20}  {:20}", "NAME", "USER", "CREATED", "LAST USED"));
    for key in keys {
        let used = key.last_used_at.as_deref().map_or("never", seconds);
        let end = key.revoked_at.as_deref().map(|at| format!("  revoked {}", seconds(at))).unwrap_or_default();
        let created = seconds(&key.created_at);
        print(&format!("{:name$}  {:user$}  {created:20}  {used:20}{end}", key.name, key.user));
    }
}

/// A time without its fractions, as people read it.
fn seconds(at: &str) -> &str {
    at.split('.').next().unwrap_or(at)
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
