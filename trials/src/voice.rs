//! `trials voice`: what the natural mask costs the voice of somebody who presses no key.
//!
//! How many packets of continuous speech hold anything masked, by speaker and level; and pairs of WAV files, as sent and as
//! heard, for `trials/score_voice.py`, which scores them by ITU-T P.862.

use crate::level;
use crate::line::coded;
use crate::mask::Mask;
use crate::speech::Speaker;
use crate::voices;
use anyhow::Context;
use media::g711::Law;
use media::sound::Sound;
use media::wav;
use std::path::{Path, PathBuf};

/// Seconds of a scored clip, and how many a speaker has.
const CLIP_SECONDS: usize = 8;
const CLIPS: usize = 12;
/// What is said in the bar: packets of continuous speech that hold anything masked.
const MASKED_MAX: f64 = 0.02;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the pairs of WAV files go.
    #[arg(long)]
    wav: Option<PathBuf>,
    #[command(flatten)]
    mask: Mask,
    /// Only the voice on which the threshold is chosen.
    #[arg(long)]
    tuner: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let groups = if options.tuner {
        vec![("tuner", voices::tuner())]
    } else {
        vec![("judges", voices::judges()), ("machines", voices::machines())]
    };
    if let Some(folder) = &options.wav {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    println!("{:<28} {:>6} {:>9} {:>10} {:>8}", "speaker", "dBm0", "packets", "masked %", "latches");
    let mut good = true;
    for (group, speakers) in groups {
        for speaker in &speakers {
            good &= one(speaker, group, options)?;
        }
    }
    anyhow::ensure!(
        good || options.mask.threshold.is_some(),
        "more of a voice is masked than {} %",
        100.0 * MASKED_MAX
    );
    Ok(())
}

fn one(speaker: &Speaker, group: &str, options: &Options) -> anyhow::Result<bool> {
    let speech = voices::continuous(std::slice::from_ref(speaker))?.concat();
    let mut good = true;
    for dbm0 in [-30.0, -20.0, -14.0] {
        let heard = Heard::new(&speech, dbm0, options.mask);
        let masked = heard.touched as f64 / heard.packets as f64;
        println!("{:<28} {dbm0:>6} {:>9} {:>10.3} {:>8}", speaker.name, heard.packets, 100.0 * masked, heard.latches);
        good &= masked <= MASKED_MAX;
    }
    if let Some(folder) = &options.wav {
        pairs(folder, group, speaker, &speech, options.mask)?;
    }
    Ok(good)
}

struct Heard {
    reference: Vec<i16>,
    masked: Vec<i16>,
    packets: usize,
    touched: usize,
    latches: usize,
}

impl Heard {
    fn new(speech: &[f64], dbm0: f64, mask: Mask) -> Self {
        let mut speech = speech.to_vec();
        level::set_active(&mut speech, dbm0);
        let reference = coded(&level::samples(&speech), Law::Mu);
        let mut natural = mask.natural();
        let mut sound = Sound::new();
        let mut heard = Self { reference, masked: Vec::new(), packets: 0, touched: 0, latches: 0 };
        let mut latches = 0;
        for packet in heard.reference.chunks_exact(160) {
            sound.hear(packet, |sound| {
                latches += usize::from(natural.hear(sound).is_some_and(|verdict| verdict.hang > 800));
            });
            if let Some(frame) = natural.frame(&sound) {
                heard.packets += 1;
                heard.touched += usize::from(!frame.is_whole());
                heard.masked.extend(coded(&frame.samples, Law::Mu));
            }
        }
        heard.latches = latches;
        heard.masked.drain(..mask.hold.samples().min(heard.masked.len()));
        heard
    }
}

fn pairs(folder: &Path, group: &str, speaker: &Speaker, speech: &[f64], mask: Mask) -> anyhow::Result<()> {
    let clip = CLIP_SECONDS * level::RATE;
    let apart = speech.len().saturating_sub(clip) / CLIPS;
    for n in 0..CLIPS {
        let Some(part) = speech.get(n * apart..n * apart + clip).filter(|_| apart > 0) else { continue };
        let heard = Heard::new(part, -20.0, mask);
        let name = format!("{group}-{}-{n:02}", speaker.name.replace(' ', "_"));
        for (kind, samples) in [("sent", &heard.reference), ("heard", &heard.masked)] {
            std::fs::write(folder.join(format!("{name}.{kind}.wav")), wav::file(1, samples))?;
        }
    }
    Ok(())
}
