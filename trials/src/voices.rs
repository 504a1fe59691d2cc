//! Which speakers teach the gate, on which one its threshold is chosen, and which ones judge it. Nobody is in two groups.

use crate::dice::Dice;
use crate::level;
use crate::speech::{self, Speaker};

/// Their voices teach. So do the machines of [`machines`].
const TEACHERS: [&str; 5] = ["fr_CA_f_June", "it_IT_f_Menardi", "ru_RU_f_IvrvoiceRU", "fr", "es"];
/// On this one the threshold is chosen.
const TUNER: &str = "it_IT_m_Carlo";
/// These judge: one person in two languages.
const JUDGES: [&str; 2] = ["en_US_f_Allison", "es_MX_f_Allison"];

/// Pauses longer than this are cut, so that an hour is an hour of speech.
const PAUSE_SAMPLES_MAX: usize = 1600;
const BLOCK: usize = 160;
/// What is so far below a clip's active level is a pause.
const PAUSE_DB: f64 = 30.0;

/// Those who teach, people first.
pub(crate) fn teachers() -> Vec<Speaker> {
    let espeak = [("en", 40), ("fr", 30), ("pt", 50), ("nl", 75), ("pl", 55), ("sv", 20), ("hu", 85), ("es-419", 45)];
    let espeak = espeak.map(|(voice, pitch)| speech::espeak(voice, pitch));
    let machines = [speech::flite("rms"), speech::flite("awb")].into_iter().chain(espeak);
    humans(&TEACHERS).into_iter().chain(machines).collect()
}

pub(crate) fn tuner() -> Vec<Speaker> {
    humans(&[TUNER])
}

pub(crate) fn judges() -> Vec<Speaker> {
    humans(&JUDGES)
}

/// Machines that judge: six languages, with voices and pitches that teach nothing.
pub(crate) fn machines() -> Vec<Speaker> {
    let espeak = ["en-us", "de", "fr-be", "es", "it", "ru"].map(|voice| speech::espeak(voice, 65));
    espeak.into_iter().chain([speech::flite("slt")]).collect()
}

fn humans(names: &[&str]) -> Vec<Speaker> {
    speech::humans().into_iter().filter(|speaker| names.contains(&speaker.name.as_str())).collect()
}

/// All that these speakers say, clip by clip, without long pauses.
pub(crate) fn continuous(speakers: &[Speaker]) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut clips = Vec::new();
    for speaker in speakers {
        clips.extend(speaker.clips()?.iter().map(|clip| without_pauses(clip)).filter(|clip| clip.len() > 8 * BLOCK));
    }
    anyhow::ensure!(
        !clips.is_empty(),
        "no speech: cargo xtask setup installs the speakers (Debian's prompts, espeak-ng, flite)"
    );
    Ok(clips)
}

fn without_pauses(clip: &[f64]) -> Vec<f64> {
    let loud = level::rms(level::active_dbm0(clip) - PAUSE_DB).powi(2);
    let mut kept = Vec::with_capacity(clip.len());
    let mut pause = 0;
    for block in clip.chunks(BLOCK) {
        let power = block.iter().map(|sample| sample * sample).sum::<f64>() / block.len() as f64;
        pause = if power < loud { pause + block.len() } else { 0 };
        if pause <= PAUSE_SAMPLES_MAX {
            kept.extend(block);
        }
    }
    kept
}

/// An endless talk: clips by chance, one after the other, at an active level.
pub(crate) struct Talk<'a> {
    clips: &'a [Vec<f64>],
    now: usize,
    at: usize,
    gain: f64,
    dbm0: f64,
}

impl<'a> Talk<'a> {
    pub(crate) fn new(clips: &'a [Vec<f64>], dbm0: f64, dice: &mut Dice) -> Self {
        let mut talk = Self { clips, now: 0, at: 0, gain: 0.0, dbm0 };
        talk.begin(dice);
        talk
    }

    fn begin(&mut self, dice: &mut Dice) {
        self.now = dice.pick(self.clips.len());
        self.at = 0;
        self.gain = 10_f64.powf((self.dbm0 - level::active_dbm0(&self.clips[self.now])) / 20.0);
    }

    /// Begins somewhere within a clip.
    pub(crate) fn skip_some(mut self, dice: &mut Dice) -> Self {
        self.at = dice.pick(self.clips[self.now].len());
        self
    }

    /// Adds the next samples.
    pub(crate) fn add(&mut self, to: &mut [f64], dice: &mut Dice) {
        for sample in to {
            if self.at == self.clips[self.now].len() {
                self.begin(dice);
            }
            *sample += self.gain * self.clips[self.now][self.at];
            self.at += 1;
        }
    }
}
