//! `tonewall credential`: seals a gateway's credential on the machine of who has it, so that nobody on the way can read it.

use crate::{print, tell};
use anyhow::{Context, ensure};
use std::io::Read;
use std::process::ExitCode;
use wire::CredentialSlot;

/// The longest credential.
const BYTES_MAX: u64 = 4096;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Reads a credential from standard input and prints it sealed: for the office (POST /api/v1/gateways/NAME/credential).
    ///
    /// Example: tonewall credential seal --to HEX --gateway stripe < stripe.key
    Seal(SealArguments),
}

#[derive(clap::Args)]
pub(crate) struct SealArguments {
    /// The cde's public key: `seal_to` of GET /api/v1/gateways. Compare it over another channel: who has another key has the credential.
    #[arg(long, value_name = "HEX")]
    to: String,
    /// The gateway's name in cde.toml. Sealed for one, it opens for no other.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// Which of its credentials: key or webhook_key.
    #[arg(long, value_name = "SLOT", default_value = "key")]
    slot: CredentialSlot,
}

pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Seal(arguments) = command;
    let mut plain = Vec::with_capacity(usize::try_from(BYTES_MAX)? + 1);
    std::io::stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut plain).context("standard input")?;
    let length = plain.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    ensure!(
        length > 0,
        "standard input is empty: give the credential there, not as an argument, which other users see"
    );
    ensure!(u64::try_from(length)? <= BYTES_MAX, "longer than any credential");
    plain.truncate(length);
    let sealed = node::seal_credential(&arguments.to, &arguments.gateway, arguments.slot, &plain);
    print(&sealed.map_err(|message| anyhow::anyhow!("--to: {message}"))?);
    tell(&format!("sealed: the {} of gateway {}", arguments.slot.as_str(), arguments.gateway));
    Ok(ExitCode::SUCCESS)
}
