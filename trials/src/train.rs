//! `trials train`: teaches the gate, and writes its weights as a file of the crate `media`.
//!
//! Sounds that need no mask: what teachers say, at four pitches and at levels from -34 to -9 dBm0, half of it through the
//! band of an analog line, and noise. Sounds that need one: keys of 40 to 120 ms in quiet, in noise and under speech, from
//! the first decision at which as much of them has come as is held to the last one before they end. Decisions in between teach nothing.

mod net;
mod sounds;
mod write;

use crate::voices;
use media::Hold;
use net::{Linear, Net, Standard};
use sounds::Lesson;
use std::path::Path;

/// Everything random comes from it.
const SEED: u64 = 20_261_125;
const EPOCHS: usize = 18;

/// Teaches for each hold, and writes the weights into the folder `to`.
pub(crate) fn run(to: &Path, without: Option<&str>) -> anyhow::Result<()> {
    let teachers: Vec<_> =
        voices::teachers().into_iter().filter(|speaker| Some(speaker.name.as_str()) != without).collect();
    let names: Vec<&str> = teachers.iter().map(|speaker| speaker.name.as_str()).collect();
    println!("teachers: {}", names.join(", "));
    let clips = voices::continuous(&teachers)?;
    for (hold, file) in [(Hold::Ms20, "weights.rs"), (Hold::Ms12, "weights12.rs")] {
        teach(hold, &clips, &names, &to.join(file))?;
    }
    Ok(())
}

fn teach(hold: Hold, clips: &[Vec<f64>], names: &[&str], to: &Path) -> anyhow::Result<()> {
    let lesson = Lesson::new(clips, hold, SEED);
    println!("{hold:?}: {} decisions without a key, {} with one", lesson.clean.len(), lesson.keyed.len());
    let standard = Standard::new(&lesson.clean, &lesson.keyed);
    let net = Net::train(&lesson, &standard, EPOCHS, SEED);
    let sieve = Linear::train(&lesson, &standard, SEED);
    let (net, sieve) = (net.folded(&standard), sieve.folded(&standard));
    let bias = sieve.bias_that_keeps(&lesson.keyed, &net);
    let passed = lesson.clean.iter().filter(|features| sieve.sum(features) + bias >= 0.0).count();
    println!("the sieve lets through {:.2} % of what needs no mask", 100.0 * passed as f64 / lesson.clean.len() as f64);
    for limit in [0.0, 1.0, 1.9, 3.0, 5.0] {
        let share = |of: &[media::gate::features::Features]| {
            100.0 * of.iter().filter(|features| net.score(features) > limit).count() as f64 / of.len() as f64
        };
        println!(
            "score over {limit}: {:.3} % without a key, {:.2} % with one",
            share(&lesson.clean),
            share(&lesson.keyed)
        );
    }
    write::weights(to, hold, &net, &sieve, bias, SEED, names)
}
