//! `tonewall restored`: what is missing after the office was restored from a backup, and to go on without it.

use crate::{Folder, print, runtime, tell};
use console::MissingRecords;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// Go on without the records of this number, which are gone. Needs --email and --reason.
    #[arg(long, value_name = "NUMBER", requires = "email", requires = "reason")]
    accept: Option<i64>,
    /// Who says so: a user with the right `finance`.
    #[arg(long, requires = "accept")]
    email: Option<String>,
    /// Why, for the audit trail.
    #[arg(long, requires = "accept")]
    reason: Option<String>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = console::Config::load(&arguments.folder.path)?;
    if !config.database.exists() {
        anyhow::bail!("{}: there is no such database", config.database.display());
    }
    let Arguments { accept, email, reason, .. } = arguments;
    if let Some(((number, email), reason)) = accept.zip(email).zip(reason) {
        let missing = runtime()?.block_on(console::accept_missing(&config, number, &email, &reason))?;
        print(&format!("{}\nThe office goes on without them within seconds.", said(&missing)));
        return Ok(ExitCode::SUCCESS);
    }
    let all = runtime()?.block_on(console::missing_records(&config))?;
    all.iter().for_each(|missing| print(&said(missing)));
    if all.is_empty() {
        tell("No records of the card side are missing here.");
    }
    if all.iter().any(|missing| missing.accepted.is_none()) {
        tell(
            "What is not accepted stops the office: it stores nothing, and nothing can be taken.\n\
             What is gone is the audit trail of that time (calls, lines, who did what). Every attempt at a gateway is told again by \
             the card side: nothing is charged for it, and none looks as if it had not been.\n\
             A younger backup may have these records: restore that instead, if there is one.\n\
             Else go on without them: tonewall restored --accept NUMBER --email YOU --reason \"…\"",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// One line, with the number to accept it by.
pub(crate) fn said(missing: &MissingRecords) -> String {
    let MissingRecords { id, first, last, after, before, accepted } = missing;
    let count = last.saturating_sub(*first).saturating_add(1);
    let after = after.as_deref().unwrap_or("the beginning");
    let before = before.as_deref().unwrap_or("the restore");
    let end = match accepted {
        None => "NOT ACCEPTED".to_owned(),
        Some((who, at, reason)) => format!("accepted by {who} at {at}: {reason}"),
    };
    format!("{id}: {count} records are missing ({first} to {last}), of the time from {after} to {before}; {end}")
}
