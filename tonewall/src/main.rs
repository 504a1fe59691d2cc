//! The one binary. It composes and supervises; it decides nothing.

mod cde;
mod check;
mod credential;
mod demo;
mod lab;
mod office;
mod pin;
mod restored;
mod selftest;
mod serve;
mod stop;
mod user;
mod vault;
mod world;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Blocks are wiped when they are freed: it covers the copies that libraries make of a request on its way to a gateway.
#[global_allocator]
static ALLOCATOR: node::WipingAllocator = node::WipingAllocator;

#[derive(Parser)]
#[command(
    name = "tonewall",
    version,
    about = "Take card payments on a phone call; nobody but the payment gateway ever has the card.",
    after_help = "First time here? `tonewall demo` shows a whole payment on this machine, offline."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on this machine, offline: a caller who keys a test card, an agent's phone, and the desk in a browser.
    Demo(demo::Arguments),
    /// The real thing: starts the cde and office processes and supervises them. Ctrl-C or SIGTERM drains calls.
    Serve(serve::Arguments),
    /// The card data environment alone.
    Cde(cde::Arguments),
    /// The office alone.
    Office(office::Arguments),
    /// Places calls with test cards, listens to the agent's phone, and writes a signed report: does the mask hold here?
    Selftest(selftest::Arguments),
    /// Reads the configuration and says what is wrong with it, with line numbers; with --call it has a test call placed.
    Check {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        call: check::Arguments,
    },
    /// Stored cards: keys, rotation, shredding, retention.
    #[command(subcommand)]
    Vault(vault::Command),
    /// People who may sign in.
    #[command(subcommand)]
    User(user::Command),
    /// The office was restored from a backup: what is missing since, and to go on without it.
    Restored(restored::Arguments),
    /// Credentials of gateways, sealed for the office to pass on.
    #[command(subcommand)]
    Credential(credential::Command),
    /// PINs by which agents secure a line from their own phone.
    #[command(subcommand)]
    Pin(pin::Command),
    /// For trying things out: the sandbox acquirer.
    #[command(subcommand)]
    Lab(lab::Command),
}

/// Where `cde.toml` and `office.toml` lie.
#[derive(clap::Args, Clone)]
struct Folder {
    /// Folder with cde.toml and office.toml; what is missing in them has a default.
    #[arg(long = "config", value_name = "FOLDER", default_value = ".", env = "TONEWALL_CONFIG")]
    path: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Cde(arguments) => cde::run(&arguments),
        Command::Office(arguments) => office::run(&arguments),
        Command::Selftest(arguments) => selftest::run(&arguments),
        Command::Check { folder, call } => check::run(&folder.path, &call),
        Command::User(command) => user::run(command),
        Command::Restored(arguments) => restored::run(arguments),
        Command::Vault(command) => vault::run(&command),
        Command::Credential(command) => credential::run(&command),
        Command::Pin(command) => pin::run(command),
        Command::Lab(command) => lab::run(&command),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tell(&format!("tonewall: {}", said(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, each once: many name their cause themselves.
fn said(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Says something to the person at the terminal.
#[expect(clippy::print_stderr, reason = "this is what a terminal is for")]
fn tell(text: &str) {
    eprintln!("{text}");
}

/// Says something that scripts read.
#[expect(clippy::print_stdout, reason = "this is what a terminal is for")]
fn print(text: &str) {
    println!("{text}");
}

/// Logs go to standard error; `RUST_LOG` chooses how much.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn,hyper=warn,reqwest=warn"));
    // A second call, as in the demo's tests, keeps the first subscriber.
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _ = lines.with_ansi(colors).try_init();
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Runs a supervised process to its end. A thread that reads standard input cannot be called back, so it is not waited
/// for: the process would hang until its supervisor closes that input.
fn run_to_end<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// One crypto back-end for all of TLS.
fn crypto() {
    // An error means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
