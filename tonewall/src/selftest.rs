//! `tonewall selftest`: calls through the running system, judged by what the agent's phone received.

mod call;
mod evidence;
mod host;
pub(crate) mod key;
pub(crate) mod report;

use crate::world::{Setting, World, own_media};
use crate::{crypto, print, runtime, stop, tell};
use anyhow::Context;
use call::{Case, Keys, Masking};
use clap::ValueEnum;
use key::SigningKey;
use node::config::Media;
use report::{Report, hex};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::sync::watch;

const EXPLANATION: &str = "\
What is tested: this program on this machine, with both processes as `serve` runs them: SIP, sound, masking, keys, payment.
For each way that keys travel and each way of masking a caller speaks, pays with a published test card and keys all ten
digits. What the agent's phone received is read by two detectors and a witness; no event and no INFO may be in it. Every
case has controls: the same listeners must hear the keys where they are, or the case has failed.

What is not tested: your carrier, your PBX, their phones and the network between (they stand elsewhere, and simulated
phones on this machine take their place), your trunks, routes and payment gateway (a sandbox acquirer takes its place,
always), two users for the two processes, and a `serve` that runs already, which is left alone. A passed self-test says
nothing of a key that your carrier sends to the agent past Tonewall.

The report is one line of JSON in the canonical form of RFC 8785. `signature` is Ed25519 (hex) over the same object
without `signature`; `public_key` stands in it. Without --config the key is made for one run and forgotten: the report can
then be told from a changed one, but not from another run's. Compare the public key with the one you know.

  tonewall selftest --config /etc/tonewall --report selftest.json
  tonewall selftest --config /etc/tonewall --verify selftest.json
  tonewall selftest --keys tones,events --masking natural";

#[derive(clap::Args)]
#[command(after_help = EXPLANATION)]
pub(crate) struct Arguments {
    /// Take the media settings of the cde.toml there (address, ports, threads; each way of masking is tested whatever
    /// stands there), and keep the signing key there, in selftest.key.
    #[arg(long, value_name = "FOLDER", env = "TONEWALL_CONFIG")]
    config: Option<PathBuf>,
    /// Where the report is written; the default is standard output.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Only these ways of keys. The report then says that it is not complete.
    #[arg(long, value_enum, value_delimiter = ',')]
    keys: Vec<Keys>,
    /// Only these ways of masking. The report then says that it is not complete.
    #[arg(long, value_enum, value_delimiter = ',')]
    masking: Vec<Masking>,
    /// Test nothing; say whether this report is as it was signed. Status 0 means that it is, whatever its verdict.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["report", "keys", "masking"])]
    verify: Option<PathBuf>,
    /// With --verify: whose report it must be. The default is the key in the configuration folder, if one is named.
    #[arg(long, value_name = "HEX", requires = "verify")]
    public_key: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(file) = &arguments.verify {
        return verify(file, arguments);
    }
    crypto();
    // Before minutes of calls: a folder that is not usable is said at once.
    let media = arguments.config.as_deref().map(configured).transpose()?;
    let key = SigningKey::of(arguments.config.as_deref())?;
    let mut report = Report::begin(media.as_ref())?;
    runtime()?.block_on(async {
        let stop = stop::signal_to_stop(false)?;
        every_case(arguments, media, &mut report, stop).await
    })?;
    let (line, passed) = report.sign(&key, is_complete(arguments))?;
    match &arguments.report {
        Some(file) => std::fs::write(file, &line).with_context(|| file.display().to_string())?,
        None => print(line.trim_end()),
    }
    tell(&format!(
        "selftest: {}. Public key {}{}",
        if passed { "passed" } else { "FAILED" },
        hex(&key.public()),
        if key.is_kept() { "" } else { ", of this run alone" }
    ));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The `[media]` of a configuration.
fn configured(folder: &Path) -> anyhow::Result<Media> {
    anyhow::ensure!(folder.is_dir(), "{}: there is no such folder", folder.display());
    Ok(node::Config::load(&folder.join("cde.toml"))?.media)
}

fn is_complete(arguments: &Arguments) -> bool {
    let all = |wanted: usize, all: usize| wanted == 0 || wanted == all;
    all(keys(arguments).len(), Keys::value_variants().len())
        && all(masking(arguments).len(), Masking::value_variants().len())
}

/// What was asked for, in the order of the help and each once.
fn keys(arguments: &Arguments) -> Vec<Keys> {
    let wanted = |keys: &Keys| arguments.keys.is_empty() || arguments.keys.contains(keys);
    Keys::value_variants().iter().copied().filter(wanted).collect()
}

fn masking(arguments: &Arguments) -> Vec<Masking> {
    let wanted = |masking: &Masking| arguments.masking.is_empty() || arguments.masking.contains(masking);
    Masking::value_variants().iter().copied().filter(wanted).collect()
}

async fn every_case(
    arguments: &Arguments,
    media: Option<Media>,
    report: &mut Report,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (media, keys) = (media.unwrap_or_else(own_media), keys(arguments));
    for masking in masking(arguments) {
        tell(&format!("selftest: starting Tonewall, masking {masking}"));
        let media = Media { masking: masking.into(), ..media.clone() };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let setting = Setting { name: "selftest", listen, media, records: false, page: false };
        let world = World::start(setting).await.context("starting Tonewall for the self-test")?;
        let result = tokio::select! {
            result = cases(&world, masking, &keys, report) => result.map(Some),
            () = stop::stopped(stop.clone()) => Ok(None),
        };
        let folder = world.stop().await;
        if matches!(result, Ok(Some(true) | None)) {
            // Nobody needs the folder; a temporary folder that stays is no failure of what was tested.
            let _ = std::fs::remove_dir_all(folder);
        } else {
            tell(&format!("selftest: what the processes said is in {}", folder.display()));
        }
        anyhow::ensure!(result?.is_some(), "stopped; there is no report");
    }
    Ok(())
}

/// Plays these cases in one world; did all of them pass?
async fn cases(world: &World, masking: Masking, keys: &[Keys], report: &mut Report) -> anyhow::Result<bool> {
    let desk = world.desk().await?;
    report.warned(desk.warnings().await?);
    let mut all = true;
    for keys in keys {
        let case = Case { keys: *keys, masking };
        let judged = call::play(world, &desk, case).await?;
        let passed = judged.problems.is_empty();
        all &= passed;
        tell(&format!("selftest: {case}: {}", judged.summary));
        judged.problems.iter().for_each(|problem| tell(&format!("  FAILED: {problem}")));
        report.add(judged.value, passed);
    }
    Ok(all)
}

fn verify(file: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let shown = file.display();
    let expected = match (&arguments.public_key, &arguments.config) {
        (Some(text), _) => {
            Some(report::unhex(&text.to_ascii_lowercase()).context("--public-key: expected 64 hexadecimal digits")?)
        }
        (None, Some(folder)) => Some(key::kept(folder)?.public()),
        (None, None) => None,
    };
    let bytes = std::fs::read(file).with_context(|| shown.to_string())?;
    let report = report::verify(&bytes, expected).with_context(|| shown.to_string())?;
    let word = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default();
    let cases = report.get("cases").and_then(Value::as_array).map_or(0, Vec::len);
    let complete = report.get("complete").and_then(Value::as_bool).unwrap_or_default();
    print(&format!(
        "{shown}: as it was signed at {}, by key {}{}\nverdict: {}, {cases} cases{}",
        word("ended"),
        word("public_key"),
        if expected.is_some() { "" } else { " (is it the one you know?)" },
        word("verdict"),
        if complete { "" } else { ", which are not all" }
    ));
    Ok(ExitCode::SUCCESS)
}
