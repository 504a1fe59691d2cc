//! `tonewall lab`: what `serve` never loads, for trying things out.

mod relay;

use crate::{print, runtime, said, stop, tell};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// The sandbox acquirer, for a gateway of kind "sandbox". It takes published test cards only and moves no money.
    Acquirer {
        /// Where it listens; an address of this machine alone, because its controls ask for no key.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090", value_parser = loopback)]
        listen: SocketAddr,
    },
    /// Reads the keys in files of sound (.wav of 8 kHz and 16 bits, .ul raw µ-law) and in captures (.pcap with RTP and SIP:
    /// tones, telephone-events and INFO, each press once), with what listens to live calls. Prints a line a file: its
    /// name, a tab, the keys.
    Decode {
        /// Say when each key was proved, in ms: 5@1230 1@1410.
        #[arg(long)]
        times: bool,
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Says a WAV file (8 kHz, 16 bits) as a caller on a secured line and writes what the agent hears, with the mask of live
    /// calls. Prints a JSON line: by how many ms what passes is late, how many frames of 20 ms there are, in how many
    /// anything was replaced, and in how many the caller's sound was crossed with another.
    Mask {
        /// natural: the voice passes, keys do not; strict: nothing passes.
        #[arg(long, value_enum, default_value_t = Mode::Natural)]
        mode: Mode,
        /// What the caller says.
        #[arg(value_name = "IN.wav")]
        input: PathBuf,
        /// What the agent hears.
        #[arg(value_name = "OUT.wav")]
        output: PathBuf,
    },
    /// Relays calls without SIP on 127.0.0.1, on the media threads that `serve` has: for measuring what they carry.
    Relay(relay::Arguments),
}

/// How a line is masked.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    Natural,
    Strict,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected ADDRESS:PORT".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err("only this machine may reach it: 127.0.0.1:PORT or [::1]:PORT".to_owned()),
    }
}

pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Acquirer { listen } => acquirer(*listen),
        Command::Relay(arguments) => relay::run(arguments),
        Command::Mask { mode, input, output } => mask(*mode, input, output),
        Command::Decode { times, files } => {
            // One file that cannot be read keeps none of the others from being read.
            let failed = files
                .iter()
                .filter(|file| {
                    decode(file, *times).inspect_err(|error| tell(&format!("tonewall: {}", said(error)))).is_err()
                })
                .count();
            Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn mask(mode: Mode, input: &Path, output: &Path) -> anyhow::Result<ExitCode> {
    let shown = input.display();
    let bytes = std::fs::read(input).with_context(|| shown.to_string())?;
    let masked = lab::mask::file(&bytes, mode == Mode::Natural, tokio::time::Instant::now().into_std())
        .with_context(|| shown.to_string())?;
    std::fs::write(output, masked.wav()).with_context(|| output.display().to_string())?;
    let (delay_ms, frames) = (masked.delay_ms, masked.frames);
    let (masked_frames, filtered_frames) = (masked.masked_frames, masked.filtered_frames);
    print(&format!(
        r#"{{"delay_ms":{delay_ms},"frames":{frames},"masked_frames":{masked_frames},"filtered_frames":{filtered_frames}}}"#
    ));
    Ok(ExitCode::SUCCESS)
}

fn decode(file: &Path, times: bool) -> anyhow::Result<()> {
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| shown.to_string())?;
    let read = lab::decode::file(&file.to_string_lossy(), &bytes, tokio::time::Instant::now().into_std())
        .with_context(|| shown.to_string())?;
    let key =
        |read: &lab::decode::Read| if times { format!("{}@{} ", read.key, read.at_ms) } else { read.key.to_string() };
    let keys: String = read.iter().map(key).collect();
    print(&format!("{shown}\t{}", keys.trim_end()));
    Ok(())
}

fn acquirer(listen: SocketAddr) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let stop = stop::signal_to_stop(false)?;
        let address =
            lab::acquirer::start(listen).await.with_context(|| format!("the sandbox acquirer on {listen}"))?;
        print(&format!(
            "sandbox acquirer: http://{address} (published test cards only; no money moves). Ctrl-C ends it."
        ));
        stop::stopped(stop).await;
        Ok(ExitCode::SUCCESS)
    })
}
