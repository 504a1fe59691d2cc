//! What the gate is taught with.

use crate::dice::Dice;
use crate::keys::Press;
use crate::level;
use crate::line::{coded, pitched, telephone_band};
use crate::noise::{Place, low_pass};
use crate::voices::Talk;
use media::Hold;
use media::g711::Law;
use media::gate::features::{Ears, Features, HOP};
use media::sound::Sound;

const PITCHES: [f64; 4] = [0.72, 0.82, 1.0, 1.12];
/// Hours of noise, and how many keys in each kind of sound.
const NOISES: usize = 60;
const NOISE_SAMPLES: usize = 10 * level::RATE;
const KEYS_IN_QUIET: usize = 6_000;
const KEYS_IN_NOISE: usize = 12_000;
const KEYS_UNDER_SPEECH: usize = 42_000;
/// Keys a call, so that a call has one level of speech.
const KEYS_A_CALL: usize = 50;

/// Decisions, by whether a key was there.
pub(crate) struct Lesson {
    hold: Hold,
    pub(crate) clean: Vec<Features>,
    pub(crate) keyed: Vec<Features>,
}

impl Lesson {
    pub(crate) fn new(clips: &[Vec<f64>], hold: Hold, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut lesson = Self { hold, clean: Vec::new(), keyed: Vec::new() };
        for pitch in PITCHES {
            lesson.talk(clips, pitch, &mut dice);
        }
        for _ in 0..NOISES {
            let (pole, dbm0) = (dice.between(0.0, 0.95), dice.between(-60.0, -28.0));
            let sound = low_pass(&mut dice, NOISE_SAMPLES, pole, dbm0);
            lesson.hear(&sound, &[], &mut dice);
        }
        for _ in 0..KEYS_IN_QUIET / KEYS_A_CALL {
            lesson.keys(None, |dice, samples| Place::Quiet.sound(dice, samples), &mut dice);
        }
        for _ in 0..KEYS_IN_NOISE / KEYS_A_CALL {
            let (pole, dbm0) = (dice.between(0.0, 0.95), dice.between(-60.0, -28.0));
            lesson.keys(None, |dice, samples| low_pass(dice, samples, pole, dbm0), &mut dice);
        }
        for call in 0..KEYS_UNDER_SPEECH / KEYS_A_CALL {
            // Loud speech is where keys hide: two of three calls are loud.
            let dbm0 = if call % 3 == 0 { dice.between(-32.0, -24.0) } else { dice.between(-24.0, -11.0) };
            lesson.keys(Some((clips, dbm0)), |dice, samples| Place::Quiet.sound(dice, samples), &mut dice);
        }
        lesson
    }

    /// Everything that is said, once, at this pitch.
    fn talk(&mut self, clips: &[Vec<f64>], pitch: f64, dice: &mut Dice) {
        for clip in clips {
            let mut sound = pitched(clip, pitch);
            if dice.pick(2) == 0 {
                sound = telephone_band(&sound);
            }
            level::set_active(&mut sound, dice.between(-34.0, -9.0));
            self.hear(&sound, &[], dice);
        }
    }

    /// Keys a fifth to half a second apart.
    fn keys(
        &mut self,
        speech: Option<(&[Vec<f64>], f64)>,
        behind: impl FnOnce(&mut Dice, usize) -> Vec<f64>,
        dice: &mut Dice,
    ) {
        let mut presses = Vec::new();
        let mut at = 4000;
        for _ in 0..KEYS_A_CALL {
            let mut press = Press::any(dice, [-25.0, -3.0], [-8.0, 4.0], [40.0, 120.0]);
            // Weak keys are the hard ones: one of three is among the weaker half.
            if dice.pick(3) == 0 {
                press.level_dbm0 = dice.between(-25.0, -14.0);
            }
            presses.push((at, press));
            at += press.samples() + (dice.between(0.2, 0.5) * level::RATE as f64) as usize;
        }
        let mut sound = behind(dice, at);
        if let Some((clips, dbm0)) = speech {
            Talk::new(clips, dbm0, dice).add(&mut sound, dice);
        }
        for (at, press) in &presses {
            press.add(dice, &mut sound, *at);
        }
        let spans: Vec<(usize, usize)> = presses.iter().map(|(at, press)| (*at, at + press.samples())).collect();
        self.hear(&sound, &spans, dice);
    }

    /// Takes down every decision; with keys in the sound only those that must mask one.
    fn hear(&mut self, sound: &[f64], keys: &[(usize, usize)], dice: &mut Dice) {
        let law = *dice.of(&[Law::Mu, Law::A]);
        let samples = coded(&level::samples(sound), law);
        let (mut caller, mut ears) = (Sound::new(), Ears::new());
        let mut keys_left = keys;
        for (hop, sound) in samples.as_chunks::<HOP>().0.iter().enumerate() {
            caller.hear(sound, |_| ());
            let heard = ears.hear(&caller);
            let end = (hop + 1) * HOP;
            while keys_left.first().is_some_and(|(_, over)| *over < end) {
                keys_left = &keys_left[1..];
            }
            let keyed = keys_left.first().is_some_and(|(begun, _)| end >= begun + self.hold.samples());
            if !keyed && !keys.is_empty() {
                continue;
            }
            let Some(mut features) = heard.features else { continue };
            heard.bands(&mut features);
            if keyed { self.keyed.push(features) } else { self.clean.push(features) }
        }
    }
}
