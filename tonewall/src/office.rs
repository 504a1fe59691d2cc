//! `tonewall office`: the office alone.

use crate::{Folder, crypto, log, run_to_end, stop, tell};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// The cde's user id; only its door is believed. Overrides `door_peer_uid`.
    #[arg(long, value_name = "UID")]
    pub(crate) cde_uid: Option<u32>,
    /// Stop when standard input closes.
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    log();
    crypto();
    let mut config = console::Config::load(&arguments.folder.path)?;
    config.door_peer_uid = arguments.cde_uid.or(config.door_peer_uid);
    run_to_end(async {
        let stop = stop::signal_to_stop(arguments.supervised)?;
        let first = console::first_admin(&config).await?;
        let server = console::Server::start(config).await?;
        tell(&format!("office: ready, http://{}/", server.addr));
        if let Some(token) = first {
            tell(&format!(
                "office: nobody has signed in here yet. This link signs in {}, once, within ten minutes:\n  \
                 http://{}{}\n  Later links: tonewall user link --email {0}\n  \
                 Agents see calls, an admin none: tonewall user add --extension EXTENSION --email EMAIL --name NAME",
                console::FIRST_ADMIN,
                server.addr,
                sign_in_path(&token)
            ));
        }
        server.run_until(stop::stopped(stop)).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Where a sign-in token is used.
pub(crate) fn sign_in_path(token: &str) -> String {
    format!("/api/v1/session/auto?token={token}")
}
