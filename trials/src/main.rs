//! What the mask and the detectors are tried on, by the hour: people and machines that speak, noise, keys on top of it;
//! and what came of it. A developer's tool: nothing of it is in the product.
//!
//! # Invariants
//! - All chance comes from a seed that is printed or named.
//! - Nothing is downloaded: speech comes from Debian's packages and is made by espeak-ng and flite.
//! - Keys are random or published test cards.
//!
//! # Layout
//! | module | what |
//! |---|---|
//! | `accuracy` | keys named by our detector, spandsp and multimon-ng, side by side |
//! | `talkoff` | false keys in hours of speech and music |
//! | `storm` | SIP messages that are wrong in a million ways, and whether Tonewall stands |
//! | `payments` | payments at banks that break, taken by a process that is killed all the while |
//! | `capacity` | calls a core, ours and rtpengine's; no sound is judged there |
//! | `dice` | chance from a seed |
//! | `keys` | presses of keys as sound |
//! | `speech` | speakers: Debian's prompts, espeak-ng, flite |
//! | `level` | levels in dBm0 |
//! | `mask` | which natural mask is tried |
//! | `noise` | quiet, office, street |
//! | `agent` | how much of an agent's voice is stripped as key tones |
//! | `witness` | what the second pair of ears hears |
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a laboratory: numbers by the million, on a terminal, and a panic is a failed trial"
)]

mod accuracy;
mod agent;
mod capacity;
mod dice;
mod keys;
mod leaks;
mod level;
mod line;
mod mask;
mod noise;
mod opusleg;
mod payments;
mod speech;
mod storm;
mod talkoff;
mod train;
mod voice;
mod voices;
mod witness;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Tries mask and detectors on hours of sound.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Subcommand)]
enum Trial {
    /// Lists the speakers that are there, with how much each says.
    Speakers,
    /// Lets our detector, spandsp and multimon-ng name keys, set by set.
    Accuracy {
        /// Where chance begins.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Digits of a set.
        #[arg(long)]
        digits: Option<usize>,
        /// Only the sets whose name has this in it.
        #[arg(long)]
        only: Option<String>,
        /// Names the rows that ours did not read, on standard error.
        #[arg(long)]
        show: bool,
    },
    /// Counts false keys of the three in hours of speech and music.
    Talkoff {
        /// Without the licences that are read aloud.
        #[arg(long)]
        short: bool,
    },
    /// Measures how much of an agent's voice is stripped as key tones.
    Agent {
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Teaches the gate and writes its weights.
    Train {
        /// The folder to write to.
        #[arg(long, default_value = "cde/media/src/gate")]
        to: PathBuf,
        /// Leaves one teacher out, to see how the gate fares with a voice that it does not know.
        #[arg(long)]
        without: Option<String>,
    },
    /// What the natural mask costs the voice of somebody who presses no key.
    Voice(voice::Options),
    /// Keys through the natural mask: which samples of them pass?
    Leaks(leaks::Options),
    /// Tries the witness: keys that it must hear, and hours of voices that it must not take for keys.
    Witness {
        /// Keys in each kind of noise.
        #[arg(long, default_value_t = 8_000)]
        keys: usize,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Sends a running Tonewall SIP messages that are wrong in a million ways.
    Storm(storm::Options),
    /// Takes payments at banks that break, with a process that is killed all the while, and compares all books.
    Payments(payments::Options),
    /// Measures how many calls one core carries, our relay and rtpengine's: loss, delay, cost a packet, memory.
    Capacity(capacity::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().trial {
        Trial::Speakers => speakers(),
        Trial::Accuracy { seed, digits, only, show } => accuracy::run(seed, digits, only.as_deref(), show),
        Trial::Talkoff { short } => talkoff::run(short),
        Trial::Agent { seed } => agent::run(seed),
        Trial::Voice(options) => voice::run(&options),
        Trial::Leaks(options) => leaks::run(&options),
        Trial::Train { to, without } => train::run(&to, without.as_deref()),
        Trial::Witness { keys, seed } => witness::run(keys, seed),
        Trial::Storm(options) => storm::run(&options),
        Trial::Payments(options) => payments::run(&options),
        Trial::Capacity(arguments) => capacity::run(&arguments),
    }
}

fn speakers() -> anyhow::Result<()> {
    for speaker in speech::humans() {
        let clips = speaker.clips()?;
        let samples: usize = clips.iter().map(Vec::len).sum();
        println!("{:<28} {:>4} clips {:>7.1} min", speaker.name, clips.len(), samples as f64 / 8000.0 / 60.0);
    }
    Ok(())
}
