//! The relays that are measured: ours, and Debian's rtpengine. Both on one core, with one thread for packets.

use super::clock;
use super::generator::Pair;
use super::ng::{Client, Value};
use super::process::Program;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where our ports begin, and rtpengine's, and the remote ones of its calls.
const FIRST_PORT: u16 = 10_000;
const REMOTE_PORT: u16 = 9_000;
const CONTROL_PORT: u16 = 8_999;
/// As many calls of rtpengine share their remote ports as with us.
const CALLS_PER_REMOTE: usize = 250;
/// Which its own documentation recommends for its detector: it needs to see a tone's beginning before it is sent.
const DELAY_BUFFER_MS: i64 = 60;
const START_SECONDS: u64 = 30;

/// Who relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Kind {
    Tonewall,
    Rtpengine,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Line {
    Plain,
    Masked,
}

/// A relay that runs.
pub(super) struct Relay {
    program: Program,
    pub(super) pairs: Vec<Pair>,
}

impl Relay {
    pub(super) fn start(
        kind: Kind,
        line: Line,
        calls: usize,
        tonewall: &Path,
        core: usize,
        nice: i32,
    ) -> anyhow::Result<Self> {
        match kind {
            Kind::Tonewall => start_tonewall(line, calls, tonewall, core, nice),
            Kind::Rtpengine => start_rtpengine(line, calls, core, nice),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.program.pid()
    }
}

fn start_tonewall(line: Line, calls: usize, tonewall: &Path, core: usize, nice: i32) -> anyhow::Result<Relay> {
    let file = std::env::temp_dir().join(format!("tonewall-pairs-{}", std::process::id()));
    // It may not be there.
    let _ = std::fs::remove_file(&file);
    let line = if line == Line::Masked { "--masked" } else { "--plain" };
    let (calls, first) = (calls.to_string(), FIRST_PORT.to_string());
    let file_name = file.to_string_lossy().into_owned();
    let arguments =
        ["lab", "relay", "--calls", &calls, line, "--first-port", &first, "--pairs", &file_name].map(str::to_owned);
    let mut program = Program::start(core, nice, tonewall, &arguments)?;
    let until = clock::ns() + START_SECONDS * 1_000_000_000;
    while !file.exists() {
        program.must_run()?;
        if clock::ns() > until {
            bail!("{} did not open {calls} calls", tonewall.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let pairs = text.lines().map(|line| pair(line).with_context(|| format!("no pair: {line}")));
    Ok(Relay { program, pairs: pairs.collect::<anyhow::Result<_>>()? })
}

fn pair(line: &str) -> Option<Pair> {
    let ports: Vec<u16> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    match ports[..] {
        [caller, agent, caller_remote, agent_remote] => {
            Some(Pair { relay: [caller, agent], remote: [caller_remote, agent_remote] })
        }
        _ => None,
    }
}

fn start_rtpengine(line: Line, calls: usize, core: usize, nice: i32) -> anyhow::Result<Relay> {
    let control = format!("--listen-ng=127.0.0.1:{CONTROL_PORT}");
    let arguments = [
        "--config-file=none",
        "--table=-1",
        "--num-threads=1",
        "--media-num-threads=1",
        "--interface=127.0.0.1",
        &control,
        "--port-min=10000",
        "--port-max=32000",
        "--foreground",
        "--log-stderr",
        "--log-level=1",
        "--timeout=3600",
    ];
    let mut program = Program::start(core, nice, &PathBuf::from("rtpengine"), &arguments.map(str::to_owned))?;
    let mut client = Client::new(CONTROL_PORT)?;
    let until = clock::ns() + START_SECONDS * 1_000_000_000;
    while let Err(error) = client.ask("ping", &[]) {
        program.must_run()?;
        if clock::ns() > until {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let pairs = (0..calls).map(|call| call_of_rtpengine(&mut client, line, call)).collect::<anyhow::Result<_>>()?;
    Ok(Relay { program, pairs })
}

/// The caller offers, the agent answers, and on a masked line the caller's keys are blocked from then on.
fn call_of_rtpengine(client: &mut Client, line: Line, call: usize) -> anyhow::Result<Pair> {
    let shared = (call / CALLS_PER_REMOTE * 2) as u16;
    let remote = [REMOTE_PORT + shared, REMOTE_PORT + shared + 1];
    let id = ("call-id", Value::Text(format!("call-{call}")));
    let from = ("from-tag", Value::text("caller"));
    let replace = ("replace", Value::List(vec![Value::text("origin")]));
    let ice = ("ICE", Value::text("remove"));
    let agent = client.describe("offer", remote[0], &[id.clone(), from.clone(), replace.clone(), ice.clone()])?;
    let to = ("to-tag", Value::text("agent"));
    let caller = client.describe("answer", remote[1], &[id.clone(), from.clone(), to, replace, ice])?;
    if line == Line::Masked {
        let security = ("DTMF-security", Value::text("silence"));
        let delay = ("delay-buffer", Value::Number(DELAY_BUFFER_MS));
        let flags = ("flags", Value::List(vec![Value::text("detect-DTMF")]));
        client.ask("block DTMF", &[id, from, security, delay, flags])?;
    }
    Ok(Pair { relay: [caller, agent], remote })
}
