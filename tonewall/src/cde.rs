//! `tonewall cde`: the card data environment alone.

use crate::{Folder, crypto, log, run_to_end, stop, tell};
use anyhow::Context;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// The office's user id; only this user may come through the door. Overrides `[door] office_uid`.
    #[arg(long, value_name = "UID")]
    pub(crate) office_uid: Option<u32>,
    /// Stop when standard input closes.
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Before any thread and any secret, passwords in the configuration among them.
    node::harden().context("hardening")?;
    let config = node::Config::load(&arguments.folder.path.join("cde.toml"));
    // The last thing that needs a right, if it was given one.
    let sockets = config.as_ref().map_or_else(|_| node::MediaSockets::own(1), node::MediaSockets::prepare);
    node::drop_capabilities().context("hardening")?;
    log();
    crypto();
    let mut config = config?;
    config.door.office_uid = arguments.office_uid.or(config.door.office_uid);
    let places = node::Places::new(&config, &arguments.folder.path);
    run_to_end(async {
        let stop = stop::signal_to_stop(arguments.supervised)?;
        node::run(config, places, sockets, stop, |sip| tell(&format!("cde: ready, SIP on {}", addresses(sip)))).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Our addresses, each with its transport.
fn addresses(locals: &[node::Local]) -> String {
    let one = |local: &node::Local| format!("{} {}", local.transport.name().to_ascii_lowercase(), local.address);
    locals.iter().map(one).collect::<Vec<_>>().join(", ")
}
