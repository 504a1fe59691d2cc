//! `tonewall lab`: what `serve` never loads, for trying things out.

use crate::{print, runtime, stop};
use anyhow::Context;
use std::net::SocketAddr;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// The sandbox acquirer, for a gateway of kind "sandbox". It takes published test cards only and moves no money.
    Acquirer {
        /// Where it listens; an address of this machine alone, because its controls ask for no key.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090", value_parser = loopback)]
        listen: SocketAddr,
    },
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected ADDRESS:PORT".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err("only this machine may reach it: 127.0.0.1:PORT or [::1]:PORT".to_owned()),
    }
}

pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Acquirer { listen } = command;
    runtime()?.block_on(async {
        let stop = stop::signal_to_stop(false)?;
        let address =
            lab::acquirer::start(*listen).await.with_context(|| format!("the sandbox acquirer on {listen}"))?;
        print(&format!(
            "sandbox acquirer: http://{address} (published test cards only; no money moves). Ctrl-C ends it."
        ));
        stop::stopped(stop).await;
        Ok(ExitCode::SUCCESS)
    })
}
