//! `tonewall lab relay`: the media plane alone.

use crate::{log, print, runtime, stop};
use anyhow::Context;
use node::relay::{Pair, Relay, Wanted};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
A call has two legs of RTP: PCMU (payload type 0) in packets of 20 ms, telephone-event as 101. Each line of the file is a
call: CALLER AGENT CALLER_REMOTE AGENT_REMOTE. RTP and RTCP share a port (rtcp-mux). Send as the caller from port CALLER_REMOTE to port CALLER, and receive on
CALLER_REMOTE what the agent says; the agent's side is the same. What comes from another port is dropped. Calls share
remote ports: tell them apart by the port that a packet comes from. The file is complete as soon as it is there.

  tonewall lab relay --calls 100 --masked --pairs pairs.txt
  cargo run --release -p trials -- capacity      measures a relay; see docs/performance.md

Each call takes four ports and as many open files; the limit is raised as far as the hard limit allows (`ulimit -Hn`).";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES, group(clap::ArgGroup::new("line").required(true).args(["plain", "masked"])))]
pub(crate) struct Arguments {
    /// How many calls.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16_000))]
    calls: u16,
    /// Every line is open: what comes on one leg goes out on the other.
    #[arg(long)]
    plain: bool,
    /// Every line is secured: the agent gets the caller's voice, 20 ms late and without keys.
    #[arg(long)]
    masked: bool,
    /// The first port; the calls' and then the remote ones follow it.
    #[arg(long, value_name = "P", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..))]
    first_port: u16,
    /// Media threads; a call stays on one.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// A socket a port, even where packets could be steered to one socket a thread.
    #[arg(long)]
    own_sockets: bool,
    /// Where the ports of the calls are written, once all of them are open.
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    log();
    let Arguments { calls, masked, first_port, own_sockets, .. } = *arguments;
    let wanted = Wanted { calls, masked, first_port, workers: usize::from(arguments.workers), own_sockets };
    runtime()?.block_on(async {
        let stop = stop::signal_to_stop(false)?;
        let relay = Relay::open(wanted).await?;
        write(&arguments.pairs, relay.pairs()).with_context(|| arguments.pairs.display().to_string())?;
        let kind = if masked { "masked" } else { "plain" };
        print(&format!("relaying {calls} {kind} calls. Ctrl-C ends it."));
        relay.run(stop).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Under another name first: whoever waits for the file finds all of it.
fn write(file: &Path, pairs: &[Pair]) -> std::io::Result<()> {
    let lines: String = pairs.iter().map(|pair| format!("{pair}\n")).collect();
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".new");
    std::fs::write(&unfinished, lines)?;
    std::fs::rename(unfinished, file)
}
