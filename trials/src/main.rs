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
//! | `dice` | chance from a seed |
//! | `keys` | presses of keys as sound |
//! | `speech` | speakers: Debian's prompts, espeak-ng, flite |
//! | `level` | levels in dBm0 |
//! | `noise` | quiet, office, street |
#![allow(
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a laboratory: numbers by the million, on a terminal, and a panic is a failed trial"
)]

mod dice;
mod keys;
mod level;
mod noise;
mod speech;

use clap::{Parser, Subcommand};

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
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().trial {
        Trial::Speakers => speakers(),
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
